"""Is a file still the one that was checked? Hashes once, then trusts size and time of change.

The ledger is a small JSON file. A file whose size and `mtime_ns` stand in it is not read again, so that
a start does not hash 90 MB; any other file is hashed and compared with what was recorded.
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
    """What was found in a folder when its files were last read. `files` is keyed by path relative to the folder."""

    model: str
    source: str
    files: dict[str, FileRecord] = {}


class Damaged(Exception):
    """A file is not what it must be. `str()` names it with the expected and the actual hash."""

    def __init__(self, file: str, expected: str, actual: str) -> None:
        super().__init__(f"{file} is damaged (expected sha256 {expected}, found {actual})")
        self.file = file
        self.expected = expected
        self.actual = actual


def sha256_of(path: Path) -> str:
    """The file's sha256 in hex. Raises: OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def unreadable(path: Path, why: str) -> ModelMissing:
    """The error for a file of a model that cannot be used: names it with its hash, to be compared with its origin's."""
    try:
        found = f"found sha256 {sha256_of(path)}"
    except OSError:
        found = "no readable file"
    return ModelMissing(f"The model's {path.name} cannot be read ({found}; compare it with its origin's): {why}")


def read_ledger(path: Path) -> Ledger | None:
    """The ledger at `path`; None when there is none or it cannot be read (everything is then hashed anew)."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Ledger)
    except (OSError, ValueError, msgspec.DecodeError):
        return None


def write_ledger(path: Path, ledger: Ledger) -> None:
    """Replace the ledger in one step. A folder that cannot be written is no error: the next start hashes again."""
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
    """Hash every file. Raises: OSError."""
    return {name: _measure(folder / name) for name in files}


def recheck(folder: Path, ledger: Ledger, pins: dict[str, str]) -> Ledger:
    """`ledger` brought up to date, reading only files whose size or time of change differs.

    `pins` are hashes that hold whatever the ledger says. Raises: Damaged for the first file that is
    missing or differs from its pin or its record.
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
