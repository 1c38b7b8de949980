"""A fleet to break: two replicas where two may run, services of the user's own, and the tools that break it."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psutil

from argosy.serving.runfile import RUN_FILE_VARIABLE
from tests.chaos.library import TEXTS
from tests.e2e.fleet import FAKE, Ran, RealFleet, lives, names, until
from tests.e2e.wire import Answer, send
from tests.samples import echo

TWO = "replicas = { min = 2, max = 2 }"
FULL = f"""
[fleet]
probe_interval_s = 1.0
[services.embedding]
{TWO}
[services.retrieval]
{TWO}
[services.generation]
{TWO}
[services.gateway]
{TWO}
[services.echo]
module = "echo:create_app"
{TWO}
hang_limit_s = 7
memory_limit_bytes = 400_000_000
"""
POLL_S = 0.01


@dataclass
class ChaosFleet(RealFleet):
    """`settings` is the fleet file. Everything that a test does to it ends with `recovered`."""

    settings: str = FULL

    def write(self) -> None:
        """The fleet file and the user's service, into the folder that the fleet is started in."""
        (self.cwd / "fleet.toml").write_text(self.settings)
        shutil.copyfile(echo.__file__, self.cwd / "echo.py")
        (self.cwd / "behave").mkdir(exist_ok=True)

    def start(self) -> Ran:
        """Also starts the controller again where replicas are left."""
        return self.up("fleet.toml", *FAKE)

    def index(self) -> None:
        """Returns when the library is indexed; sent again it is unchanged, so this also tells that nothing is lost."""
        batch = self.upload(TEXTS, "default")["batch_id"]
        done = until(lambda: (view := self._batch(batch))["done"] and view, "the library to be indexed")
        assert done["counts"]["failed"] + done["counts"]["dead"] == 0, done

    def _batch(self, batch: str) -> dict[str, Any]:
        answer = self.call("GET", f"/v1/batches/{batch}?wait_s=5")
        assert answer.status == 200, answer.body
        return dict(answer.json())

    def view(self) -> dict[str, Any]:
        """The fleet as the controller sees it."""
        return dict(self.admin("/v1/fleet"))

    def counted(self, missing: str) -> float:
        """Answers that the gateways say a fallback served."""
        label = f'argosy_degraded_answers_total{{missing="{missing}",service="gateway"}} '
        pages = [send(r["endpoint"], "GET", "/metrics").body.decode() for r in self.replicas("gateway").values()]
        return sum(float(line.removeprefix(label)) for page in pages for line in page.splitlines() if label in line)

    def service(self, name: str) -> dict[str, Any]:
        return next(dict(service) for service in self.view()["services"] if service["name"] == name)

    def replicas(self, service: str) -> dict[str, dict[str, Any]]:
        return {replica["id"]: replica for replica in self.service(service)["replicas"]}

    def status(self) -> tuple[int, dict[str, dict[str, Any]]]:
        """What `argosy status --json` says: its exit status, and services by name."""
        ran = self.cli("status", "--json")
        return ran.exit_code, {service["name"]: service for service in ran.json().get("services", [])}

    def events(self, subject: str, since: int = 0) -> list[dict[str, Any]]:
        return list(self.admin(f"/v1/events?limit=1000&since={since}&subject={subject}")["events"])

    def now(self) -> int:
        """Where the feed of events ends."""
        return max(int(event["seq"]) for event in self.admin("/v1/events?limit=1000")["events"])

    def recovered(self, within_s: float = 120.0) -> None:
        """Returns when every replica of every service is healthy and as many run as are wanted.

        Kills that follow fast enough are a crash loop, which is tried again after a minute: that must fit in.
        """
        until(self._is_well, "the fleet to be healthy", within_s)

    def _is_well(self) -> bool:
        view = self.view()
        return view["status"] == "HEALTHY" and all(
            service["status"] == "HEALTHY"
            and len(service["replicas"]) == service["desired"]
            and all(replica["status"] == "HEALTHY" for replica in service["replicas"])
            for service in view["services"]
        )

    def assert_nothing_lost(self) -> None:
        """Every document is indexed, and found by a word of its own."""
        listed = self.documents("default")
        assert names(listed) == set(TEXTS)
        assert {document["status"] for document in listed} == {"indexed"}
        for name in TEXTS:
            found = self.call("POST", "/v1/search", {"query": name.removesuffix(".md"), "mode": "lexical"}).json()
            assert name in names(found["results"])

    def kill(self, *replicas: str) -> None:
        """kill -9, all at once; returns when they are dead."""
        self._signal(signal.SIGKILL, *replicas)

    def kill_controller(self, *replicas: str) -> None:
        """kill -9 of the controller, and of replicas with it."""
        controller = int(self.record()["pid"])
        pids = [self.pids()[replica] for replica in replicas]
        for pid in (controller, *pids):
            os.kill(pid, signal.SIGKILL)
        until(lambda: not any(lives(pid) for pid in (controller, *pids)), "the controller's end")

    def hang(self, *replicas: str) -> None:
        """SIGSTOP: alive, listening, and silent."""
        for replica in replicas:
            os.kill(self.pids()[replica], signal.SIGSTOP)

    def replaced(self, replica: str, pid: int) -> None:
        """Returns when another process is in that replica's place, and all is well."""
        until(lambda: self.pids().get(replica, pid) != pid, f"another process for {replica}")
        self.recovered()

    def drain(self, replica: str) -> Answer:
        """What the admin API answers once the replica is gone, or why it does not go."""
        path = f"/v1/services/{replica.rpartition('-')[0]}/replicas/{replica}/drain"
        return send(self.admin_url, "POST", path, {}, headers={"authorization": f"Bearer {self.token}"})

    def _signal(self, number: signal.Signals, *replicas: str) -> None:
        pids = [self.pids()[replica] for replica in replicas]
        for pid in pids:
            os.kill(pid, number)
        until(lambda: not any(lives(pid) for pid in pids), f"the end of {', '.join(replicas)}")

    @contextlib.contextmanager
    def without(self, service: str) -> Iterator[None]:
        """No replica of the service serves inside: all are killed, and what takes their place is frozen while it
        starts. It goes on when the context ends."""
        doomed = [replica for replica in self.pids() if replica.rpartition("-")[0] == service]
        assert doomed
        frozen: list[psutil.Process] = []
        ending = threading.Event()
        freezer = threading.Thread(target=self._freeze, args=(service, set(psutil.pids()), frozen, ending))
        freezer.start()
        try:
            self.kill(*doomed)
            until(lambda: len(frozen) >= len(doomed), f"the next {service} to be frozen")
            yield
        finally:
            ending.set()
            freezer.join()
            for process in frozen:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.resume()

    def _freeze(self, service: str, known: set[int], frozen: list[psutil.Process], ending: threading.Event) -> None:
        """Stops every new process of the service as soon as it shows."""
        prefix = f"{self.data_dir / 'run' / service}-"
        while not ending.wait(POLL_S):
            for pid in set(psutil.pids()) - known:
                with contextlib.suppress(psutil.Error):
                    process = psutil.Process(pid)
                    if process.environ().get(RUN_FILE_VARIABLE, "").startswith(prefix):
                        process.suspend()
                        frozen.append(process)
                        known.add(pid)

    @contextlib.contextmanager
    def behaving(self, replica: str, wish: str) -> Iterator[None]:
        """One replica of `echo` misbehaves inside."""
        path = self.cwd / "behave" / replica
        path.write_text(wish)
        try:
            yield
        finally:
            path.unlink()


@dataclass
class Elsewhere:
    """A service that the fleet calls but does not start."""

    url: str = ""
    status: int = 200
    """What it answers to everything."""


@contextlib.contextmanager
def answering() -> Iterator[Elsewhere]:
    elsewhere = Elsewhere()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"path": self.path}).encode()
            self.send_response(elsewhere.status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return None

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        try:
            elsewhere.url = f"http://127.0.0.1:{server.server_address[1]}"
            yield elsewhere
        finally:
            server.shutdown()
            serving.join()
