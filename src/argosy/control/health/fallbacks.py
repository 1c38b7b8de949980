"""Degradation matrix: the effect on a service when another is missing, in words for the operator."""

from __future__ import annotations

from collections.abc import Mapping

WITHOUT: Mapping[tuple[str, str], str] = {
    ("retrieval", "embedding"): "search is lexical only",
    ("retrieval", "store"): "search waits for the store within its deadline, then answers 503",
    ("generation", "embedding"): "sentences are ranked by words only",
    ("gateway", "embedding"): "search is lexical only and /v1/embeddings answers 503",
    ("gateway", "generation"): "answers are extractive, made by the gateway",
    ("gateway", "documents"): "uploads are refused with 503, queries are untouched",
    ("gateway", "retrieval"): "search and chat answer 503",
    ("gateway", "store"): "search and chat wait for the store within their deadline, then answer 503",
    ("documents", "store"): "accepted documents wait",
    ("documents", "embedding"): "accepted documents wait",
}
"""Effect by (service, missing service)."""


def consequence(service: str, missing: str) -> str:
    """Return the effect on `service` when `missing` is missing."""
    return WITHOUT.get((service, missing), "requests that need it fail")
