"""Settings of the cache of answers: [services.gateway.answer_cache]."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from argosy.config.base import Settings


class AnswerCacheSettings(Settings):
    """Cache of answers in each gateway replica. Any change of the collection drops its answers."""

    mode: Literal["off", "exact", "semantic"] = Field(
        "off",
        description="`exact` repeats the answer to the same question; `semantic` also to a question that reads alike "
        "and names the same numbers, identifiers and names.",
    )
    max_bytes: int = Field(32 * 2**20, ge=2**16, le=2**34, description="Most memory of the cached answers.")
    max_age_s: float = Field(3600.0, gt=0, le=30 * 86_400.0, description="Age after which an answer is dropped.")
    threshold: float = Field(
        0.95,
        ge=0.85,
        le=1,
        description="Least cosine of the vectors of two questions that share an answer (mode `semantic`).",
    )
