"""Access log: a line of JSON for a share of the requests, and for every failed or slow one.

A request only appends a tuple to a queue. A thread makes the lines and writes them.
"""

from __future__ import annotations

import collections
import datetime
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

FLUSH_S = 0.5
MOST_WAITING = 2000
"""Most lines that wait to be written; further ones are only counted."""
MOST_PATH_CHARS = 200
FAILED_STATUS = 400


@dataclass(frozen=True, slots=True)
class Served:
    """One answered request."""

    method: str
    path: str
    route: str
    status: int
    seconds: float
    request_id: str
    waits: bool = False
    """Whether the request is a long poll or a followed stream, which is never slow."""


class AccessLog:
    def __init__(
        self,
        identity: dict[str, str],
        write_lines: Callable[[Sequence[str]], None],
        share: float,
        slow_s: float,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Create the log. `identity` is part of each line; `share` of the requests are written, chosen by their id.

        All services choose the same ids, so a request that is written is written by every service on its way.
        """
        self._identity = identity
        self._write_lines = write_lines
        self._below = share * 2**32
        self._slow_s = slow_s
        self._wall = wall
        self._waiting: collections.deque[tuple[float, Served]] = collections.deque()
        self._dropped = 0
        self._due = threading.Event()
        self._ended = False
        self._thread: threading.Thread | None = None

    def record(self, served: Served) -> None:
        """Add a request, if it is chosen, failed or was slow. Returns at once."""
        chosen = served.status >= FAILED_STATUS or (served.seconds >= self._slow_s and not served.waits)
        if not chosen and zlib.crc32(served.request_id.encode()) >= self._below:
            return
        if len(self._waiting) >= MOST_WAITING:
            self._dropped += 1
            return
        self._waiting.append((self._wall(), served))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
            self._thread.start()
        self._due.set()

    def close(self) -> None:
        """Write the rest and end the thread."""
        self._ended = True
        self._due.set()
        if self._thread is not None:
            self._thread.join(5.0)
        self.flush()

    def flush(self) -> None:
        """Write the waiting lines."""
        lines = []
        while self._waiting:
            lines.append(self._line(*self._waiting.popleft()))
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            said = {"level": "warning", "event": "access lines left out", **self._identity, "number": dropped}
            lines.append(msgspec.json.encode({"timestamp": _moment(self._wall()), **said}).decode())
        if lines:
            self._write_lines(lines)

    def _run(self) -> None:
        while not self._ended:
            self._due.wait()
            self._due.clear()
            if not self._ended:
                time.sleep(FLUSH_S)
            self.flush()

    def _line(self, at_s: float, served: Served) -> str:
        return msgspec.json.encode(
            {
                "timestamp": _moment(at_s),
                "level": "info",
                "event": "request",
                **self._identity,
                "component": "access",
                "method": served.method,
                "path": served.path[:MOST_PATH_CHARS],
                "route": served.route,
                "status": served.status,
                "duration_ms": round(served.seconds * 1000, 1),
                "request_id": served.request_id,
            }
        ).decode()


def _moment(wall_s: float) -> str:
    return datetime.datetime.fromtimestamp(wall_s, datetime.UTC).isoformat(timespec="milliseconds")
