"""Settings of the services that come with Argosy."""

from __future__ import annotations

import re
from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from argosy.config.answer_cache import AnswerCacheSettings
from argosy.config.rerank import RerankSettings
from argosy.config.service import ServiceSettings

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class StoreSettings(ServiceSettings):
    """Settings of the service that stores vectors, the lexical index and chunk payloads."""

    single_writer: ClassVar[bool] = True
    max_queued: int = Field(1024, ge=1, description="Most operations waiting for the store's engine thread.")
    flat_points: int = Field(
        50_000,
        ge=1_000,
        le=10_000_000,
        description="Number of chunks up to which a search compares the vectors of the whole collection, which is "
        "exact. Above it, an index is built in the background.",
    )
    quantisation: Literal["none", "int8"] = Field(
        "none",
        description="Form of the vectors in an index: int8 takes a quarter of the memory while it is searched. The "
        "exact vectors still decide the order. The recall is measured at each build and logged.",
    )

    @model_validator(mode="after")
    def _one_writer(self) -> Self:
        if self.replicas.max > 1:
            raise ValueError(
                "replicas.max must be 1 because the embedded store has a single writer: a second replica could not "
                "open the files; set replicas.max = 1"
            )
        return self


class EmbeddingSettings(ServiceSettings):
    """Settings of the service that computes vectors of texts."""

    model: str = Field(
        "sentence-transformers/all-MiniLM-L6-v2",
        min_length=1,
        description="Name of a model, or a folder that contains one.",
    )
    backend: Literal["onnx", "openai", "fake"] = Field(
        "onnx",
        description="`onnx` runs the model; `openai` calls an OpenAI-compatible endpoint; `fake` hashes words, for "
        "trials and tests.",
    )
    precision: Literal["fp32", "int8"] = Field(
        "fp32",
        description="`int8` computes with integers (backend `onnx`). It is faster but sometimes changes the best hit; "
        "how often is measured and logged.",
    )
    languages: tuple[str, ...] = Field(
        (),
        max_length=200,
        description="Languages that the model knows, as ISO 639-1 codes, or `*` for all. Empty tells them from the "
        "model's name. For a query in another language, words count more than vectors.",
    )
    query_prompt: str | None = Field(
        None,
        max_length=2000,
        description="Text put before every query (backends `onnx` and `openai`), such as `query: `. Left out, `onnx` "
        "takes it from the model's files or its name, and `openai` sends none; an empty text means none.",
    )
    passage_prompt: str | None = Field(
        None,
        max_length=2000,
        description="Text put before every passage (backends `onnx` and `openai`), such as `passage: `. Left out, "
        "`onnx` takes it from the model's files or its name, and `openai` sends none; an empty text means none. "
        "Another prompt makes other vectors, so add the documents again.",
    )
    base_url: str = Field(
        "", description="The endpoint's address up to /v1 (backend `openai`); empty takes OPENAI_BASE_URL."
    )
    endpoint_timeout_s: float = Field(
        20.0,
        gt=0,
        le=600,
        description="Time for one batch at the endpoint, including retries (backend `openai`).",
    )
    endpoint_max_tokens: int = Field(
        512,
        ge=16,
        le=1_000_000,
        description="Most tokens of a text that the endpoint's model reads (backend `openai`).",
    )
    long_texts: Literal["truncate", "split", "refuse"] = Field(
        "truncate",
        description="Treatment of a text longer than the model's window: `truncate` embeds the beginning and reports "
        "the truncation, `split` embeds all parts and averages their vectors, `refuse` answers with an error.",
    )
    threads: int = Field(
        0,
        ge=0,
        le=256,
        description="Batches that one replica runs at once, each on one core; 0 means the replica's share of the "
        "cores, or 8 calls to an endpoint.",
    )
    max_batch_tokens: int = Field(1024, ge=16, le=1_000_000, description="Most tokens of one batch, including padding.")
    max_batch_texts: int = Field(32, ge=1, le=2048, description="Most texts of one batch.")
    max_batch_ms: float = Field(
        100.0,
        ge=1,
        le=10_000,
        description="Longest time for one batch; the batch size is derived from the measured times of earlier batches.",
    )
    max_queued_texts: int = Field(
        4096, ge=1, description="Most texts waiting for the engine; further ones are answered 429."
    )
    cache_memory_bytes: int = Field(
        64 * 2**20, ge=0, description="Memory of each replica's cache of vectors; 0 disables this cache."
    )
    cache_disk_bytes: int = Field(
        2**30,
        ge=0,
        description="Disk space of the cache of vectors that the replicas of a host share and restarts keep; 0 "
        "disables it.",
    )
    cache_ttl_s: float = Field(
        30 * 86_400.0,
        ge=0,
        le=10 * 365 * 86_400.0,
        description="Time for which a cached vector is kept; 0 keeps it until it is evicted.",
    )
    cache_precision: Literal["float16", "float32"] = Field(
        "float16",
        description="Precision of cached vectors on disk; `float16` takes half the space, `float32` keeps every bit.",
    )

    def cores_of_one(self, share: float) -> float:
        """Return `scaling.cores` if it is set, else `threads`, else the rounded share.

        The default for an endpoint, which computes elsewhere, is 1 core.
        """
        if self.backend == "openai":
            return super().cores_of_one(share)
        return self.scaling.cores or self.threads or max(1, round(share))


class DocumentsSettings(ServiceSettings):
    """Settings of the service that turns uploads into indexed chunks."""

    wants: tuple[str, ...] = ("store", "embedding")
    database: Literal["sqlite", "postgresql"] = Field(
        "sqlite",
        description="Database of the catalog and the jobs: a file in data_dir, or the database in DATABASE_URL.",
    )
    workers: int = Field(
        8,
        ge=1,
        le=64,
        description="Documents that one replica processes at once; most of them wait for their vectors. Up to 16 small "
        "documents of at most 64 KiB in total count as one.",
    )
    parsers: int = Field(2, ge=1, le=64, description="Documents that one replica parses and chunks at once.")
    chunk_tokens: int = Field(200, ge=16, le=8192, description="Most tokens of one chunk.")
    chunk_overlap_tokens: int = Field(
        0, ge=0, le=4096, description="Tokens at the end of a chunk that the next chunk repeats."
    )
    max_file_bytes: int = Field(64 * 2**20, ge=1, description="Largest document accepted.")
    max_queued_documents: int = Field(
        10_000, ge=1, description="Most documents waiting; further ones are answered 429."
    )
    max_queued_bytes: int = Field(
        2 * 2**30, ge=1, description="Most bytes of waiting documents; further ones are answered 429."
    )
    max_files_per_request: int = Field(64, ge=1, description="Most documents in one upload.")
    max_receiving_bytes: int = Field(
        2**30,
        ge=2**20,
        description="Most bytes of uploads that one replica receives at once; further ones are answered 429.",
    )
    max_attempts: int = Field(5, ge=1, le=100, description="Attempts after which a document is declared dead.")
    lease_s: float = Field(
        30.0, gt=0, description="Time after which the document of a silent worker is given to another worker."
    )
    parse_timeout_s: float = Field(
        120.0,
        gt=0,
        description="Time to parse one document, before the addition for its size; also the longest time without "
        "progress, to which each MiB adds 4 s.",
    )
    parse_timeout_per_mib_s: float = Field(
        60.0,
        ge=0,
        le=3600,
        description="Additional parsing time for each MiB of the document, because long PDFs and scans are slow.",
    )
    parse_turn_s: float = Field(
        20.0,
        gt=0,
        description="Time after which a document being parsed yields to a waiting document of another sender.",
    )
    parser_memory_bytes: int = Field(2 * 2**30, ge=2**28, description="Most address space of one parser process.")

    @model_validator(mode="after")
    def _overlap_below_size(self) -> Self:
        if self.chunk_overlap_tokens > self.chunk_tokens // 2:
            raise ValueError(
                f"chunk_overlap_tokens = {self.chunk_overlap_tokens} is more than half of "
                f"chunk_tokens = {self.chunk_tokens}; lower the overlap"
            )
        return self

    def cores_of_one(self, share: float) -> float:
        """Return `scaling.cores` if it is set, else the number of parsers."""
        return self.scaling.cores or self.parsers


class RetrievalSettings(ServiceSettings):
    """Settings of the service that finds and ranks the chunks for a question."""

    requires: tuple[str, ...] = ("store",)
    wants: tuple[str, ...] = ("embedding",)
    candidates: int = Field(
        100, ge=1, le=200, description="Chunks taken from each ranked list before the lists are fused."
    )
    rerank: RerankSettings = Field(
        default_factory=RerankSettings, description="Stage that orders the best passages again; off by default."
    )

    def cores_of_one(self, share: float) -> float:
        """Return `scaling.cores` if it is set, else the threads of a cross-encoder in the service."""
        if self.rerank.backend == "onnx":
            return self.scaling.cores or self.rerank.threads or max(1, round(share))
        return super().cores_of_one(share)


class GatewaySettings(ServiceSettings):
    """Settings of the public API."""

    max_in_flight: int = Field(
        512,
        ge=1,
        le=100_000,
        description="Most requests in flight in one replica; further ones are answered 429. The default is above the "
        "limit for one service (protection.max_concurrent_calls), so that a full service leaves room for the others.",
    )
    wants: tuple[str, ...] = ("store", "embedding", "documents", "retrieval", "generation")
    allowed_hosts: tuple[str, ...] = Field(LOOPBACK, description="Accepted values of the Host header, without port.")
    allowed_origins: tuple[str, ...] = Field(
        (),
        description="Origins of other web pages that may call the API, like https://app.example.org. Browsers let "
        "these pages read the answers (CORS).",
    )
    max_question_chars: int = Field(32_000, ge=1, description="Longest question or query.")
    max_body_bytes: int = Field(256 * 2**20, ge=1024, description="Largest request body.")
    context_passages: int = Field(5, ge=1, le=50, description="Chunks from which an answer is generated.")
    answer_cache: AnswerCacheSettings = Field(
        default_factory=AnswerCacheSettings, description="Cache of answers; off by default."
    )
    search_timeout_s: float = Field(5.0, gt=0, description="Deadline of a search.")
    chat_timeout_s: float = Field(60.0, gt=0, description="Deadline of an answer.")
    first_token_timeout_s: float = Field(10.0, gt=0, description="Deadline for the first word of an answer.")
    embeddings_timeout_s: float = Field(
        30.0, gt=0, description="Deadline of an embeddings request or a rerank request."
    )
    max_timeout_s: float = Field(300.0, gt=0, description="Longest deadline that a caller may request.")

    @field_validator("allowed_origins")
    @classmethod
    def _are_origins(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for origin in given:
            if not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/\s?#*]+", origin):
                raise ValueError(
                    f'"{origin}" is not an origin; write scheme, host and port as browsers send them, like '
                    "https://app.example.org or http://localhost:3000, without a path and without *"
                )
        return given
