"""Originals and parsed texts, each under the hash of its content."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from argosy.contracts.errors import NotFound, StorageFull

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_HASH = re.compile(r"[0-9a-f]{64}")
_TEMPORARY = ".writing-"


def content_hash(data: bytes) -> str:
    """SHA-256 of the content, 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


class BlobStore:
    """Files `ab/abcdef…` below a folder, readable by their owner only. Blocking; safe from several processes.

    What `put` returned for is on disk and survives a power cut. `now` is wall-clock time, as file times are.
    """

    def __init__(self, folder: Path, now: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._now = now
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def put(self, data: bytes) -> str:
        """Keeps `data`. Returns: its hash. Putting the same again only renews its age. Raises: StorageFull."""
        key = content_hash(data)
        path = self._path(key)
        try:
            os.utime(path, (self._now(), self._now()))
        except FileNotFoundError:
            pass
        else:
            return key
        try:
            self._write(path, data)
        except OSError as error:
            if error.errno in NO_SPACE:
                raise StorageFull("The disk is full: nothing was accepted. Free some space and try again.") from error
            raise
        return key

    def get(self, key: str) -> bytes:
        """Raises: NotFound."""
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError as error:
            raise NotFound("The stored content of this document is gone.") from error

    def delete(self, key: str, min_age_s: float = 0.0) -> bool:
        """Removes it, unless it was put (again) less than `min_age_s` ago. Returns: whether it is gone."""
        path = self._path(key)
        try:
            if min_age_s > 0 and self._now() - path.stat().st_mtime < min_age_s:
                return False
            path.unlink()
        except FileNotFoundError:
            return True
        return True

    def has(self, key: str) -> bool:
        return self._path(key).exists()

    def keys(self, leftover_age_s: float = 3600.0) -> Iterator[str]:
        """Every stored hash, in no order. Leftovers of interrupted writes are removed on the way at that age."""
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

    def _write(self, path: Path, data: bytes) -> None:
        shard = path.parent
        if not shard.exists():
            shard.mkdir(mode=0o700, exist_ok=True)
            _sync_folder(self._folder)
        handle, temporary = tempfile.mkstemp(prefix=_TEMPORARY, dir=shard)  # made with mode 0600
        try:
            with open(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.utime(temporary, (self._now(), self._now()))
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
        _sync_folder(shard)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
