"""Argosy: a fleet of RAG services in one command."""

from argosy.version import VERSION as __version__

__all__ = ["__version__"]
