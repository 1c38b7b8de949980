"""Benchmark of faults: failed requests, time to recovery, time to detection, and the cost of the watch itself.

`python benchmarks/resilience.py` prints a Markdown table; `--only kill store controller hang idle` picks rows.
Embeddings are fake, because the results do not depend on the model.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.client
import json
import os
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._processes import cpu_s
from benchmarks._running import Caller, argosy

CALLERS = 4
REQUESTS = 2_000
ROUNDS = 3
HANGS = 4
IDLE_S = 30.0
IDLE_REPLICAS = 20
WAIT_S = 120.0
POLL_S = 0.02
PROBE_INTERVAL_S = 2.0
RESETS = (ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected, http.client.IncompleteRead)
TWO = "replicas = { min = 2, max = 2 }"
PAIRS = "".join(f"[services.{name}]\n{TWO}\n" for name in ("embedding", "retrieval", "generation", "gateway"))
TINY = """
import http.server, os
class Tiny(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Tiny).serve_forever()
"""
TINIES = f"""
[services.tiny]
command = ["{sys.executable}", "-c", '''{TINY}''']
replicas = {{ min = {IDLE_REPLICAS}, max = {IDLE_REPLICAS} }}
"""
SEARCH = ("/v1/search", {"query": "berth seven"})
CHAT = ("/v1/chat/completions", {"model": "argosy", "messages": [{"role": "user", "content": "What is berth seven?"}]})
Row = tuple[str, str, str]
T = TypeVar("T")


class Subject:
    """Fleet in its own temporary folder, with the faults that can be caused in it."""

    def __init__(self, home: Path, settings: str) -> None:
        self._home = home
        self.data_dir = home / "data"
        (home / "fleet.toml").write_text(settings)

    def up(self) -> None:
        data, ports = ("--data-dir", str(self.data_dir)), ("--port", "0", "--admin-port", "0")
        fake = ("--set", "services.embedding.backend=fake")
        argosy("up", "fleet.toml", "--detach", *data, *ports, *fake, folder=self._home)
        record = json.loads((self.data_dir / "run" / "controller.json").read_bytes())
        self.controller_pid: int = record["pid"]
        self.url: str = record["gateway_url"]
        self._admin_url: str = record["admin_url"]

    def down(self) -> None:
        argosy("down", "--data-dir", str(self.data_dir), folder=self._home)

    def admin(self, path: str) -> Any:
        return Caller(self._admin_url, (self.data_dir / "token").read_text().strip()).get(path)

    def index(self) -> None:
        texts = [
            {"id": f"{n}.md", "text": f"Berth {n} is {10 * n} metres long. Berth seven is red."} for n in range(20)
        ]
        caller = Caller(self.url)
        _, accepted = caller.call("POST", "/v1/documents", {"documents": texts})
        while not caller.get(f"/v1/batches/{accepted['batch_id']}?wait_s=10")["done"]:
            pass

    def replica(self, replica: str) -> dict[str, Any]:
        services = self.admin("/v1/fleet")["services"]
        return next(dict(r) for service in services for r in service["replicas"] if r["id"] == replica)

    def restarts(self) -> int:
        services = self.admin("/v1/fleet")["services"]
        return sum(int(replica["restarts"]) for service in services for replica in service["replicas"])

    def signal(self, replica: str, number: signal.Signals) -> float:
        """Send a signal to the replica and return the wall time."""
        pid = self.replica(replica)["pid"]
        at = time.time()
        os.kill(pid, number)
        return at

    def event(self, replica: str, after: str, since: float) -> float:
        """Wait for the replica's first such transition after `since` and return its wall time."""

        def found() -> float | None:
            events = self.admin(f"/v1/events?limit=1000&subject={replica}")["events"]
            return next((float(e["at"]) for e in events if e["after"] == after and e["at"] > since), None)

        return waited(found, f"{replica} {after}")

    def healthy(self) -> None:
        def well() -> bool:
            view = self.admin("/v1/fleet")
            whole = all(len(service["replicas"]) == service["desired"] for service in view["services"])
            return whole and view["status"] == "HEALTHY"

        waited(well, "a healthy fleet")


def waited(look: Callable[[], T | None], what: str) -> T:
    deadline_s = time.monotonic() + WAIT_S
    while not (found := look()):
        if time.monotonic() > deadline_s:
            raise SystemExit(f"{what} was not reached within {WAIT_S:.0f} s")
        time.sleep(POLL_S)
    return found


@contextlib.contextmanager
def subject(settings: str) -> Iterator[Subject]:
    with tempfile.TemporaryDirectory(prefix="argosy-resilience-") as home:
        fleet = Subject(Path(home), settings)
        fleet.up()
        try:
            yield fleet
        finally:
            fleet.down()


class Traffic:
    """Traffic of REQUESTS requests from CALLERS callers. A reset connection is retried once."""

    def __init__(self, url: str, path: str, message: Mapping[str, Any]) -> None:
        self._url, self._path, self._message = url, path, message
        self._lock = threading.Lock()
        self.begun = self.failed = self.degraded = self.resets = 0

    def run(self, fault: Callable[[], object]) -> None:
        """Send the traffic. `fault` is called when a quarter of the requests are sent."""
        with ThreadPoolExecutor(CALLERS) as callers:
            running = [callers.submit(self._call) for _ in range(CALLERS)]
            waited(lambda: self.begun >= REQUESTS // 4, "the first quarter")
            fault()
            for future in running:
                future.result()

    def _call(self) -> None:
        caller = Caller(self._url)
        while self._next():
            try:
                status, answer = caller.call("POST", self._path, self._message)
            except RESETS:
                self.resets += 1
                caller = Caller(self._url)
                status, answer = caller.call("POST", self._path, self._message)
            with self._lock:
                self.failed += status != 200
                self.degraded += bool(status == 200 and answer["degraded"])

    def _next(self) -> bool:
        with self._lock:
            self.begun += 1
            return self.begun <= REQUESTS


def kills(fleet: Subject) -> Iterator[Row]:
    for service, asked in (("retrieval", SEARCH), ("embedding", SEARCH), ("generation", CHAT), ("gateway", SEARCH)):
        traffic = Traffic(fleet.url, *asked)
        traffic.run(functools.partial(fleet.signal, f"{service}-1", signal.SIGKILL))
        fleet.healthy()
        resets = f", {traffic.resets} resets tried again" if traffic.resets else ""
        figure = f"{traffic.failed} failed, {traffic.degraded} degraded of {REQUESTS}{resets}"
        yield f"kill -9 of one of two replicas: {service}", "0 failed", figure


def store(fleet: Subject) -> Iterator[Row]:
    waits, starts = [], []
    for _ in range(ROUNDS):
        killed_at = fleet.signal("store-1", signal.SIGKILL)
        path, message = SEARCH
        caller = Caller(fleet.url)
        while caller.call("POST", path, message)[0] != 200:
            pass
        served_at = time.time()
        began, ready = (fleet.event("store-1", after, killed_at) for after in ("starting", "ready"))
        waits.append(served_at - killed_at - (ready - began))
        starts.append(ready - began)
        fleet.healthy()
    figure = f"{max(waits):.2f} s at most, {statistics.median(waits):.2f} s median"
    figure += f" (start-up {statistics.median(starts):.2f} s, {ROUNDS} kills)"
    yield "kill -9 of the only replica: store; time to serving again, less its own start-up", "≤ 2 s", figure


def controller(fleet: Subject) -> Iterator[Row]:
    before = fleet.restarts()

    def restart() -> None:
        os.kill(fleet.controller_pid, signal.SIGKILL)
        fleet.up()

    traffic = Traffic(fleet.url, *SEARCH)
    traffic.run(restart)
    fleet.healthy()
    figure = f"{traffic.failed} failed of {REQUESTS}, {fleet.restarts() - before} replicas restarted"
    yield "kill -9 of the controller and `argosy up` again", "0 failed, 0 restarted", figure


def hangs(fleet: Subject) -> Iterator[Row]:
    noticed = []
    for n in range(HANGS):
        victim = f"retrieval-{1 + n % 2}"
        since = fleet.signal(victim, signal.SIGSTOP)
        noticed.append((fleet.event(victim, "stopping", since) - since) / PROBE_INTERVAL_S)
        fleet.event(victim, "ready", since)
        fleet.healthy()
    figure = f"{max(noticed):.2f} at most, {statistics.median(noticed):.2f} median ({HANGS} hangs)"
    yield f"SIGSTOP: probe intervals ({PROBE_INTERVAL_S:g} s) until it counts as hung", "≤ 3", figure


def idle(fleet: Subject) -> Iterator[Row]:
    fleet.healthy()
    before = cpu_s(fleet.controller_pid)
    time.sleep(IDLE_S)
    share = (cpu_s(fleet.controller_pid) - before) / IDLE_S
    replicas = sum(len(service["replicas"]) for service in fleet.admin("/v1/fleet")["services"])
    what = f"controller at rest, {replicas} replicas ({IDLE_REPLICAS} of them tiny), {IDLE_S:.0f} s"
    yield what, "≤ 2 % of a core", f"{share:.1%}"


MEASURES: Mapping[str, tuple[str, Callable[[Subject], Iterator[Row]]]] = {
    "kill": (PAIRS, kills),
    "store": (PAIRS, store),
    "controller": (PAIRS, controller),
    "hang": (PAIRS, hangs),
    "idle": (TINIES, idle),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=tuple(MEASURES), default=tuple(MEASURES))
    wanted = parser.parse_args().only
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before\n\n| fault | aim | measured |\n|---|---|---|")
    for settings in dict.fromkeys(MEASURES[name][0] for name in wanted):
        with subject(settings) as fleet:
            fleet.index()
            for measure in (MEASURES[name][1] for name in wanted if MEASURES[name][0] == settings):
                for row in measure(fleet):
                    print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
