"""Fleet that is started and stopped with the real command line, and called over HTTP as any other caller does."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ARGOSY = Path(sys.executable).with_name("argosy")
UNSET = "OPENBLAS_CORETYPE"
REQUEST_TIMEOUT_S = 120.0


def environment() -> dict[str, str]:
    """Return our environment without variables that would change the fleet: Argosy's own, and a forced BLAS kernel."""
    return {name: value for name, value in os.environ.items() if name != UNSET and not name.startswith("ARGOSY_")}


def argosy(*arguments: str, folder: Path) -> float:
    """Run a command and return its seconds.

    Raises: SystemExit with the command's output when it fails.
    """
    began_s = time.perf_counter()
    done = subprocess.run([ARGOSY, *arguments], cwd=folder, env=environment(), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"argosy {' '.join(arguments)} exited with {done.returncode}:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - began_s


class Caller:
    """Client with one connection that is kept open."""

    def __init__(self, url: str, token: str | None = None) -> None:
        address = urlsplit(url)
        assert address.hostname is not None
        self._connection = http.client.HTTPConnection(address.hostname, address.port, timeout=REQUEST_TIMEOUT_S)
        self._headers = {}
        if token is not None:
            self._headers["authorization"] = f"Bearer {token}"

    def call(self, method: str, path: str, message: object = None) -> tuple[int, Any]:
        """Send a message and return the status and the decoded answer."""
        return self.send(method, path, None if message is None else json.dumps(message).encode())

    def send(
        self, method: str, path: str, body: bytes | None, content_type: str = "application/json"
    ) -> tuple[int, Any]:
        """Send a body that is already encoded and return the status and the decoded answer."""
        self._connection.request(method, path, body, self._headers | {"content-type": content_type})
        response = self._connection.getresponse()
        return response.status, json.loads(response.read())

    def get(self, path: str) -> Any:
        status, answer = self.call("GET", path)
        if status != 200:
            raise SystemExit(f"GET {path} answered {status}: {answer}")
        return answer


class Afresh(Caller):
    """Client with a new connection for each request, because the other side closes idle ones between measurements."""

    def call(self, method: str, path: str, message: object = None) -> tuple[int, Any]:
        self._connection.close()
        return super().call(method, path, message)


class RunningFleet:
    """Context of `argosy up --detach` on free ports, which stops the fleet at the end."""

    def __init__(self, data_dir: Path, *options: str) -> None:
        self.data_dir = data_dir
        self._options = options
        self.command_s = 0.0

    def __enter__(self) -> RunningFleet:
        ports = ("--port", "0", "--admin-port", "0")
        own = ("--data-dir", str(self.data_dir), *self._options)
        self.command_s = argosy("up", "--detach", *ports, *own, folder=self.data_dir.parent)
        record = json.loads((self.data_dir / "run" / "controller.json").read_bytes())
        self.gateway_url: str = record["gateway_url"]
        self.admin_url: str = record["admin_url"]
        return self

    def __exit__(self, *_: object) -> None:
        argosy("down", "--data-dir", str(self.data_dir), folder=self.data_dir.parent)

    def caller(self) -> Caller:
        return Caller(self.gateway_url)

    def start_report(self) -> Any:
        return Caller(self.admin_url, (self.data_dir / "token").read_text().strip()).get("/v1/start")


@contextlib.contextmanager
def fleet_url(given: str) -> Iterator[str]:
    """Give the address of a running fleet, or start one in a temporary folder and stop it at the end."""
    if given:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, RunningFleet(Path(folder) / "data") as fleet:
        yield fleet.gateway_url
