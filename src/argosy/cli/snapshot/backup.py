"""Backup of a data folder, also while its fleet serves and ingests.

The state of the fleet at one moment is copied: the catalog is read in one transaction, which begins while no change of
the store is possible. Each change of the store is preceded by a row in the catalog that asks for it, and followed by
one that records it; so whatever was half done at that moment is a job in the backup, and continues after a restore.
Files of shards are copied while their updates wait, which lasts as long as the copy; searches continue. Chunks that
were added after the moment are removed from the copy. Deletions of data wait until the backup ends.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from argosy.cli.snapshot import manifest as manifests
from argosy.cli.snapshot.manifest import Manifest
from argosy.cli.snapshot.published import BLOBS, CATALOG, PUBLISHED, SHARDS, collections, contents, visible
from argosy.contracts.errors import Conflict, InvalidRequest, NotFound, StorageFull
from argosy.serving.hold import Hold, Work
from argosy.serving.sparse_copy import allocated_bytes, copy_file, copy_folder
from argosy.version import VERSION

WAIT_S = 60.0
MARGIN_BYTES = 64 * 2**20

Tell = Callable[[str], None]


def back_up(data_dir: Path, target: Path, tell: Tell) -> Manifest:
    """Write a backup of `data_dir` to the new or empty folder `target`. `tell` gets a sentence for each stage.

    The folder appears when the backup is complete. Nothing remains of a backup that fails; what a killed one leaves is
    hidden beside `target` and removed by the next backup to the same place.
    Raises: NotFound when there is nothing to back up; Conflict when `target` is not empty or another backup runs;
    StorageFull when there is too little room.
    """
    data_dir, target = data_dir.absolute(), target.absolute()
    _check(data_dir, target)
    target.parent.mkdir(parents=True, exist_ok=True)
    removals = Hold(data_dir, Work.REMOVALS)
    with closing(removals), removals.taken(WAIT_S):
        for leftover in target.parent.glob(f".{target.name}.partial-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        require_room(target.parent, sum(allocated_bytes(data_dir / name) for name in (BLOBS, SHARDS)))
        partial = target.parent / f".{target.name}.partial-{uuid.uuid4().hex}"
        partial.mkdir(mode=0o700)
        try:
            created_at = _copy(data_dir, partial, tell)
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise StorageFull(f"The backup could not be written: {error.strerror}. Check the disk.") from error
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    try:
        documents, chunks = _settle(partial, tell)
        tell("computing hashes")
        made = Manifest(manifests.FORMAT, VERSION, created_at, documents, chunks, manifests.describe(partial))
        sync_below(partial)
        manifests.write(partial, made)
        put_in_place(partial, target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return made


def _check(data_dir: Path, target: Path) -> None:
    if not (data_dir / CATALOG).is_file() or not (data_dir / PUBLISHED).is_file():
        raise NotFound(
            f"{data_dir} has no {CATALOG} and {PUBLISHED} to back up. Name the fleet's folder with --data-dir; a "
            "catalog in PostgreSQL is backed up with pg_dump."
        )
    if target == data_dir or data_dir in target.parents:
        raise InvalidRequest(f"{target} is inside of the data folder; name a folder elsewhere, best on another disk.")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise Conflict(f"{target} is not empty; name a new folder.")


def require_room(folder: Path, size_bytes: int) -> None:
    """Check the free disk space. Raises: StorageFull when `size_bytes` do not fit."""
    free = shutil.disk_usage(folder).free
    if free < size_bytes + MARGIN_BYTES:
        raise StorageFull(
            f"{folder} has {free // 2**20} MB free, and {(size_bytes + MARGIN_BYTES) // 2**20} MB are needed. Free "
            "disk space, or name a folder on another disk."
        )


def _copy(data_dir: Path, partial: Path, tell: Tell) -> float:
    """Copy databases, shards and contents. Returns: the wall-clock time of the snapshot."""
    tell("reading the catalog")
    changes = Hold(data_dir, Work.CHANGES)
    with closing(changes), closing(sqlite3.connect(data_dir / CATALOG, isolation_level=None)) as catalog:
        with changes.taken(WAIT_S):
            created_at = time.time()
            catalog.execute("BEGIN")
            catalog.execute("SELECT * FROM catalog").fetchall()  # the transaction's snapshot begins with its first read
            for name in (PUBLISHED, f"{PUBLISHED}-wal"):
                if (data_dir / name).exists():
                    copy_file(data_dir / name, partial / name)
        os.close(os.open(partial / CATALOG, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with closing(sqlite3.connect(partial / CATALOG)) as copied:
            catalog.backup(copied)
        for name in (CATALOG, PUBLISHED):
            _single_file(partial / name)
        (partial / SHARDS).mkdir(mode=0o700)
        for collection in collections(partial):
            tell(f"copying the index of collection {collection.name!r}")
            with changes.taken(WAIT_S):
                copy_folder(data_dir / SHARDS / collection.folder, partial / SHARDS / collection.folder)
    tell("copying files and texts")
    (partial / BLOBS).mkdir(mode=0o700)
    for key, computable in contents(partial):
        there = partial / BLOBS / key[:2] / key
        there.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            if not there.exists():
                copy_file(data_dir / BLOBS / key[:2] / key, there)
        except FileNotFoundError:
            if not computable:
                tell(f"a stored content is missing: {key}")
    return created_at


def _single_file(path: Path) -> None:
    """Bring a copied database into one file without a write-ahead log."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        db.execute("PRAGMA journal_mode=DELETE").fetchall()


def _settle(partial: Path, tell: Tell) -> tuple[int, int]:
    """Remove chunks that are not visible in the snapshot from the copied shards.

    Returns: the number of documents and of chunks in the backup.
    """
    from argosy.services.store.inventory import remove_except
    from argosy.services.store.shard import Shard

    documents = chunks = 0
    for collection in collections(partial):
        tell(f"checking the index of collection {collection.name!r}")
        shown = visible(partial, collection.name)
        shard = Shard.open(partial / SHARDS / collection.folder, collection.dimensions)
        try:
            removed = remove_except(shard, {document: version for document, (version, _) in shown.items()})
            shard.flush()
            chunks += shard.points()
        finally:
            shard.close()
        if removed:
            with closing(sqlite3.connect(partial / PUBLISHED)) as db, db:
                db.execute("UPDATE collections SET rewrite = 1 WHERE name = ?", (collection.name,))
        documents += len(shown)
    return documents, chunks


def put_in_place(partial: Path, target: Path) -> None:
    """Rename a complete folder to its final name, durably. `target` may be an empty folder."""
    try:
        partial.rename(target)
    except OSError as error:
        raise Conflict(f"{target} is not empty any more; name a new folder.") from error
    _sync(target.parent)


def sync_below(folder: Path) -> None:
    """Write all files and folders below `folder` to disk."""
    for path in (folder, *folder.rglob("*")):
        _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
