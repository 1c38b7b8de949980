"""Argosy: a fleet of RAG services in one command."""

from __future__ import annotations

__all__ = ["__version__"]

__version__: str


def __getattr__(name: str) -> str:
    """Return `__version__`, which is read from the package's metadata when it is first asked for."""
    if name == "__version__":
        from argosy.version import VERSION

        return VERSION
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
