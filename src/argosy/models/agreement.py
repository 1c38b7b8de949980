"""Agreement between the vectors of a quantised graph and the exact ones, kept beside the graph in the cache."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from argosy.contracts.vectors import Vectors

AGREEMENT_FILE = "agreement.json"


class Agreement(msgspec.Struct, frozen=True):
    """Measured agreement.

    `top1` is the share of queries with the same nearest passage; `cosine` is the mean over the passages.
    """

    top1: float
    cosine: float
    queries: int
    passages: int

    def __str__(self) -> str:
        return (
            f"top-1 agreement {self.top1:.3f}, mean cosine {self.cosine:.5f} "
            f"({self.queries} queries over {self.passages} passages)"
        )


def agreement(exact: Sequence[Vectors], other: Sequence[Vectors]) -> Agreement:
    """Compare (passages, queries) embedded exactly and otherwise, in the same order."""
    (passages, queries), (passages2, queries2) = exact, other
    nearest, nearest2 = (queries @ passages.T).argmax(axis=1), (queries2 @ passages2.T).argmax(axis=1)
    cosines = (passages * passages2).sum(axis=1)
    return Agreement(float((nearest == nearest2).mean()), float(cosines.mean()), len(queries), len(passages))


def read_agreement(graph: Path) -> Agreement | None:
    """Return the agreement measured when this graph was built; None for an exact graph."""
    try:
        return msgspec.json.decode((graph.parent / AGREEMENT_FILE).read_bytes(), type=Agreement)
    except (OSError, ValueError, msgspec.DecodeError):
        return None


def write_agreement(folder: Path, found: Agreement) -> None:
    (folder / AGREEMENT_FILE).write_bytes(msgspec.json.encode(found))
