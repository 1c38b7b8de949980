"""Settings that make unchanged content count as changed."""

from __future__ import annotations

import pytest

from argosy.config.service import ServiceSettings
from argosy.config.services import DocumentsSettings, EmbeddingSettings
from argosy.services.documents.jobs.fingerprint import READING, processing_key, vectors_key

pytestmark = pytest.mark.unit

CHUNKS_CHANGE = {"chunk_tokens": 100, "chunk_overlap_tokens": 10}
VECTORS_CHANGE = {"model": "other", "backend": "fake", "precision": "int8", "long_texts": "split", "passage_prompt": ""}
ENDPOINT_VECTORS_CHANGE = {"endpoint_max_tokens": 64, "long_texts": "refuse", "model": "other", "passage_prompt": "p: "}
NOTHING_CHANGES = {
    *("database", "workers", "parsers", "max_file_bytes", "max_queued_documents", "max_queued_bytes"),
    *("max_files_per_request", "max_attempts", "lease_s", "parse_timeout_s", "parser_memory_bytes"),
    *("parse_timeout_per_mib_s", "parse_turn_s"),
    *("base_url", "endpoint_timeout_s", "threads", "max_batch_tokens", "max_batch_texts", "max_batch_ms"),
    *(
        "max_queued_texts",
        "cache_memory_bytes",
        "cache_disk_bytes",
        "cache_ttl_s",
        "cache_precision",
        "languages",
        "query_prompt",
    ),
}


@pytest.mark.parametrize("name", CHUNKS_CHANGE)
def test_content_is_processed_again_when_its_chunks_would_be_others(name: str) -> None:
    changed = DocumentsSettings.model_validate({name: CHUNKS_CHANGE[name]})
    assert processing_key(changed, EmbeddingSettings()) != processing_key(DocumentsSettings(), EmbeddingSettings())


@pytest.mark.parametrize(
    ("backend", "name", "value"),
    [
        *(("onnx", *item) for item in VECTORS_CHANGE.items()),
        *(("openai", *item) for item in ENDPOINT_VECTORS_CHANGE.items()),
    ],
)
def test_content_is_processed_again_when_its_vectors_would_be_others(backend: str, name: str, value: object) -> None:
    before = EmbeddingSettings.model_validate({"backend": backend})
    after = EmbeddingSettings.model_validate({"backend": backend, name: value})
    assert vectors_key(after) != vectors_key(before)
    assert processing_key(DocumentsSettings(), after) != processing_key(DocumentsSettings(), before)


@pytest.mark.parametrize(
    ("name", "value"),
    [("endpoint_max_tokens", 64), ("base_url", "http://127.0.0.1:1/v1"), ("threads", 3), ("query_prompt", "q: ")],
)
def test_content_is_left_alone_when_nothing_about_it_would_change(name: str, value: object) -> None:
    assert vectors_key(EmbeddingSettings.model_validate({name: value})) == vectors_key(EmbeddingSettings())


def test_of_each_setting_it_is_known_whether_it_changes_the_result() -> None:
    own = (DocumentsSettings.model_fields | EmbeddingSettings.model_fields).keys() - ServiceSettings.model_fields.keys()
    assert own == CHUNKS_CHANGE.keys() | VECTORS_CHANGE.keys() | ENDPOINT_VECTORS_CHANGE.keys() | NOTHING_CHANGES


def test_content_is_processed_again_when_its_text_would_be_read_otherwise() -> None:
    settings = DocumentsSettings(), EmbeddingSettings()
    assert processing_key(*settings, reading="later") != processing_key(*settings)
    assert processing_key(*settings).endswith(f":{READING}")
