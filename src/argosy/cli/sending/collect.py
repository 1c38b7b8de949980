"""Selection of the files to send, with the source of each."""

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
"""Extensions of files sent from folders without a look at their content; images, which need OCR, are not sent.

Other files in folders are sent if they hold text, like source code and configuration files. A file named on the command
line is sent whatever its extension: the fleet detects its type from its content.
"""


IMAGES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".gif", ".webp", ".bmp", ".ico"})
SNIFFED_BYTES = 8192
NOT_IN_TEXT = bytes(byte for byte in range(32) if byte not in (8, 9, 10, 11, 12, 13, 27))
"""Bytes that occur in no text, like zero."""
MAX_FILE_BYTES = 2**31 - 1
READ_BYTES = 2**20
MAX_UNSIZED_BYTES = 2**20
"""Most bytes read from a file whose reported size is 0, like all files in /proc."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One document to send: a file, or bytes in memory."""

    name: str
    source: str
    path: Path | None = None
    data: bytes | None = None
    follow: bool = True
    """Whether the file may be a symbolic link: a named path may be one, a file found in a folder may not."""

    def size_bytes(self) -> int:
        """Return the size, or 0 when the file cannot be examined; `read` then reports the error."""
        if self.path is None:
            return len(self.data or b"")
        try:
            return self.path.stat(follow_symlinks=self.follow).st_size
        except OSError:
            return 0

    def read(self) -> bytes:
        """Return the content up to the size that the file had when it was opened.

        Raises: OSError, also when it is not a regular file or is too large.
        """
        if self.path is None:
            return self.data or b""
        # Without O_NONBLOCK, opening a FIFO that has no writer would block for ever.
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
            raise OSError(errno.EFBIG, f"Its reported size is 0, but it holds more than {MAX_UNSIZED_BYTES} bytes")
        return content


@dataclass(frozen=True, slots=True)
class Collected:
    """Files to send, and files in folders that are not sent. Hidden files are ignored."""

    outgoing: list[Outgoing]
    skipped: list[Path]
    """Files that hold no text and whose extension is not supported."""
    links: list[Path] = field(default_factory=list)
    """Symbolic links, which may lead out of the folder."""


def collect(
    paths: Sequence[Path], recursive: bool, stdin: bytes | None = None, follow_symlinks: bool = False
) -> Collected:
    """Return the files to send for `paths`, each file once, folders in name order.

    A named path may be a symbolic link. Links inside folders are followed only with `follow_symlinks`.
    Raises: as `scan`; InvalidRequest also when there is nothing to send.
    """
    found = scan(paths, recursive, stdin, follow_symlinks)
    if not found.outgoing:
        links = f" To follow its {len(found.links)} symbolic links, add --follow-symlinks." if found.links else ""
        raise InvalidRequest(
            f"There is nothing to send in {', '.join(map(str, paths))}. From folders, text files of any kind and files "
            f"with these extensions are sent: {' '.join(sorted(SUPPORTED))}. A file named on the command line may have "
            f"any extension.{links}"
        )
    return found


def scan(
    paths: Sequence[Path], recursive: bool, stdin: bytes | None = None, follow_symlinks: bool = False
) -> Collected:
    """Do the same as `collect`, but allow an empty result.

    Raises: NotFound when a path does not exist; InvalidRequest when a folder cannot be read or a named path is neither
    a file nor a folder.
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
            sent = [file for file in files if file.suffix.lower() in SUPPORTED or _is_text(file, follow_symlinks)]
            skipped.update(file.absolute() for file in set(files).difference(sent))
            found = [_from_file(file, follow_symlinks) for file in sent]
        else:
            _require_regular(path)
            found = [_from_file(path, follow=True)]
        for one in found:
            outgoing.setdefault(one.source, one)
    return Collected(list(outgoing.values()), sorted(skipped), sorted(links))


def require(paths: Sequence[Path]) -> None:
    """Check that all paths exist. Raises: NotFound when one does not."""
    for path in paths:
        if path != STDIN and not path.exists():
            raise NotFound(f"{path} does not exist; nothing was sent.")


def _require_regular(path: Path) -> None:
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise InvalidRequest(
            f"{path} is {_kind(mode)}, not a file; nothing was sent. To send its content: argosy add - < {path}"
        )


def _files_in(folder: Path, recursive: bool, follow: bool) -> tuple[list[Path], list[Path]]:
    """Return the regular files in name order, and the links that were not followed. Hidden files are left out."""
    files: list[Path] = []
    links: list[Path] = []
    entered: set[tuple[int, int]] = set()
    for parent, folders, names in os.walk(folder, onerror=_refuse, followlinks=follow):
        seen = [name for name in sorted(names) if not name.startswith(".")]
        inside = [name for name in sorted(folders) if not name.startswith(".")]
        if not follow:
            links += [Path(parent, name) for name in [*seen, *inside] if os.path.islink(os.path.join(parent, name))]
        elif not _is_first_visit(parent, entered):  # a link led back to a folder already entered
            folders.clear()
            continue
        folders[:] = inside if recursive else []
        paths = (Path(parent, name) for name in seen)
        files += [path for path in paths if path.is_file() and (follow or not path.is_symlink())]
    return files, links


def _is_text(path: Path, follow: bool) -> bool:
    """Return whether the file begins like a text: UTF-8 or another encoding of single bytes, without control bytes."""
    if path.suffix.lower() in IMAGES:
        return False
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
    except OSError:
        return False
    try:
        start = os.read(descriptor, SNIFFED_BYTES)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return bool(start.strip()) and not any(byte in start for byte in NOT_IN_TEXT)


def _is_first_visit(folder: str, entered: set[tuple[int, int]]) -> bool:
    """Return whether the folder was not entered before, and record that it is entered now."""
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
    name = os.fsencode(absolute.name).decode("utf-8", "replace")  # file names are bytes, which may not be valid text
    return Outgoing(name=name, source=absolute.as_uri(), path=absolute, follow=follow)


def _from_stdin(data: bytes) -> Outgoing:
    """Return standard input as a document whose source is a hash of its content.

    Other text is therefore another document, and the same text again changes nothing.
    """
    return Outgoing(name="stdin", source=f"stdin:{hashlib.sha256(data).hexdigest()[:32]}", data=data)
