"""Which files `argosy add` sends, and under which source."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from argosy.contracts.errors import InvalidRequest, NotFound

STDIN = Path("-")
SUPPORTED = frozenset(
    f".{suffix}"
    for suffix in (
        *("md", "markdown", "mdown", "mkd", "txt", "text", "log", "rst", "html", "htm", "xhtml", "pdf"),
        *("docx", "pptx", "xlsx", "odt", "rtf", "epub", "eml", "csv", "tsv", "json", "jsonl", "ndjson"),
    )
)
"""Taken from folders: what the documents service reads, but for images, which need character recognition.

A file that is named is sent whatever it is called: the fleet looks at what it holds.
"""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One document to send: a file, or bytes that are here already."""

    name: str
    source: str
    path: Path | None = None
    data: bytes | None = None

    def size_bytes(self) -> int:
        """Its size as far as is known; 0 for what cannot be looked at, which reading will report."""
        if self.path is None:
            return len(self.data or b"")
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def read(self) -> bytes:
        """Raises: OSError."""
        return self.data if self.path is None and self.data is not None else (self.path or STDIN).read_bytes()


@dataclass(frozen=True, slots=True)
class Collected:
    """`skipped` are files in folders whose extension is not supported; hidden ones do not count."""

    outgoing: list[Outgoing]
    skipped: list[Path]


def collect(paths: Sequence[Path], recursive: bool, stdin: bytes | None = None) -> Collected:
    """What to send for `paths`, each file once, folders in name order.

    Raises: NotFound, a path does not exist; InvalidRequest, nothing is left to send.
    """
    found = scan(paths, recursive, stdin)
    if not found.outgoing:
        raise InvalidRequest(
            f"There is nothing to send in {', '.join(map(str, paths))}: folders are searched for "
            f"{' '.join(sorted(SUPPORTED))}; name a file to send it whatever its extension."
        )
    return found


def scan(paths: Sequence[Path], recursive: bool, stdin: bytes | None = None) -> Collected:
    """The same, which may also be nothing. Raises: NotFound; InvalidRequest, a folder cannot be read."""
    require(paths)
    outgoing: dict[str, Outgoing] = {}
    skipped: set[Path] = set()
    for path in paths:
        if path == STDIN:
            found = [_from_stdin(stdin or b"")]
        elif path.is_dir():
            files = list(_files_in(path, recursive))
            skipped.update(file.absolute() for file in files if file.suffix.lower() not in SUPPORTED)
            found = [_from_file(file) for file in files if file.suffix.lower() in SUPPORTED]
        else:
            found = [_from_file(path)]
        for one in found:
            outgoing.setdefault(one.source, one)
    return Collected(list(outgoing.values()), sorted(skipped))


def require(paths: Sequence[Path]) -> None:
    """Raises: NotFound, one of them is not there."""
    for path in paths:
        if path != STDIN and not path.exists():
            raise NotFound(f"{path} does not exist; nothing was sent.")


def _files_in(folder: Path, recursive: bool) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith(".")) if recursive else []
        for name in sorted(files):
            file = Path(parent, name)
            if not name.startswith(".") and file.is_file():
                yield file


def _refuse(error: OSError) -> None:
    raise InvalidRequest(f"{error.filename} cannot be read: {error.strerror}; nothing was sent.") from error


def _from_file(path: Path) -> Outgoing:
    absolute = Path(os.path.abspath(path))
    return Outgoing(name=absolute.name, source=absolute.as_uri(), path=absolute)


def _from_stdin(data: bytes) -> Outgoing:
    """Its content names it: piping other text adds another document, piping the same again changes nothing."""
    return Outgoing(name="stdin", source=f"stdin:{hashlib.sha256(data).hexdigest()[:32]}", data=data)
