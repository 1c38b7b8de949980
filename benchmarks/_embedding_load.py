"""Load from a separate process, so that its cost is not counted with the server. `LoadGenerator` starts the process.

It sends plain HTTP/1.1 over connections that are kept open, with bodies prepared before the clock starts, and keeps
answers only on request. One request costs it about 0.1 ms.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import msgspec
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
LIMIT_BYTES = 2**26


class Plan(msgspec.Struct):
    """Plan of a load.

    `clients` take the bodies in order, each waiting `pause_s` after an answer; `at_most_s` ends the load early.
    """

    url: str
    headers: dict[str, str]
    bodies: list[bytes]
    clients: int
    pause_s: float = 0.0
    at_most_s: float = 600.0
    keep: bool = False


class Outcome(msgspec.Struct):
    """Result of a load.

    `latencies_ms` are in order of completion; `statuses` counts statuses other than 200; `answers` are in the order of
    bodies.
    """

    wall_s: float
    cpu_s: float
    latencies_ms: list[float]
    statuses: dict[int, int]
    answers: list[bytes]
    cache_headers: list[str]


class LoadGenerator:
    """Client of the load process. It runs one plan at a time; several generators may run at once."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks._embedding_load"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def run(self, plan: Plan) -> Outcome:
        self.start(plan)
        return self.finish()

    def start(self, plan: Plan) -> None:
        assert self._process.stdin is not None
        _write(self._process.stdin, msgspec.msgpack.encode(plan))

    def finish(self) -> Outcome:
        """Wait for the end of the plan and return the outcome.

        Raises: SystemExit when a request was refused, because a refused request costs nothing and would look fast.
        """
        assert self._process.stdout is not None
        message = _read(self._process.stdout)
        if message is None:
            raise SystemExit("The load generator ended.")
        outcome = msgspec.msgpack.decode(message, type=Outcome)
        if outcome.statuses:
            raise SystemExit(f"Requests were refused, by status: {outcome.statuses}")
        return outcome

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def summary(latencies_ms: list[float]) -> dict[str, float]:
    return {f"p{q}_ms": float(np.percentile(latencies_ms, q)) for q in (50, 99)}


def _write(stream: IO[bytes], message: bytes) -> None:
    stream.write(len(message).to_bytes(8, "little") + message)
    stream.flush()


def _read(stream: IO[bytes]) -> bytes | None:
    size = stream.read(8)
    return stream.read(int.from_bytes(size, "little")) if len(size) == 8 else None


async def _carry_out(plan: Plan) -> Outcome:
    address = urlsplit(plan.url)
    fixed = "".join(f"{name}: {value}\r\n" for name, value in plan.headers.items())
    head = f"POST {address.path} HTTP/1.1\r\nhost: {address.netloc}\r\n{fixed}content-length: "
    requests = [f"{head}{len(body)}\r\n\r\n".encode() + body for body in plan.bodies]
    streams = [
        await asyncio.open_connection(address.hostname, address.port, limit=LIMIT_BYTES) for _ in range(plan.clients)
    ]
    outcome = Outcome(0.0, 0.0, [], {}, [b""] * (len(requests) if plan.keep else 0), [])
    numbers = iter(range(len(requests)))
    began_s, cpu_began_s = time.perf_counter(), time.process_time()

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in numbers:
            sent_s = time.perf_counter()
            if sent_s - began_s > plan.at_most_s:
                return
            writer.write(requests[number])
            lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
            body = await reader.readexactly(int(headers["content-length"]))
            outcome.latencies_ms.append((time.perf_counter() - sent_s) * 1000)
            status = int(lines[0].split()[1])
            if status != 200:
                outcome.statuses[status] = outcome.statuses.get(status, 0) + 1
            if plan.keep:
                outcome.answers[number] = body
            if "x-argosy-cache" in headers:
                outcome.cache_headers.append(headers["x-argosy-cache"])
            if plan.pause_s:
                await asyncio.sleep(plan.pause_s)

    await asyncio.gather(*(client(reader, writer) for reader, writer in streams))
    outcome.wall_s = time.perf_counter() - began_s
    outcome.cpu_s = time.process_time() - cpu_began_s
    for _, writer in streams:
        writer.close()
    return outcome


def main() -> None:
    while (message := _read(sys.stdin.buffer)) is not None:
        outcome = asyncio.run(_carry_out(msgspec.msgpack.decode(message, type=Plan)))
        _write(sys.stdout.buffer, msgspec.msgpack.encode(outcome))


if __name__ == "__main__":
    main()
