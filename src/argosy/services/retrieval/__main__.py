"""Runs one retrieval replica: `python -m argosy.services.retrieval`, as a platform does."""

from argosy.services.retrieval.app import RetrievalService
from argosy.serving.server import main

if __name__ == "__main__":
    main(RetrievalService)
