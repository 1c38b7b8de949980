"""Copy of the store's `published.db` and of the documents service's `catalog.db`, opened without changing a file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from argosy.contracts.errors import Internal

PUBLISHED, CATALOG, BLOBS, SHARDS = "published.db", "catalog.db", "blobs", "shards"


@dataclass(frozen=True, slots=True)
class StoredCollection:
    """Collection of the store that has chunks."""

    name: str
    folder: str
    dimensions: int


@contextmanager
def unchanged(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database that no process uses, for reading only. Raises: Internal when it cannot be read."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)) as db:
            yield db
    except sqlite3.DatabaseError as error:
        raise Internal(f"{path.name} is damaged; use another backup.") from error


def collections(folder: Path) -> list[StoredCollection]:
    """Return the collections that have a shard."""
    with unchanged(folder / PUBLISHED) as db:
        return [
            StoredCollection(*row)
            for row in db.execute(
                "SELECT name, folder, dimensions FROM collections WHERE dimensions IS NOT NULL ORDER BY name"
            )
        ]


def visible(folder: Path, collection: str) -> dict[str, tuple[int, int]]:
    """Return the visible version and its number of chunks, by document id."""
    with unchanged(folder / PUBLISHED) as db:
        rows = db.execute(
            "SELECT document_id, version, chunks FROM documents WHERE collection = ? AND visible", (collection,)
        )
        return {document_id: (version, chunks) for document_id, version, chunks in rows}


def contents(folder: Path) -> Iterator[tuple[str, bool]]:
    """Yield the hash of each stored content that a document needs, and whether it can be computed again."""
    with unchanged(folder / CATALOG) as db:
        for column, computable in (("content_hash", False), ("text_hash", False), ("vectors_hash", True)):
            for (key,) in db.execute(f"SELECT DISTINCT {column} FROM documents WHERE {column} IS NOT NULL"):
                yield key, computable
