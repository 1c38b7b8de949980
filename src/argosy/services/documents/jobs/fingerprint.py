"""Names for how documents are processed now: as long as a name stays, the work need not be done again."""

from __future__ import annotations

from argosy.config.models import DocumentsSettings, EmbeddingSettings


def vectors_key(embedding: EmbeddingSettings) -> str:
    """Equal for settings that give a text the same vector.

    An endpoint's address is not in it: the model moved there, and its vectors stayed what they were.
    """
    own = {"onnx": embedding.precision, "openai": str(embedding.endpoint_max_tokens)}.get(embedding.backend, "")
    return f"{embedding.backend}:{embedding.model}:{own}:{embedding.long_texts}"


def processing_key(documents: DocumentsSettings, embedding: EmbeddingSettings) -> str:
    """Equal for settings that make the same chunks and vectors of a document."""
    return f"{vectors_key(embedding)}:{documents.chunk_tokens}:{documents.chunk_overlap_tokens}"
