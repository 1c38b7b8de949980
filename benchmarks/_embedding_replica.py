"""Replicas started as the controller starts them, without the rest of a fleet: run record, log file, endpoints."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from argosy.config.models import Fleet
from argosy.contracts.fleet import Endpoint, EndpointSet
from argosy.serving import runfile
from benchmarks._running import environment

TOKEN = "benchmark"
START_TIMEOUT_S = 60.0
POLL_S = 0.005
HOLD_S = 30.0
LEVELS = ("memory", "disk")


class Endpoints:
    """Server of the endpoint sets that a controller sends to its followers, without the rest of a controller."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._services: dict[str, list[Endpoint]] = {}
        self._version = 1
        outer = self

        class Answer(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = outer.newer_than(urlsplit(self.path).query.partition("watch=")[2])
                with contextlib.suppress(ConnectionError):  # a follower that has ended in the meantime
                    self.send_response(200 if body else 204)
                    self.send_header("content-length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def newer_than(self, known: str) -> bytes:
        """Return the current set once its version differs from `known`; nothing after a timeout."""
        with self._changed:
            self._changed.wait_for(lambda: known != f"1.{self._version}", HOLD_S)
            if known == f"1.{self._version}":
                return b""
            return msgspec.json.encode(EndpointSet(f"1.{self._version}", self._services))

    def publish(self, service: str, endpoint: Endpoint) -> None:
        with self._changed:
            self._services = {**self._services, service: [endpoint]}
            self._version += 1
            self._changed.notify_all()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Replica:
    """Service process. `ready_s` is the time from the spawn to the first successful `/readyz`."""

    def __init__(self, service: str, fleet: Fleet, data_dir: Path, endpoints: Endpoints) -> None:
        run = data_dir / "run"
        run.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = runfile.record_path(run, f"{service}-1")
        self._log = data_dir / f"{service}.log"
        record = runfile.RunRecord(
            id=f"{service}-1",
            service=service,
            revision="1",
            token=TOKEN,
            data_dir=str(data_dir),
            controller_url=endpoints.url,
            fleet_json=fleet.model_dump_json(),
            cpu_share=float(len(os.sched_getaffinity(0))),
        )
        runfile.write(self._path, record)
        began_s = time.perf_counter()
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"argosy.services.{service}"],
                env={**environment(), runfile.RUN_FILE_VARIABLE: str(self._path), "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.pid = self._process.pid
        self.url = ""
        while not self._ready():
            if self._process.poll() is not None or time.perf_counter() - began_s > START_TIMEOUT_S:
                raise SystemExit(f"{service} did not start:\n{self._log.read_text()[-3000:]}")
            time.sleep(POLL_S)
        self.ready_s = time.perf_counter() - began_s
        endpoints.publish(service, Endpoint(f"{service}-1", self.url))

    def hits(self) -> dict[str, int]:
        """Return the number of texts found in the cache so far, by level; empty for a replica without a cache."""
        request = urllib.request.Request(f"{self.url}/internal/status", headers={"authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(request) as response:
            details = json.load(response)["details"]
        return {level: details[f"cache_{level}_hits"] for level in LEVELS if f"cache_{level}_hits" in details}

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ready(self) -> bool:
        with contextlib.suppress(msgspec.DecodeError):
            self.url = runfile.read(self._path).url or ""
        if not self.url:
            return False
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(f"{self.url}/readyz").close()
            return True
        return False


@contextlib.contextmanager
def replica(service: str, fleet: Fleet, data_dir: Path, endpoints: Endpoints) -> Iterator[Replica]:
    running = Replica(service, fleet, data_dir, endpoints)
    try:
        yield running
    finally:
        running.stop()
