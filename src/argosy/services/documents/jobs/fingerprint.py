"""Keys of the processing settings. Work is not repeated as long as its key stays the same."""

from __future__ import annotations

from argosy.config.services import DocumentsSettings, EmbeddingSettings

READING = "2"
"""Version of reading and cutting documents. A higher one makes a document that is sent again be read again, because its
text would be another; it must change with every change of what readers and chunking return."""


def vectors_key(embedding: EmbeddingSettings) -> str:
    """Return a key that is equal for settings that give a text the same vector.

    An endpoint's address is not part of the key, because a model keeps its vectors when it moves to another address.
    A prompt is part of it only when it is set, so that keys of earlier releases stay the same.
    """
    own = {"onnx": embedding.precision, "openai": str(embedding.endpoint_max_tokens)}.get(embedding.backend, "")
    key = f"{embedding.backend}:{embedding.model}:{own}:{embedding.long_texts}"
    return key if embedding.passage_prompt is None else f"{key}:{embedding.passage_prompt!r}"


def processing_key(documents: DocumentsSettings, embedding: EmbeddingSettings, reading: str = READING) -> str:
    """Return a key that is equal for settings that give a document the same chunks and vectors."""
    return f"{vectors_key(embedding)}:{documents.chunk_tokens}:{documents.chunk_overlap_tokens}:{reading}"
