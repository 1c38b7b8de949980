"""Entry point of one embedding replica: a platform runs `python -m argosy.services.embedding`."""

from argosy.services.embedding.app import EmbeddingService
from argosy.serving.server import main

if __name__ == "__main__":
    main(EmbeddingService)
