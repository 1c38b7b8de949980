"""Table of the embedding engines: how each is opened, and how many of its batches may run at once."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from argosy.config.services import EmbeddingSettings
from argosy.contracts.embedding import TextKind
from argosy.contracts.vectors import EmbeddingEngine
from argosy.serving.batching.cost import BatchLimits

OPENAI_URL = "https://api.openai.com/v1"
CALLS_AT_ONCE = 8
"""Number of concurrent calls to an endpoint, which has its own queue: a call mostly waits."""


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class LoadedEngine:
    engine: EmbeddingEngine
    limits: BatchLimits
    workers: int
    """Number of batches that may run at once."""
    local: bool = True
    """Whether vectors are computed in this process."""
    close: Callable[[], None] = _nothing
    fault: Callable[[], str] = str
    """Function that returns what is wrong with the endpoint; empty when its last call succeeded."""


def load(settings: EmbeddingSettings, cpu_share: float, environ: Mapping[str, str]) -> LoadedEngine:
    """Return the engine that the settings select. Blocking.

    Raises: ArgosyError when the engine cannot be opened; its message says what was tried and what to do.
    """
    return BACKENDS[settings.backend](settings, cpu_share, environ)


def _fake(settings: EmbeddingSettings, cpu_share: float, environ: Mapping[str, str]) -> LoadedEngine:
    from argosy.services.embedding.backends.fake import FakeEngine

    return _on_cores(FakeEngine(), settings, cpu_share)


def _onnx(settings: EmbeddingSettings, cpu_share: float, environ: Mapping[str, str]) -> LoadedEngine:
    """Open a model with one thread per batch.

    Several batches at once, each on one core, cost less than one batch on all cores, and a query need not wait for the
    previous batch.
    """
    from argosy.models.resolver import resolve
    from argosy.services.embedding.backends.onnx import OnnxEngine

    model = resolve(settings.model, fetch=True)
    engine = OnnxEngine(model, threads=1, precision=settings.precision, prompts=_prompts(settings))
    return _on_cores(engine, settings, cpu_share)


def _openai(settings: EmbeddingSettings, cpu_share: float, environ: Mapping[str, str]) -> LoadedEngine:
    """Open an endpoint. Only this backend reads the address and the key from the environment."""
    from argosy.services.embedding.backends.openai import OpenAIEngine

    engine = OpenAIEngine(
        settings.base_url or environ.get("OPENAI_BASE_URL") or OPENAI_URL,
        settings.model,
        environ.get("OPENAI_API_KEY") or None,
        timeout_s=settings.endpoint_timeout_s,
        max_tokens=settings.endpoint_max_tokens,
        prompts=_prompts(settings),
    )
    # A call takes mostly network time, which smaller batches would not shorten: there is no limit in seconds.
    limits = BatchLimits(settings.max_batch_texts * settings.endpoint_max_tokens, settings.max_batch_texts, math.inf)
    workers = settings.threads or CALLS_AT_ONCE
    return LoadedEngine(engine, limits, workers, local=False, close=engine.close, fault=engine.health.reason)


def _prompts(settings: EmbeddingSettings) -> dict[TextKind, str | None]:
    return {TextKind.QUERY: settings.query_prompt, TextKind.PASSAGE: settings.passage_prompt}


def _on_cores(engine: EmbeddingEngine, settings: EmbeddingSettings, cpu_share: float) -> LoadedEngine:
    limits = BatchLimits(settings.max_batch_tokens, settings.max_batch_texts, settings.max_batch_ms / 1000)
    return LoadedEngine(engine, limits, settings.threads or max(1, min(round(cpu_share), os.cpu_count() or 1)))


BACKENDS: Mapping[str, Callable[[EmbeddingSettings, float, Mapping[str, str]], LoadedEngine]] = {
    "fake": _fake,
    "onnx": _onnx,
    "openai": _openai,
}
