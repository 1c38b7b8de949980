"""Configuration of a Qdrant Edge shard, and the errors of Edge."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import qdrant_edge as edge

from argosy.contracts.errors import Internal, StorageFull, Unavailable
from argosy.services.store.index_plan import IndexPlan
from argosy.services.store.points import DENSE, LEXICAL

_INDEXED_KB = 1000
"""Size of a segment's vectors from which `optimize()` builds a graph."""
_NO_LIMIT_KB = 10**9


def config(dimensions: int, plan: IndexPlan | None = None) -> edge.EdgeConfig:
    """Return the configuration of a shard whose vectors have this many dimensions.

    Args:
        plan: Index that `optimize()` shall build; None for the serving process, which never calls it.
    """
    graph = plan is not None and plan.graph
    quantised = plan is not None and plan.quantisation == "int8"
    return edge.EdgeConfig(
        vectors={
            DENSE: edge.EdgeVectorParams(
                size=dimensions,
                distance=edge.Distance.Cosine,
                datatype=edge.VectorStorageDatatype.Float32,
                quantization_config=edge.ScalarQuantizationConfig(edge.ScalarType.Int8, quantile=0.99, always_ram=True)
                if quantised
                else None,
            )
        },
        sparse_vectors={LEXICAL: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
        hnsw_config=edge.HnswIndexConfig(
            m=16,
            ef_construct=128,
            full_scan_threshold=10_000,
            max_indexing_threads=plan.threads,
        )
        if plan is not None and graph
        else None,
        # With a threshold, Edge would defer points beyond it until `optimize()`, which the serving process never calls.
        optimizers=edge.EdgeOptimizersConfig(
            indexing_threshold=_INDEXED_KB if graph else 0,
            prevent_unoptimized=False,
            default_segment_number=1 if graph else None,
            max_segment_size=_NO_LIMIT_KB if graph else None,
        ),
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
