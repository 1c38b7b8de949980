"""A fleet of real processes for a test, with the real command line, its own folder and free ports."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil

from argosy.serving.runfile import RUN_FILE_VARIABLE
from tests.e2e.wire import Answer, send

T = TypeVar("T")

FAKE = ("--set", "services.embedding.backend=fake")
SERVICES = {"store", "embedding", "documents", "retrieval", "generation", "gateway"}
NOT_INHERITED = ("ARGOSY_FLEET__", "ARGOSY_SERVICES__", "ARGOSY_URL", "ARGOSY_ADMIN_URL", "ARGOSY_DATA_DIR", "OPENAI_")
COMMAND_S = 240.0
"""Timeout of a command against hanging, far above the duration of any command on a busy machine."""


def until(condition: Callable[[], T | None], what: str, within_s: float = 90.0) -> T:
    """Wait until `condition` returns a true value and return it. Tests wait nowhere else."""
    deadline_s = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < deadline_s, f"not within {within_s:.0f} s: {what}"
        time.sleep(0.05)
    return found


def lives(pid: int) -> bool:
    """Return whether a process runs. A zombie, which its parent has not reaped yet, does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@dataclass(frozen=True)
class Ran:
    """Result of a command."""

    arguments: tuple[str, ...]
    exit_code: int
    out: str
    err: str

    def ok(self) -> Ran:
        assert self.exit_code == 0, f"argosy {' '.join(self.arguments)} ended with {self.exit_code}:\n{self.err}"
        return self

    def json(self) -> Any:
        return json.loads(self.out)

    def error(self) -> str:
        """Return the sentence with which the command failed."""
        said = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(said) == 1, self.err
        assert "Traceback" not in self.err + self.out
        return said[0].removeprefix("error: ")


def argosy(*arguments: str, cwd: Path, environ: Mapping[str, str] | None = None) -> Ran:
    """Run the command without the caller's environment variables about other fleets."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(NOT_INHERITED)}
    done = subprocess.run(
        [sys.executable, "-m", "argosy.cli", *arguments],
        cwd=cwd,
        env={**inherited, **(environ or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMMAND_S,
        check=False,
    )
    return Ran(arguments, done.returncode, done.stdout, done.stderr)


@dataclass
class RealFleet:
    """A data_dir and the fleet on it, which may be running."""

    data_dir: Path
    cwd: Path
    environ: dict[str, str] = field(default_factory=dict)

    def cli(self, *arguments: str, environ: Mapping[str, str] | None = None) -> Ran:
        settings = {"ARGOSY_DATA_DIR": str(self.data_dir), **self.environ, **(environ or {})}
        return argosy(*arguments, cwd=self.cwd, environ=settings)

    def up(self, *options: str, environ: Mapping[str, str] | None = None) -> Ran:
        return self.cli("up", "--detach", "--port", "0", "--admin-port", "0", *options, environ=environ)

    def down(self) -> Ran:
        """Stop the fleet and check that nothing of it is left."""
        ran = self.cli("down").ok()
        self.assert_nothing_left()
        return ran

    def record(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads((self.data_dir / "run" / "controller.json").read_bytes())
        return record

    @property
    def url(self) -> str:
        return str(self.record()["gateway_url"])

    @property
    def admin_url(self) -> str:
        return str(self.record()["admin_url"])

    @property
    def token(self) -> str:
        return (self.data_dir / "token").read_text()

    def call(self, method: str, path: str, message: object = None, **more: Any) -> Answer:
        """Send a request to the public API."""
        return send(self.url, method, path, message, **more)

    def admin(self, path: str) -> Any:
        """Read from the admin API as the fleet's operator."""
        answer = send(self.admin_url, "GET", path, headers={"authorization": f"Bearer {self.token}"})
        assert answer.status == 200, answer.body
        return answer.json()

    def pids(self) -> dict[str, int]:
        """Return the pid of each replica from its own record, except replicas that are starting or ending right now."""
        found: dict[str, int] = {}
        for path in self.replica_records():
            with contextlib.suppress(FileNotFoundError):
                pid = json.loads(path.read_bytes())["pid"]
                if pid is not None:
                    found[path.stem] = pid
        return found

    def replica_records(self) -> list[Path]:
        return sorted((self.data_dir / "run").glob("*-*.json"))

    def processes(self) -> list[psutil.Process]:
        """Return every process that was started as a replica of this fleet or by a replica."""
        return [process for process in psutil.process_iter() if self._owns(process)]

    def assert_nothing_left(self) -> None:
        """Check that no process of the fleet lives and no replica is recorded."""
        until(lambda: not self.processes(), "the end of every replica", within_s=10.0)
        run_dir = self.data_dir / "run"
        left = {path.name for path in run_dir.iterdir()} - {"controller.json", "controller.lock"}
        assert not left
        until(lambda: not lives(self.record()["pid"]), "the end of the controller", within_s=10.0)

    def end(self) -> None:
        """End the fleet at teardown, whatever state a failed test left it in. Processes already gone raise no error."""
        if (self.data_dir / "run").is_dir():
            self.cli("down")
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def upload(self, texts: Mapping[str, str], collection: str) -> dict[str, Any]:
        """Upload texts, given by id, in one request. Returns: the answer about the accepted documents."""
        documents = [{"id": name, "text": text} for name, text in texts.items()]
        answer = self.call("POST", "/v1/documents", {"documents": documents, "collection": collection})
        assert answer.status == 202, answer.body
        return dict(answer.json())

    def documents(self, collection: str) -> list[dict[str, Any]]:
        return list(self.cli("documents", "list", "--collection", collection, "--json").ok().json()["documents"])

    def _owns(self, process: psutil.Process) -> bool:
        try:
            run_file = process.environ().get(RUN_FILE_VARIABLE, "")
        except psutil.Error:  # ended, or a zombie, which holds no resources
            return False
        return Path(run_file).is_relative_to(self.data_dir)


class Trap:
    """An address that never answers and records every connection, to detect the use of a variable that names it."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"

    def visited(self) -> bool:
        try:
            self._listener.accept()[0].close()
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        self._listener.close()


@dataclass
class SharedFleet(RealFleet):
    """The only fleet with the real model. Every variable that names an outside address names the trap."""

    trap: Trap = field(default_factory=Trap)
    started: Ran = Ran((), -1, "", "")
    """Result of `argosy up` of this fleet."""

    def start(self) -> None:
        self.started = self.up()


MakeFleet = Callable[[], RealFleet]


def names(documents: Sequence[Mapping[str, Any]]) -> set[str]:
    return {document["name"] for document in documents}
