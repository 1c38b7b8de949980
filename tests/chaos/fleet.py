"""A fleet for failure tests: two replicas where possible, custom services, and the tools that break it."""

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
    """Fleet for failure tests. `settings` is the fleet file. Every test that breaks it ends with `recovered`."""

    settings: str = FULL

    def write(self) -> None:
        """Write the fleet file and the custom service into the folder in which the fleet is started."""
        (self.cwd / "fleet.toml").write_text(self.settings)
        shutil.copyfile(echo.__file__, self.cwd / "echo.py")
        (self.cwd / "behave").mkdir(exist_ok=True)

    def start(self) -> Ran:
        """Start the fleet, or only its controller when replicas are still running."""
        return self.up("fleet.toml", *FAKE)

    def index(self) -> None:
        """Wait until the library is indexed. On a repeated call it is unchanged, which shows that nothing is lost."""
        batch = self.upload(TEXTS, "default")["batch_id"]
        done = until(lambda: (view := self._batch(batch))["done"] and view, "the library to be indexed")
        assert done["counts"]["failed"] + done["counts"]["dead"] == 0, done

    def _batch(self, batch: str) -> dict[str, Any]:
        answer = self.call("GET", f"/v1/batches/{batch}?wait_s=5")
        assert answer.status == 200, answer.body
        return dict(answer.json())

    def view(self) -> dict[str, Any]:
        """Return the fleet as the controller sees it."""
        return dict(self.admin("/v1/fleet"))

    def counted(self, missing: str) -> float:
        """Return the number of answers that, according to the gateways, a fallback served."""
        label = f'argosy_degraded_answers_total{{missing="{missing}",service="gateway"}} '
        pages = [send(r["endpoint"], "GET", "/metrics").body.decode() for r in self.replicas("gateway").values()]
        return sum(float(line.removeprefix(label)) for page in pages for line in page.splitlines() if label in line)

    def service(self, name: str) -> dict[str, Any]:
        return next(dict(service) for service in self.view()["services"] if service["name"] == name)

    def replicas(self, service: str) -> dict[str, dict[str, Any]]:
        return {replica["id"]: replica for replica in self.service(service)["replicas"]}

    def status(self) -> tuple[int, dict[str, dict[str, Any]]]:
        """Run `argosy status --json`. Returns: its exit status, and the services by name."""
        ran = self.cli("status", "--json")
        return ran.exit_code, {service["name"]: service for service in ran.json().get("services", [])}

    def events(self, subject: str, since: int = 0) -> list[dict[str, Any]]:
        return list(self.admin(f"/v1/events?limit=1000&since={since}&subject={subject}")["events"])

    def now(self) -> int:
        """Return the number of the latest event."""
        return max(int(event["seq"]) for event in self.admin("/v1/events?limit=1000")["events"])

    def recovered(self, within_s: float = 120.0) -> None:
        """Wait until every replica of every service is healthy and the desired number runs.

        Kills in quick succession count as a crash loop, which is retried after a minute: `within_s` must allow for
        that.
        """
        until(self._is_well, "the fleet to be healthy", within_s)

    def _is_well(self) -> bool:
        view = self.view()
        # The controller itself counts as DEGRADED for a minute after an error in one of its loops.
        return all(
            service["status"] == "HEALTHY"
            and len(service["replicas"]) == service["desired"]
            and all(replica["status"] == "HEALTHY" for replica in service["replicas"])
            for service in view["services"]
        )

    def assert_nothing_lost(self) -> None:
        """Check that every document is indexed and found by its unique word."""
        listed = self.documents("default")
        assert names(listed) == set(TEXTS)
        assert {document["status"] for document in listed} == {"indexed"}
        for name in TEXTS:
            found = self.call("POST", "/v1/search", {"query": name.removesuffix(".md"), "mode": "lexical"}).json()
            assert name in names(found["results"])

    def kill(self, *replicas: str) -> None:
        """Kill (-9) all given replicas at once and wait until they are dead."""
        self._signal(signal.SIGKILL, *replicas)

    def kill_controller(self, *replicas: str) -> None:
        """Kill (-9) the controller and the given replicas."""
        controller = int(self.record()["pid"])
        pids = [self.pids()[replica] for replica in replicas]
        for pid in (controller, *pids):
            os.kill(pid, signal.SIGKILL)
        until(lambda: not any(lives(pid) for pid in (controller, *pids)), "the controller's end")

    def hang(self, *replicas: str) -> None:
        """Send SIGSTOP, so that the replicas are alive and listening but silent."""
        for replica in replicas:
            os.kill(self.pids()[replica], signal.SIGSTOP)

    def replaced(self, replica: str, pid: int) -> None:
        """Wait until a new process has replaced the replica and the fleet is healthy."""
        until(lambda: self.pids().get(replica, pid) != pid, f"another process for {replica}")
        self.recovered()

    def drain(self, replica: str) -> Answer:
        """Drain a replica. Returns: the answer of the admin API once the replica is gone, or its error."""
        path = f"/v1/services/{replica.rpartition('-')[0]}/replicas/{replica}/drain"
        return send(self.admin_url, "POST", path, {}, headers={"authorization": f"Bearer {self.token}"})

    def _signal(self, number: signal.Signals, *replicas: str) -> None:
        pids = [self.pids()[replica] for replica in replicas]
        for pid in pids:
            os.kill(pid, number)
        until(lambda: not any(lives(pid) for pid in pids), f"the end of {', '.join(replicas)}")

    @contextlib.contextmanager
    def without(self, service: str) -> Iterator[None]:
        """Keep the service down for the block: kill all replicas and freeze their successors while they start.

        The frozen processes continue when the block ends.
        """
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
        """Stop every new process of the service as soon as it appears."""
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
        """Make one replica of `echo` misbehave for the block."""
        path = self.cwd / "behave" / replica
        path.write_text(wish)
        try:
            yield
        finally:
            path.unlink()


@dataclass
class Elsewhere:
    """An external service, which the fleet calls but does not start."""

    url: str = ""
    status: int = 200
    """Status of every answer."""


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
