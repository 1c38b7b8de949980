"""Collections of the store, and decisions about which version of a document is visible."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Collection:
    """One collection. `folder` is the folder name of its shard, which is never reused.

    `model` and `dimensions` are None until the first upsert.
    """

    name: str
    folder: str
    model: str | None = None
    dimensions: int | None = None
    generation: int = 0
    analysis: int = 0
    """Version of the analysis by which all points are indexed; 0 while points of older releases may remain."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Latest decision on a document: `version` is visible with `chunks` points, or forgotten if not `visible`.

    `stale` means that points of earlier versions or of the forgotten document may still be in the shard.
    """

    version: int
    visible: bool
    chunks: int
    stale: bool
    fields: str = ""
    """`DocumentFields` of the document as JSON; empty when its chunks contain these fields themselves."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A decision that is neither recorded nor visible yet."""

    collection: str
    document_id: str
    decision: Decision


@dataclass(slots=True)
class Shown:
    """Number of visible documents and points of a collection."""

    documents: int = 0
    points: int = 0

    def replace(self, old: Decision | None, new: Decision) -> None:
        """Update the counts for a decision that replaces `old`."""
        for decision, sign in ((old, -1), (new, 1)):
            if decision is not None and decision.visible:
                self.documents += sign
                self.points += sign * decision.chunks
