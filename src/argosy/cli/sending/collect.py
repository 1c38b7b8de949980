"""Which files `argosy add` sends, and under which source."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
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


MAX_FILE_BYTES = 2**31 - 1
READ_BYTES = 2**20
MAX_UNSIZED_BYTES = 2**20
"""Most that is read of a file that says it is empty, as those of /proc do whatever they hold."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One document to send: a file, or bytes that are here already."""

    name: str
    source: str
    path: Path | None = None
    data: bytes | None = None
    follow: bool = True
    """Whether the file may be a symbolic link: one that was named may, one that was found in a folder may not."""

    def size_bytes(self) -> int:
        """Its size as far as is known; 0 for what cannot be looked at, which reading will report."""
        if self.path is None:
            return len(self.data or b"")
        try:
            return self.path.stat(follow_symlinks=self.follow).st_size
        except OSError:
            return 0

    def read(self) -> bytes:
        """The file as it was when it was opened: what is appended meanwhile is left for the next time.

        Raises: OSError, also for what is no regular file or too large.
        """
        if self.path is None:
            return self.data or b""
        # A FIFO that nobody writes to would never open otherwise.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if self.follow else os.O_NOFOLLOW)
        descriptor = os.open(self.path, flags)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.EINVAL, f"It is {_kind(found.st_mode)}, not a regular file")
            if found.st_size > MAX_FILE_BYTES:
                raise OSError(errno.EFBIG, f"It is larger than {MAX_FILE_BYTES} bytes")
            if found.st_size:
                return _read(descriptor, found.st_size)
            content = _read(descriptor, MAX_UNSIZED_BYTES + 1)
        finally:
            os.close(descriptor)
        if len(content) > MAX_UNSIZED_BYTES:
            raise OSError(errno.EFBIG, f"It says it is empty and holds more than {MAX_UNSIZED_BYTES} bytes")
        return content


@dataclass(frozen=True, slots=True)
class Collected:
    """What was found in folders and is not sent; hidden files do not count."""

    outgoing: list[Outgoing]
    skipped: list[Path]
    """Files whose extension is not supported."""
    links: list[Path] = field(default_factory=list)
    """Symbolic links, which may lead out of the folder."""


def collect(
    paths: Sequence[Path], recursive: bool, stdin: bytes | None = None, follow_symlinks: bool = False
) -> Collected:
    """What to send for `paths`, each file once, folders in name order.

    A path that is named is followed where it is a symbolic link; links inside folders only with `follow_symlinks`.
    Raises: NotFound, a path does not exist; InvalidRequest, nothing is left to send.
    """
    found = scan(paths, recursive, stdin, follow_symlinks)
    if not found.outgoing:
        links = f" Its {len(found.links)} symbolic links are followed with --follow-symlinks." if found.links else ""
        raise InvalidRequest(
            f"There is nothing to send in {', '.join(map(str, paths))}: folders are searched for "
            f"{' '.join(sorted(SUPPORTED))}; name a file to send it whatever its extension.{links}"
        )
    return found


def scan(
    paths: Sequence[Path], recursive: bool, stdin: bytes | None = None, follow_symlinks: bool = False
) -> Collected:
    """The same, which may also be nothing.

    Raises: NotFound; InvalidRequest, a folder cannot be read or a named path is neither a file nor a folder.
    """
    require(paths)
    outgoing: dict[str, Outgoing] = {}
    skipped: set[Path] = set()
    links: set[Path] = set()
    for path in paths:
        if path == STDIN:
            found = [_from_stdin(stdin or b"")]
        elif path.is_dir():
            files, met = _files_in(path, recursive, follow_symlinks)
            links.update(link.absolute() for link in met)
            skipped.update(file.absolute() for file in files if file.suffix.lower() not in SUPPORTED)
            found = [_from_file(file, follow_symlinks) for file in files if file.suffix.lower() in SUPPORTED]
        else:
            _require_regular(path)
            found = [_from_file(path, follow=True)]
        for one in found:
            outgoing.setdefault(one.source, one)
    return Collected(list(outgoing.values()), sorted(skipped), sorted(links))


def require(paths: Sequence[Path]) -> None:
    """Raises: NotFound, one of them is not there."""
    for path in paths:
        if path != STDIN and not path.exists():
            raise NotFound(f"{path} does not exist; nothing was sent.")


def _require_regular(path: Path) -> None:
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise InvalidRequest(
            f"{path} is {_kind(mode)}, not a file; nothing was sent. To send what it gives: argosy add - < {path}"
        )


def _files_in(folder: Path, recursive: bool, follow: bool) -> tuple[list[Path], list[Path]]:
    """Regular files in name order, and the links that were not followed."""
    files: list[Path] = []
    links: list[Path] = []
    entered: set[tuple[int, int]] = set()
    for parent, folders, names in os.walk(folder, onerror=_refuse, followlinks=follow):
        seen = [name for name in sorted(names) if not name.startswith(".")]
        inside = [name for name in sorted(folders) if not name.startswith(".")]
        if not follow:
            links += [Path(parent, name) for name in [*seen, *inside] if os.path.islink(os.path.join(parent, name))]
        elif not _is_first_visit(parent, entered):  # a link led back here
            folders.clear()
            continue
        folders[:] = inside if recursive else []
        paths = (Path(parent, name) for name in seen)
        files += [path for path in paths if path.is_file() and (follow or not path.is_symlink())]
    return files, links


def _is_first_visit(folder: str, entered: set[tuple[int, int]]) -> bool:
    """Whether this is the first way that led into the folder; remembers that it was entered."""
    try:
        found = os.stat(folder)
    except OSError:  # deleted since it was listed
        return False
    identity = found.st_dev, found.st_ino
    is_new = identity not in entered
    entered.add(identity)
    return is_new


def _refuse(error: OSError) -> None:
    raise InvalidRequest(f"{error.filename} cannot be read: {error.strerror}; nothing was sent.") from error


def _read(descriptor: int, most_bytes: int) -> bytes:
    parts, left = [], most_bytes
    while left > 0 and (part := os.read(descriptor, min(left, READ_BYTES))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _kind(mode: int) -> str:
    kinds = (
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
        (stat.S_ISDIR, "a folder"),
    )
    return next((name for applies, name in kinds if applies(mode)), "something else")


def _from_file(path: Path, follow: bool) -> Outgoing:
    absolute = Path(os.path.abspath(path))
    name = os.fsencode(absolute.name).decode("utf-8", "replace")  # names are bytes, and need not be text
    return Outgoing(name=name, source=absolute.as_uri(), path=absolute, follow=follow)


def _from_stdin(data: bytes) -> Outgoing:
    """Its content names it: piping other text adds another document, piping the same again changes nothing."""
    return Outgoing(name="stdin", source=f"stdin:{hashlib.sha256(data).hexdigest()[:32]}", data=data)
