"""The engines there are, how each is opened, and how much of it may run at once."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from argosy.config.models import EmbeddingSettings
from argosy.contracts.vectors import EmbeddingEngine
from argosy.serving.batching.cost import BatchLimits

OPENAI_URL = "https://api.openai.com/v1"
CALLS_AT_ONCE = 8
"""To an endpoint: it has its own queue, and a call mostly waits."""


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class LoadedEngine:
    engine: EmbeddingEngine
    limits: BatchLimits
    workers: int
    """Batches that may run at once."""
    local: bool = True
    """Whether the work is done in this process."""
    close: Callable[[], None] = _nothing


def load(settings: EmbeddingSettings, cpu_share: float, environ: Mapping[str, str]) -> LoadedEngine:
    """The engine the settings select. Blocking. Raises: ArgosyError for the operator: what was tried, what to do."""
    return BACKENDS[settings.backend](settings, cpu_share, environ)


def _fake(settings: EmbeddingSettings, cpu_share: float, environ: Mapping[str, str]) -> LoadedEngine:
    from argosy.services.embedding.backends.fake import FakeEngine

    return _on_cores(FakeEngine(), settings, cpu_share)


def _onnx(settings: EmbeddingSettings, cpu_share: float, environ: Mapping[str, str]) -> LoadedEngine:
    """One thread a batch: several batches at once on a core each cost less than one batch on all of them, and a query
    need not wait for the batch before it.
    """
    from argosy.models.resolver import resolve
    from argosy.services.embedding.backends.onnx import OnnxEngine

    engine = OnnxEngine(resolve(settings.model, fetch=True), threads=1, precision=settings.precision)
    return _on_cores(engine, settings, cpu_share)


def _openai(settings: EmbeddingSettings, cpu_share: float, environ: Mapping[str, str]) -> LoadedEngine:
    """The environment supplies address and key here and only here: this runs when the fleet file chose `openai`."""
    from argosy.services.embedding.backends.openai import OpenAIEngine

    engine = OpenAIEngine(
        settings.base_url or environ.get("OPENAI_BASE_URL") or OPENAI_URL,
        settings.model,
        environ.get("OPENAI_API_KEY") or None,
        timeout_s=settings.endpoint_timeout_s,
        max_tokens=settings.endpoint_max_tokens,
    )
    # Its time is mostly the way there and back: smaller batches would not make it shorter.
    limits = BatchLimits(settings.max_batch_texts * settings.endpoint_max_tokens, settings.max_batch_texts, math.inf)
    return LoadedEngine(engine, limits, settings.threads or CALLS_AT_ONCE, local=False, close=engine.close)


def _on_cores(engine: EmbeddingEngine, settings: EmbeddingSettings, cpu_share: float) -> LoadedEngine:
    limits = BatchLimits(settings.max_batch_tokens, settings.max_batch_texts, settings.max_batch_ms / 1000)
    return LoadedEngine(engine, limits, settings.threads or max(1, min(round(cpu_share), os.cpu_count() or 1)))


BACKENDS: Mapping[str, Callable[[EmbeddingSettings, float, Mapping[str, str]], LoadedEngine]] = {
    "fake": _fake,
    "onnx": _onnx,
    "openai": _openai,
}
