"""Table of the back ends: how each is opened from the settings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import aiohttp

from argosy.clients.upstreams import Upstreams
from argosy.config.generation import GenerationSettings
from argosy.contracts.generation import AnswerBackend, StandaloneRequest, StandaloneResponse
from argosy.contracts.request import RequestContext
from argosy.services.generation.backends.extractive import ExtractiveBackend
from argosy.services.generation.backends.llamacpp import LlamaCppBackend, ModelFile
from argosy.services.generation.backends.openai import ModelUse, OpenAIBackend
from argosy.services.generation.fallback import FallbackBackend, Model
from argosy.services.generation.prompts import Prompts
from argosy.services.generation.support import SupportCheck
from argosy.services.generation.token_count import CountedTokens, EstimatedTokens

OPENAI_URL = "https://api.openai.com/v1"


class Rewriter(Protocol):
    async def standalone(self, request: StandaloneRequest, context: RequestContext) -> StandaloneResponse:
        """Return the last question of a conversation, rewritten to stand alone.

        Raises: one of SERVICE_FAILURES when the model does not rewrite it.
        """
        ...


@dataclass(frozen=True, slots=True)
class Opened:
    """Back end in use. `rewriter` is None without a language model; `prompt` is the version of the answer's prompt."""

    backend: AnswerBackend
    rewriter: Rewriter | None = None
    prompt: str = ""
    memory_bytes: Callable[[], int] | None = None
    """Function that returns the memory of the model's own process."""
    fault: Callable[[], str] = str
    """Function that returns what is wrong with the model or its endpoint; empty when its last call succeeded."""


async def opened(
    settings: GenerationSettings, upstreams: Upstreams, environ: Mapping[str, str], cpu_share: float
) -> Opened:
    """Open the back end that the settings select.

    Raises: StartError when the model, its tokenizer or a prompt is missing or broken.
    """
    return await BACKENDS[settings.backend](settings, upstreams, environ, cpu_share)


async def _extractive(
    settings: GenerationSettings, upstreams: Upstreams, environ: Mapping[str, str], cpu_share: float
) -> Opened:
    return Opened(ExtractiveBackend(upstreams.embedding, settings.max_sentences))


async def _openai(
    settings: GenerationSettings, upstreams: Upstreams, environ: Mapping[str, str], cpu_share: float
) -> Opened:
    """Open the endpoint. Only this backend reads the address and the key from the environment."""
    use = _use(settings, upstreams)
    backend = OpenAIBackend(
        aiohttp.ClientSession(),
        settings.base_url or environ.get("OPENAI_BASE_URL") or OPENAI_URL,
        settings.model,
        environ.get("OPENAI_API_KEY") or None,
        use,
    )
    fallback = _with_fallback(backend, settings, upstreams)
    return Opened(fallback, fallback, use.prompts.answer.version, fault=fallback.health.reason)


async def _llamacpp(
    settings: GenerationSettings, upstreams: Upstreams, environ: Mapping[str, str], cpu_share: float
) -> Opened:
    use = _use(settings, upstreams)
    file = ModelFile(
        Path(settings.model).expanduser(),  # noqa: ASYNC240 - the home folder is looked up once, at the start
        settings.context_tokens,
        settings.answer_tokens,
        settings.threads or max(1, round(cpu_share)),
        settings.max_queued_answers,
    )
    backend = LlamaCppBackend(file, use)
    await backend.start()
    fallback = _with_fallback(backend, settings, upstreams)
    return Opened(
        fallback, fallback, use.prompts.answer.version, lambda: backend.memory_bytes, fault=fallback.health.reason
    )


def _use(settings: GenerationSettings, upstreams: Upstreams) -> ModelUse:
    return ModelUse(
        prompts=Prompts.load(settings.prompts),
        counter=CountedTokens(settings.tokenizer) if settings.tokenizer else EstimatedTokens(),
        room=settings.context_tokens - settings.answer_tokens,
        support=SupportCheck(upstreams.embedding),
    )


def _with_fallback(model: Model, settings: GenerationSettings, upstreams: Upstreams) -> FallbackBackend:
    quoting = ExtractiveBackend(upstreams.embedding, settings.max_sentences)
    return FallbackBackend(model, quoting, settings.first_token_timeout_s)


BACKENDS: Mapping[str, Callable[[GenerationSettings, Upstreams, Mapping[str, str], float], Awaitable[Opened]]] = {
    "extractive": _extractive,
    "llamacpp": _llamacpp,
    "openai": _openai,
}
