"""Log files of a service, one per replica, merged by time and followed as they grow."""

from __future__ import annotations

import collections
import heapq
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from argosy.cli.client.hints import command
from argosy.contracts.errors import NotFound

CONTROLLER = "controller"
POLL_S = 0.25


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a log. `timestamp` is ISO 8601 in UTC, which sorts as text; it is empty when the line has none."""

    timestamp: str
    origin: str
    text: str
    fields: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class _Place:
    """Position up to which a file was read. Another inode or a smaller size means that the file was replaced."""

    inode: int = 0
    offset: int = 0


class LogFiles:
    def __init__(self, folder: Path, service: str, pause: Callable[[float], None] = time.sleep) -> None:
        """Open the logs of a service. Raises: NotFound, naming the services that have logs, when it has none."""
        self._folder = folder
        self._service = service
        self._pause = pause
        self._places: dict[Path, _Place] = {}
        if not self._files():
            raise NotFound(_nothing(folder, service))

    def merged(self, last: int | None = None) -> Iterator[LogLine]:
        """Yield the lines written so far, ordered by time; only the `last` ones if given."""
        lines = heapq.merge(*(self._new_lines(file) for file in self._files()), key=lambda line: line.timestamp)
        yield from lines if last is None else collections.deque(lines, maxlen=last)

    def follow(self) -> Iterator[LogLine]:
        """Yield lines as they are written, for ever. Files that appear later are read from their start."""
        while True:
            yield from self.merged()
            self._pause(POLL_S)

    def _files(self) -> list[Path]:
        if self._service == CONTROLLER:
            return [path for path in [self._folder / f"{CONTROLLER}.log"] if path.is_file()]
        return sorted(path for path in self._folder.glob("*.log") if path.stem.rpartition("-")[0] == self._service)

    def _rotated_lines(self, path: Path, place: _Place) -> Iterator[LogLine]:
        """Yield the lines of rotated files: all at the first reading, later the rest of the file that was read."""
        if place.inode and _inode(path) in (place.inode, None):
            return
        seen = not place.inode
        for file in _rotated(path):
            try:
                stream = file.open("rb")
            except FileNotFoundError:
                continue
            with stream:
                if os.fstat(stream.fileno()).st_ino == place.inode:
                    stream.seek(place.offset)
                    seen = True
                elif not seen:
                    continue
                for raw in stream:
                    if raw.strip():
                        yield _parsed(raw, path.stem)

    def _new_lines(self, path: Path) -> Iterator[LogLine]:
        """Yield the complete lines that were not yet read. A line still being written is left for the next call."""
        place = self._places.setdefault(path, _Place())
        yield from self._rotated_lines(path, place)
        try:
            stream = path.open("rb")
        except FileNotFoundError:
            return
        with stream:
            stat = os.fstat(stream.fileno())
            if stat.st_ino != place.inode or stat.st_size < place.offset:
                place.inode, place.offset = stat.st_ino, 0
            stream.seek(place.offset)
            for raw in stream:
                if not raw.endswith(b"\n"):
                    return
                place.offset += len(raw)
                if raw.strip():
                    yield _parsed(raw, path.stem)


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


def _rotated(path: Path) -> list[Path]:
    """Return the rotated files of a log, oldest first."""
    found = [file for file in path.parent.glob(f"{path.name}.*") if file.suffix[1:].isdigit()]
    return sorted(found, key=lambda file: -int(file.suffix[1:]))


def _parsed(raw: bytes, origin: str) -> LogLine:
    text = raw.decode("utf-8", "replace").rstrip("\r\n")
    try:
        fields = msgspec.json.decode(raw, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return LogLine("", origin, text)
    return LogLine(str(fields.get("timestamp", "")), origin, text, fields)


def _nothing(folder: Path, service: str) -> str:
    known = sorted({path.stem.rpartition("-")[0] or path.stem for path in folder.glob("*.log")})
    if not known:
        return (
            f"There are no logs in {folder}. Start a fleet with: {command('up')}, or give its folder with --data-dir."
        )
    return f"There are no logs of {service} in {folder}; there are logs of {', '.join(known)}."
