"""Output of a process's logs: a file that is rotated by size, with repeats of a warning collapsed into one line."""

from __future__ import annotations

import contextlib
import copy
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from argosy.contracts.request import Clock

FIELDS = "argosy_fields"
"""Attribute of a log record that holds the fields of an event."""
REPEATS_S = 10.0
"""Time within which the same warning is only counted."""
PROSE = frozenset({"reason", "detail", "why"})
"""Fields with sentences, whose numbers may differ between repeats."""
_OWN = frozenset({"request_id"})
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Rotation:
    """Limits of log files: the size at which a file is rotated, and the size of all files in the folder."""

    file_bytes: int
    total_bytes: int


@dataclass(slots=True)
class _Repeated:
    began_s: float
    record: logging.LogRecord
    count: int = 0


class LogOutput(logging.Handler):
    """Handler that appends lines to a file, or to standard output without one."""

    def __init__(
        self, path: Path | None = None, rotation: Rotation | None = None, clock: Clock = time.monotonic
    ) -> None:
        """Open the file. If standard output is this file already, it follows each rotation together with the errors."""
        super().__init__()
        self._path = path
        self._rotation = rotation
        self._clock = clock
        self._repeats: dict[object, _Repeated] = {}
        self._timer: threading.Timer | None = None
        self._redirected = path is None or _is_same(1, path)
        self._descriptor = 1 if self._redirected else _opened(path)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if record.levelno >= logging.WARNING and self._is_repeat(record):
                return
            self._write(self.format(record) + "\n")
        except Exception:
            self.handleError(record)

    def write_lines(self, lines: Sequence[str]) -> None:
        """Write complete lines at once. Safe to call from any thread."""
        with self._held():
            self._write("".join(f"{line}\n" for line in lines))

    def flush(self) -> None:
        """Write the counts of all repeats."""
        with self._held():
            self._tell_repeats(float("inf"))

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        with contextlib.suppress(OSError):
            self.flush()
        if not self._redirected:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
        super().close()

    def _is_repeat(self, record: logging.LogRecord) -> bool:
        """Count the record if the same one was written less than REPEATS_S ago."""
        now_s = self._clock()
        self._tell_repeats(now_s - REPEATS_S)
        key = _key(record)
        known = self._repeats.get(key)
        if known is None:
            self._repeats[key] = _Repeated(now_s, record)
            return False
        known.count += 1
        known.record = record
        if self._timer is None:
            self._timer = threading.Timer(REPEATS_S, self._ring)
            self._timer.daemon = True
            self._timer.start()
        return True

    def _ring(self) -> None:
        with self._held():
            self._timer = None
            self._tell_repeats(float("inf"))

    def _tell_repeats(self, before_s: float) -> None:
        """Write the count of each warning that was first written before that time, and forget the warning."""
        for key in [key for key, known in self._repeats.items() if known.began_s <= before_s]:
            known = self._repeats.pop(key)
            if known.count:
                summary = copy.copy(known.record)
                summary.exc_info = None
                summary.argosy_request_id = ""  # the repeats belong to many requests
                setattr(summary, FIELDS, {**getattr(summary, FIELDS, {}), "repeated": known.count})
                self._write(self.format(summary) + "\n")

    def _write(self, text: str) -> None:
        os.write(self._descriptor, text.encode("utf-8", "replace"))
        if self._rotation and self._path and os.fstat(self._descriptor).st_size >= self._rotation.file_bytes:
            self._rotate(self._path, self._rotation)

    def _rotate(self, path: Path, rotation: Rotation) -> None:
        """Begin a new file. A failure leaves the old one in use: logging must not end because of it."""
        with contextlib.suppress(OSError):
            shift(path, rotation)
            fresh = _opened(path)
            if self._redirected:
                os.dup2(fresh, 1)
                os.dup2(fresh, 2)
                os.close(fresh)
            else:
                os.close(self._descriptor)
                self._descriptor = fresh

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        self.acquire()
        try:
            yield
        finally:
            self.release()


def shift(path: Path, rotation: Rotation, move: Callable[[Path, Path], object] = os.replace) -> None:
    """Move `X.log` to `X.log.1`, after `X.log.1` to `X.log.2` and so on, and delete the oldest files of the folder.

    Raises: OSError when a file cannot be moved.
    """
    for number in range(len(rotated(path)), 0, -1):
        with contextlib.suppress(FileNotFoundError):
            os.replace(f"{path}.{number}", f"{path}.{number + 1}")
    move(path, Path(f"{path}.1"))
    limit_total(path.parent, rotation)


def rotated(path: Path) -> list[Path]:
    """Return the rotated files of a log, oldest first."""
    found = [file for file in path.parent.glob(f"{path.name}.*") if file.suffix[1:].isdigit()]
    return sorted(found, key=lambda file: -int(file.suffix[1:]))


def limit_total(folder: Path, rotation: Rotation) -> None:
    """Delete the oldest rotated files until all logs of the folder, with one full file to come, fit into the limit."""
    sizes: dict[Path, tuple[float, int]] = {}
    for file in folder.glob("*.log*"):
        with contextlib.suppress(FileNotFoundError):
            stat = file.stat()
            sizes[file] = (stat.st_mtime, stat.st_size)
    over = sum(size for _, size in sizes.values()) + rotation.file_bytes - rotation.total_bytes
    for file in sorted(sizes, key=lambda file: sizes[file][0]):
        if over <= 0:
            return
        if file.suffix[1:].isdigit():
            file.unlink(missing_ok=True)
            over -= sizes[file][1]


def _key(record: logging.LogRecord) -> object:
    fields: dict[str, object] = getattr(record, FIELDS, {})
    texts = (
        (name, _DIGITS.sub("#", value) if name in PROSE else value)
        for name, value in fields.items()
        if isinstance(value, str) and name not in _OWN
    )
    error = record.exc_info[0] if record.exc_info else None
    return record.name, record.levelno, record.getMessage() if not fields else record.msg, tuple(texts), error


def _is_same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _opened(path: Path | None) -> int:
    assert path is not None
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
