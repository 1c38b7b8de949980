"""Configuration of a Qdrant Edge shard, and the errors of Edge."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import qdrant_edge as edge

from argosy.contracts.errors import Internal, StorageFull, Unavailable
from argosy.services.store.points import DENSE, LEXICAL


def config(dimensions: int) -> edge.EdgeConfig:
    """Return the configuration of a shard whose vectors have this many dimensions."""
    return edge.EdgeConfig(
        vectors={
            DENSE: edge.EdgeVectorParams(
                size=dimensions, distance=edge.Distance.Cosine, datatype=edge.VectorStorageDatatype.Float32
            )
        },
        sparse_vectors={LEXICAL: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
        # With a threshold, Edge would defer points beyond it until `optimize()`, which is never called.
        optimizers=edge.EdgeOptimizersConfig(indexing_threshold=0, prevent_unoptimized=False),
        max_search_threads=1,
    )


@contextmanager
def wrapped() -> Iterator[None]:
    """Turn the errors of Edge into our own.

    Raises: StorageFull when the disk is full; Unavailable when another process has the shard open; Internal otherwise.
    """
    try:
        yield
    except Exception as error:
        text = str(error)
        if "No space left" in text:
            raise StorageFull("The disk is full, so the store could not write the chunks. Free disk space.") from error
        if "WouldBlock" in text:
            raise Unavailable("Another process has this collection's index open; stop that process first.") from error
        raise Internal(
            "The collection's index cannot be used. Restore it from a backup, or delete the collection and add its "
            "documents again."
        ) from error
