from __future__ import annotations

from collections.abc import Mapping

import pytest

from argosy.clients.upstreams import Upstreams
from argosy.config.models import Fleet
from argosy.config.services import GenerationSettings
from argosy.services.generation.app import BACKENDS
from argosy.services.generation.backends.extractive import ExtractiveBackend
from argosy.services.generation.backends.openai import OpenAIBackend

pytestmark = pytest.mark.unit

ENVIRON = {"OPENAI_API_KEY": "a-key", "OPENAI_BASE_URL": "http://from.environment/v1"}


async def made(settings: GenerationSettings, environ: Mapping[str, str]) -> object:
    upstreams = Upstreams(Fleet().services, "http://127.0.0.1:1", "t", lambda version: None)
    upstreams.embedding = None  # type: ignore[assignment]
    backend = BACKENDS[settings.backend](settings, upstreams, environ)
    await backend.close()
    return backend


async def test_a_key_in_the_environment_selects_no_backend() -> None:
    assert isinstance(await made(GenerationSettings(), ENVIRON), ExtractiveBackend)


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

    backend = await made(settings, environ)

    assert isinstance(backend, OpenAIBackend)
    assert backend.url == url
