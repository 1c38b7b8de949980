"""One replica of the embedding service."""

from argosy.services.embedding.app import EmbeddingService
from argosy.serving.server import main

if __name__ == "__main__":
    main(EmbeddingService)
