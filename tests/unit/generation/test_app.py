from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from argosy.clients.upstreams import Upstreams
from argosy.config.generation import GenerationSettings
from argosy.config.models import Fleet
from argosy.contracts.errors import StartError
from argosy.services.generation.backends.extractive import ExtractiveBackend
from argosy.services.generation.backends.openai import OpenAIBackend
from argosy.services.generation.fallback import FallbackBackend
from argosy.services.generation.loading import Opened, opened

pytestmark = pytest.mark.unit

ENVIRON = {"OPENAI_API_KEY": "a-key", "OPENAI_BASE_URL": "http://from.environment/v1"}


async def made(settings: GenerationSettings, environ: Mapping[str, str]) -> Opened:
    upstreams = Upstreams(Fleet().services, "http://127.0.0.1:1", "t", lambda version: None)
    upstreams.embedding = None  # type: ignore[assignment]
    found = await opened(settings, upstreams, environ, 1.0)
    await found.backend.close()
    return found


async def test_a_key_in_the_environment_selects_no_backend() -> None:
    found = await made(GenerationSettings(), ENVIRON)

    assert isinstance(found.backend, ExtractiveBackend)
    assert found.rewriter is None


@pytest.mark.parametrize(
    ("base_url", "environ", "url"),
    [
        ("http://from.file/v1", ENVIRON, "http://from.file/v1/chat/completions"),
        ("", ENVIRON, "http://from.environment/v1/chat/completions"),
        ("", {}, "https://api.openai.com/v1/chat/completions"),
    ],
)
async def test_the_file_chooses_the_backend_and_its_address_comes_before_the_environments(
    base_url: str, environ: dict[str, str], url: str
) -> None:
    settings = GenerationSettings.model_validate({"backend": "openai", "model": "m", "base_url": base_url})

    found = await made(settings, environ)

    assert isinstance(found.backend, FallbackBackend)
    assert found.rewriter is found.backend
    assert isinstance(found.backend.model, OpenAIBackend)
    assert found.backend.model.url == url
    assert found.prompt == "answer-1"


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ({"prompts": "/nowhere"}, "services.generation.prompts"),
        ({"tokenizer": "/nowhere"}, "services.generation.tokenizer"),
        ({"backend": "llamacpp", "model": "/nowhere.gguf"}, "services.generation.model"),
    ],
)
async def test_a_missing_file_is_an_error_at_the_start_that_names_the_setting(
    setting: dict[str, str], named: str
) -> None:
    settings = GenerationSettings.model_validate({"backend": "openai", "model": "m", **setting})

    with pytest.raises(StartError, match=named):
        await made(settings, {})


async def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_text("no model")
    settings = GenerationSettings(backend="llamacpp", model=str(tmp_path / "m.gguf"))

    with pytest.raises(StartError, match="not a GGUF file"):
        await made(settings, {})
