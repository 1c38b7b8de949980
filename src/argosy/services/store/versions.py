"""Version of a collection's visible content, so that a cache elsewhere never serves an answer from before a change.

Versions are kept in memory. They begin with a random part, so that a store that starts again gives new ones.
"""

from __future__ import annotations

from collections import Counter
from uuid import uuid4


class CollectionVersions:
    def __init__(self) -> None:
        self._epoch = uuid4().hex[:12]
        self._changes: Counter[str] = Counter()

    def change(self, collection: str) -> None:
        """Give the collection a new version. Called after a change is visible and before it is acknowledged."""
        self._changes[collection] += 1

    def of(self, collection: str) -> str:
        return f"{self._epoch}.{self._changes[collection]}"
