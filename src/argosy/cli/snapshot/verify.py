"""Check of a backup: hashes, databases, and that documents, chunks and stored contents belong together."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from argosy.cli.snapshot import manifest as manifests
from argosy.cli.snapshot.backup import Tell, back_up
from argosy.cli.snapshot.published import (
    BLOBS,
    CATALOG,
    PUBLISHED,
    SHARDS,
    StoredCollection,
    collections,
    contents,
    unchanged,
    visible,
)
from argosy.contracts.errors import ArgosyError
from argosy.serving.sparse_copy import copy_folder


def verify_backup(folder: Path, tell: Tell) -> list[str]:
    """Check a backup without changing it. Returns: one sentence for each problem.

    Raises: InvalidRequest when the folder is not a backup.
    """
    folder = folder.absolute()
    tell("comparing hashes")
    problems = manifests.damage(folder, manifests.read(folder))
    return problems or list(_inconsistencies(folder, tell))


def verify_fleet(data_dir: Path, tell: Tell) -> list[str]:
    """Check a data folder, also while its fleet runs: a temporary backup beside it is made and checked.

    Returns: one sentence for each problem. Raises: as `back_up` does.
    """
    with tempfile.TemporaryDirectory(dir=data_dir.absolute().parent, prefix=".argosy-verify-") as folder:
        copy = Path(folder) / "copy"
        back_up(data_dir, copy, tell)
        return verify_backup(copy, tell)


def _inconsistencies(folder: Path, tell: Tell) -> Iterator[str]:
    damaged = False
    for name in (CATALOG, PUBLISHED):
        tell(f"checking {name}")
        with unchanged(folder / name) as db:
            for (said,) in db.execute("PRAGMA integrity_check").fetchall():
                if said != "ok":
                    damaged = True
                    yield f"{name} is damaged: {said}."
    if damaged:
        return
    for collection in collections(folder):
        tell(f"checking the index of collection {collection.name!r}")
        try:
            yield from _index_problems(folder, collection)
        except ArgosyError as error:
            yield f"The index of collection {collection.name!r} cannot be opened: {error.message}"
    yield from _document_problems(folder)
    tell("checking files and texts")
    yield from _content_problems(folder)


def _index_problems(folder: Path, collection: StoredCollection) -> Iterator[str]:
    """Compare the chunks in a copy of the shard with the published versions; opening a shard would change its files."""
    from argosy.services.store.inventory import counted
    from argosy.services.store.shard import Shard

    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".argosy-verify-") as temporary:
        copy = Path(temporary) / "shard"
        copy_folder(folder / SHARDS / collection.folder, copy)
        shard = Shard.open(copy, collection.dimensions)
        try:
            found = counted(shard)
        finally:
            shard.close()
    for document_id, (version, chunks) in visible(folder, collection.name).items():
        have = found.pop((document_id, version), 0)
        if have != chunks:
            yield f"Document {document_id} in {collection.name!r} has {have} of {chunks} chunks in the index."
    for (document_id, version), count in found.items():
        yield f"{count} chunks in {collection.name!r} are orphans: version {version} of {document_id} is not published."


def _document_problems(folder: Path) -> Iterator[str]:
    """Compare the catalog with the published versions. A document at work may be at any step of it."""
    with unchanged(folder / CATALOG) as catalog, unchanged(folder / PUBLISHED) as published:
        shown = {
            (collection, document_id): version
            for collection, document_id, version in published.execute(
                "SELECT collection, document_id, version FROM documents WHERE visible"
            )
        }
        leaving = {
            row[0]
            for row in catalog.execute(
                "SELECT document_id FROM jobs WHERE kind = 'forget' AND state IN ('queued', 'running', 'dead')"
            )
        }
        dropped = {row[0] for row in catalog.execute("SELECT name FROM removals")}
        known = set()
        for document_id, collection, status, version in catalog.execute(
            "SELECT id, collection, status, version FROM documents WHERE status != 'deleted'"
        ):
            known.add((collection, document_id))
            if status == "indexed" and shown.get((collection, document_id)) != version:
                yield f"Document {document_id} in {collection!r} is indexed in the catalog, but not in the store."
    for collection, document_id in shown.keys() - known:
        if document_id not in leaving and collection not in dropped:
            yield f"Document {document_id} in {collection!r} is in the store, but not in the catalog."


def _content_problems(folder: Path) -> Iterator[str]:
    for key, computable in contents(folder):
        path = folder / BLOBS / key[:2] / key
        try:
            with path.open("rb") as file:
                whole = hashlib.file_digest(file, "sha256").hexdigest() == key
        except FileNotFoundError:
            if not computable:
                yield f"The stored content {key} of a document is missing."
            continue
        if not whole and not computable:
            yield f"The stored content {key} of a document is damaged."
