"""Integrity of files: a file is hashed once, and then its size and time of change are trusted.

The ledger is a small JSON file. A file with the recorded size and `mtime_ns` is not read again, so that a start does
not hash 90 MB. Any other file is hashed and compared with the record.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import msgspec

from argosy.contracts.errors import ModelMissing

LEDGER = "verified.json"
_BLOCK_BYTES = 1 << 20


class FileRecord(msgspec.Struct, frozen=True):
    size_bytes: int
    mtime_ns: int
    sha256: str


class Ledger(msgspec.Struct):
    """Record of a folder's files when they were last read. `files` is keyed by path relative to the folder."""

    model: str
    source: str
    files: dict[str, FileRecord] = {}


class Damaged(Exception):
    """A file is damaged or missing. `str()` names it with the expected and the actual hash."""

    def __init__(self, file: str, expected: str, actual: str) -> None:
        super().__init__(f"{file} is damaged (expected sha256 {expected}, found {actual})")
        self.file = file
        self.expected = expected
        self.actual = actual


def sha256_of(path: Path) -> str:
    """Return the file's sha256 in hex.

    Raises: OSError when the file cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def unreadable(path: Path, why: str) -> ModelMissing:
    """Return the error for a model file that cannot be used, with its hash, for comparison with the original's."""
    try:
        found = f"found sha256 {sha256_of(path)}"
    except OSError:
        found = "it cannot be read"
    return ModelMissing(f"The model's {path.name} cannot be used ({found}; compare it with the original's): {why}")


def read_ledger(path: Path) -> Ledger | None:
    """Return the ledger at `path`; None when it is absent or cannot be read, and then all files are hashed again."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Ledger)
    except (OSError, ValueError, msgspec.DecodeError):
        return None


def write_ledger(path: Path, ledger: Ledger) -> None:
    """Replace the ledger in one step. A folder that cannot be written is not an error: the next start hashes again."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    except OSError:
        return
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(ledger)))
        os.replace(temporary, path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)


def record(folder: Path, files: Iterable[str]) -> dict[str, FileRecord]:
    """Hash every file.

    Raises: OSError when a file cannot be read.
    """
    return {name: _measure(folder / name) for name in files}


def recheck(folder: Path, ledger: Ledger, pins: dict[str, str]) -> Ledger:
    """Return `ledger` brought up to date. Only files whose size or time of change differs are read.

    `pins` are hashes that take precedence over the ledger.

    Raises: Damaged for the first file that is missing or differs from its pin or its record.
    """
    fresh: dict[str, FileRecord] = {}
    for name, old in ledger.files.items():
        expected = pins.get(name, old.sha256)
        try:
            stat = (folder / name).stat()
            unchanged = stat.st_size == old.size_bytes and stat.st_mtime_ns == old.mtime_ns
            now = old if unchanged else _measure(folder / name)
        except OSError:
            raise Damaged(name, expected, "no readable file") from None
        if now.sha256 != expected:
            raise Damaged(name, expected, now.sha256)
        fresh[name] = now
    return Ledger(ledger.model, ledger.source, fresh)


def _measure(path: Path) -> FileRecord:
    stat = path.stat()
    return FileRecord(stat.st_size, stat.st_mtime_ns, sha256_of(path))
