"""One replica of the embedding service."""

from argosy.serving.server import main
from argosy.services.embedding.app import EmbeddingService

if __name__ == "__main__":
    main(EmbeddingService)
