"""Backend of benchmarks/balancing_live.py: a process with a number of slots that waits instead of computing.

`GET /work?ms=12` takes a slot, oldest waiting request first, and keeps it for that time. `/now` answers at once.
`/control?reports=1` answers the number of `/work` requests since the last such call; from then on, answers carry a load
report, or with 0 none. Every other path is answered at once with 200, as a health check.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import uvicorn

from argosy.control.preflight import free_port
from argosy.serving.load import LoadTracker
from benchmarks._running import Caller

ROOT = Path(__file__).resolve().parents[1]
KEEPALIVE_S = 75
START_TIMEOUT_S = 30.0


class Backend:
    """ASGI application of the backend."""

    def __init__(self, slots: int) -> None:
        self._free = asyncio.Semaphore(slots)
        self._load = LoadTracker(time.monotonic, capacity=slots)
        self._reports = False
        self._worked = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        query = parse_qs(scope["query_string"].decode())
        body = b"1"
        besides = 0
        if scope["path"] == "/work":
            besides = 1
            self._worked += 1
            began_s = self._load.begin()
            async with self._free:
                await asyncio.sleep(float(query["ms"][0]) / 1000)
        elif scope["path"] == "/control":
            body = str(self._worked).encode()
            self._worked, self._reports = 0, query["reports"] == ["1"]
        headers = [(b"content-length", str(len(body)).encode()), (b"content-type", b"text/plain")]
        if self._reports:
            headers.append((b"endpoint-load-metrics", self._load.header(besides=besides).encode()))
        if besides:
            self._load.end(began_s, 200)
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@dataclass(frozen=True, slots=True)
class Running:
    url: str
    process: subprocess.Popen[bytes]

    def control(self, *, reports: bool) -> int:
        """Return the requests for work since the last call, and switch load reports on or off from now on."""
        status, worked = Caller(self.url).call("GET", f"/control?reports={int(reports)}")
        assert status == 200
        return int(worked)


@contextmanager
def running(slots: Sequence[int]) -> Iterator[list[Running]]:
    """Run a ready process for each number of slots."""
    with ExitStack() as stack:
        backends = []
        for number in slots:
            port = free_port("127.0.0.1", 0, "--port")
            command = [sys.executable, "-m", "benchmarks._live_backend", "--port", str(port), "--slots", str(number)]
            process = stack.enter_context(subprocess.Popen(command, cwd=ROOT))
            stack.callback(process.kill)
            backends.append(Running(f"http://127.0.0.1:{port}", process))
        for backend in backends:
            await_ready(backend.url, backend.process)
        yield backends


def await_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the process answers.

    Raises: SystemExit when it ended or does not answer in time.
    """
    until_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < until_s and process.poll() is None:
        try:
            Caller(url).call("GET", "/control?reports=0")
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"No process answers at {url}: {process.args!r}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--slots", type=int, required=True)
    given = parser.parse_args()
    uvicorn.run(
        Backend(given.slots),
        port=given.port,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_keep_alive=KEEPALIVE_S,
    )


if __name__ == "__main__":
    main()
