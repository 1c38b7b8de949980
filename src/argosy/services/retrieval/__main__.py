"""Entry point of one retrieval replica: a platform runs `python -m argosy.services.retrieval`."""

from argosy.services.retrieval.app import RetrievalService
from argosy.serving.server import main

if __name__ == "__main__":
    main(RetrievalService)
