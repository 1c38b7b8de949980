"""Argosy: a fleet of RAG services in one command."""
