"""Blob store: original files, parsed texts and vectors, each stored under the hash of its content."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from argosy.contracts.errors import NotFound, StorageFull
from argosy.serving.hold import Hold, Work

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_HASH = re.compile(r"[0-9a-f]{64}")
_TEMPORARY = ".writing-"
SYNCS_AT_ONCE = 8
T = TypeVar("T")


def content_hash(data: bytes) -> str:
    """Return the SHA-256 of the content, 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


class BlobStore:
    """Files `ab/abcdef…` below a folder, readable by their owner only. Methods block; several processes may share it.

    Once `put` has returned, durable content is on disk and survives a power cut. `now` is wall-clock time in seconds,
    as file times are.
    """

    def __init__(self, folder: Path, now: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._now = now
        self._syncing = ThreadPoolExecutor(SYNCS_AT_ONCE, thread_name_prefix="documents-sync")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def put(self, data: bytes, *, durable: bool = True, key: str | None = None) -> str:
        """Store `data` and return its hash, which is computed unless it is given as `key`.

        Storing the same content again only renews its age.

        Content that can be recomputed need not be `durable`: it may be lost or damaged by a power cut, so read it with
        `verified`.

        Raises: StorageFull when the disk is full.
        """
        return self.put_all([data], durable=durable, keys=None if key is None else [key])[0]

    def put_all(
        self, contents: Sequence[bytes], *, durable: bool = True, keys: Sequence[str] | None = None
    ) -> list[str]:
        """Store several contents like `put`. They are synced to disk together, which is faster.

        `keys` are their hashes, in the same order, when the caller has computed them already.
        """
        keys = [content_hash(data) for data in contents] if keys is None else list(keys)
        missing = {key: data for key, data in zip(keys, contents, strict=True) if not self._renewed(key, data)}
        if missing:
            try:
                self._write(missing, durable)
            except OSError as error:
                if error.errno in NO_SPACE:
                    raise StorageFull(
                        "The disk is full: nothing was accepted. Free some space and try again."
                    ) from error
                raise
        return keys

    def get(self, key: str, *, verified: bool = False) -> bytes:
        """Return a content. With `verified`, its hash is checked and damaged content is deleted.

        Raises: NotFound when the content is missing, or damaged and `verified` is set.
        """
        try:
            data = self._path(key).read_bytes()
        except FileNotFoundError as error:
            raise NotFound("The stored content of this document is gone. Add it again.") from error
        if verified and content_hash(data) != key:
            self.delete(key)
            raise NotFound("The stored content of this document is damaged. Add it again.")
        return data

    def get_all(self, keys: Sequence[str]) -> list[bytes | Exception]:
        """Read several contents as `get` does. Returns: the content or the error of each key, in order."""
        found: list[bytes | Exception] = []
        for key in keys:
            try:
                found.append(self.get(key))
            except (NotFound, OSError) as error:
                found.append(error)
        return found

    @contextlib.contextmanager
    def deleting(self) -> Iterator[bool]:
        """Hold up backups while the block deletes contents. Yields: whether it may, because no backup reads them."""
        hold = Hold(self._folder.parent, Work.REMOVALS)
        with contextlib.closing(hold), hold.attempted() as allowed:
            yield allowed

    def delete(self, key: str, min_age_s: float = 0.0) -> bool:
        """Delete a content unless it was last put less than `min_age_s` ago. Returns: whether it is gone."""
        path = self._path(key)
        try:
            if min_age_s > 0 and self._now() - path.stat().st_mtime < min_age_s:
                return False
            path.unlink()
        except FileNotFoundError:
            return True
        return True

    def has(self, key: str) -> bool:
        """Return whether a content is stored. Raises: NotFound when `key` is not a hash."""
        return self._path(key).exists()

    def keys(self, leftover_age_s: float = 3600.0) -> Iterator[str]:
        """Yield every stored hash, in no order. Files of interrupted writes older than `leftover_age_s` are removed."""
        for shard in self._folder.iterdir():
            if not shard.is_dir():
                continue
            for path in shard.iterdir():
                if _HASH.fullmatch(path.name):
                    yield path.name
                elif path.name.startswith(_TEMPORARY):
                    with contextlib.suppress(FileNotFoundError):
                        if self._now() - path.stat().st_mtime > leftover_age_s:
                            path.unlink()

    def _path(self, key: str) -> Path:
        if not _HASH.fullmatch(key):
            raise NotFound("There is no stored content under this hash.")
        return self._folder / key[:2] / key

    def _renewed(self, key: str, data: bytes) -> bool:
        """Renew the age of a stored content. Returns: whether it is stored and complete."""
        path = self._path(key)
        try:
            os.utime(path, (self._now(), self._now()))
            return path.stat().st_size == len(data)
        except FileNotFoundError:
            return False

    def _write(self, contents: Mapping[str, bytes], durable: bool) -> None:
        """Write all contents before syncing any of them."""
        begun: list[tuple[int, str, Path]] = []
        paths = {key: self._path(key) for key in contents}
        new = {path.parent for path in paths.values() if not path.parent.exists()}
        for folder in new:
            folder.mkdir(mode=0o700, exist_ok=True)
        if new and durable:
            _sync_folder(self._folder)
        try:
            for key, data in contents.items():
                path = paths[key]
                handle, temporary = tempfile.mkstemp(prefix=_TEMPORARY, dir=path.parent)  # its mode is 0600
                begun.append((handle, temporary, path))
                with open(handle, "wb", closefd=False) as file:
                    file.write(data)
                os.utime(handle, (self._now(), self._now()))
            if durable:
                self._each(os.fsync, [handle for handle, _, _ in begun])
            for _, temporary, path in begun:
                os.replace(temporary, path)
        except BaseException:
            for _, temporary, _ in begun:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temporary)
            raise
        finally:
            for handle, _, _ in begun:
                os.close(handle)
        if durable:
            self._each(_sync_folder, {path.parent for _, _, path in begun})

    def _each(self, sync: Callable[[T], None], things: Collection[T]) -> None:
        """Sync all at the same time: the file system then commits many at once instead of one after another."""

        def sync_all(some: Sequence[T]) -> None:
            for one in some:
                sync(one)

        listed = list(things)
        if len(listed) == 1:
            sync(listed[0])
        else:  # several calls per thread, because handing over each call costs more CPU time than the call
            for _ in self._syncing.map(sync_all, [listed[at::SYNCS_AT_ONCE] for at in range(SYNCS_AT_ONCE)]):
                pass


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
