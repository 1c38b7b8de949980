"""Manifest of a backup: every file with its size and hash. A folder without a manifest is not a backup."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
from blake3 import blake3

from argosy.contracts.errors import InvalidRequest

FILE = "manifest.json"
FORMAT = 1
_STEP_BYTES = 2**22


class BackedUpFile(msgspec.Struct, frozen=True):
    """One file of a backup; `path` is relative, with slashes."""

    path: str
    size_bytes: int
    blake3: str


class Manifest(msgspec.Struct):
    """Content of a backup."""

    format: int
    argosy: str
    """Release that made the backup."""
    created_at: float
    """Wall-clock time of the snapshot."""
    documents: int
    chunks: int
    files: list[BackedUpFile]


def files_below(folder: Path) -> Iterator[Path]:
    """Yield all files below `folder` except its manifest, in the order of their names."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != folder / FILE:
            yield path


def hashed(path: Path) -> str:
    """Return the BLAKE3 hash of a file, read in small steps."""
    digest = blake3()
    with path.open("rb") as file:
        while data := file.read(_STEP_BYTES):
            digest.update(data)
    return digest.hexdigest()


def describe(folder: Path) -> list[BackedUpFile]:
    """Return all files below `folder` with their sizes and hashes."""
    return [
        BackedUpFile(path.relative_to(folder).as_posix(), path.stat().st_size, hashed(path))
        for path in files_below(folder)
    ]


def write(folder: Path, manifest: Manifest) -> None:
    """Write the manifest and sync it. This is the last step of a backup."""
    with open(os.open(folder / FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest), indent=1))
        file.flush()
        os.fsync(file.fileno())


def read(folder: Path) -> Manifest:
    """Return the manifest of a backup.

    Raises: InvalidRequest when the folder is not a whole backup, or a newer release made it.
    """
    try:
        found = msgspec.json.decode((folder / FILE).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError) as error:
        raise InvalidRequest(
            f"{folder} is not a backup: it has no readable {FILE}. Name a folder that `argosy state backup` made."
        ) from error
    if found.format > FORMAT:
        raise InvalidRequest(
            f"{folder} was made by Argosy {found.argosy}; restore it with that release or a newer one."
        )
    for file in found.files:
        parts = Path(file.path).parts
        if Path(file.path).is_absolute() or ".." in parts or not parts:
            raise InvalidRequest(
                f"{FILE} of {folder} names a file outside of the backup; it is not a backup of Argosy."
            )
    return found


def damage(folder: Path, manifest: Manifest) -> list[str]:
    """Return one sentence for each file that is missing, changed, or not part of the backup."""
    problems: list[str] = []
    for file in manifest.files:
        path = folder / file.path
        if not path.is_file():
            problems.append(f"{file.path} is missing.")
        elif path.stat().st_size != file.size_bytes or hashed(path) != file.blake3:
            problems.append(f"{file.path} is damaged: its content is not what was backed up.")
    known = {file.path for file in manifest.files}
    for path in files_below(folder):
        if (name := path.relative_to(folder).as_posix()) not in known:
            problems.append(f"{name} does not belong to the backup.")
    return problems
