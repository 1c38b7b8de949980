"""Starts that fail or take long: the rest of the fleet still starts, serves and is supervised."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.chaos.fleet import ChaosFleet
from tests.chaos.load import Load
from tests.e2e.fleet import SERVICES, Ran, until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

MUTE = "import os, socket, time; s = socket.create_server(('127.0.0.1', int(os.environ['PORT']))); time.sleep(600)"
SOUR = """
import http.server, os
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self): self.send_response(500); self.end_headers()
http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), H).serve_forever()
"""
SETTINGS = f"""
[fleet]
probe_interval_s = 1.0
[services.broken]
module = "treasure:create_app"
[services.mute]
command = ["{sys.executable}", "-c", {MUTE!r}]
start_timeout_s = 3
[services.sour]
command = ["{sys.executable}", "-c", '''{SOUR}''']
start_timeout_s = 3
[services.echo]
module = "echo:create_app"
"""
KILLED_WHILE_STARTING = "retrieval-1"


@pytest.fixture(scope="module")
def starting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChaosFleet]:
    """Provide a fleet in which three services cannot start and echo starts only when told to."""
    home = tmp_path_factory.mktemp("starts")
    fleet = ChaosFleet(home / "data", home, settings=SETTINGS)
    fleet.write()
    try:
        yield fleet
        fleet.assert_nothing_lost()
        fleet.down()
    finally:
        fleet.end()


@pytest.fixture(scope="module")
def started(starting: ChaosFleet) -> Ran:
    """Return how `argosy up` ended. While it waits for echo, the others serve and a killed replica is restarted."""
    fleet = starting
    with ThreadPoolExecutor(1) as helper:
        with fleet.behaving("echo-1", "start slowly"):
            up = helper.submit(fleet.start)
            until(lambda: _serves(fleet), "the gateway to serve")
            fleet.index()
            pid = fleet.pids()[KILLED_WHILE_STARTING]
            fleet.kill(KILLED_WHILE_STARTING)
            until(lambda: fleet.pids().get(KILLED_WHILE_STARTING, pid) != pid, "its restart")
            until(lambda: fleet.service("retrieval")["status"] == "HEALTHY", "retrieval to be healthy")
            assert not fleet.admin("/v1/start")["finished"]
            assert not up.done()
        return up.result()


def _bound(thief: socket.socket, port: int) -> bool:
    """Return whether the port could be bound: a dead process may release its sockets a little later."""
    try:
        thief.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


def _serves(fleet: ChaosFleet) -> bool:
    try:
        return fleet.call("GET", "/readyz").status == 200
    except OSError:
        return False


@pytest.fixture
def fleet(starting: ChaosFleet, started: Ran) -> ChaosFleet:
    return starting


def report(fleet: ChaosFleet) -> dict[str, dict[str, Any]]:
    return {entry["service"]: entry for entry in fleet.admin("/v1/start")["services"]}


def test_what_cannot_start_is_named_and_the_rest_starts(fleet: ChaosFleet, started: Ran) -> None:
    assert started.exit_code == 1
    assert "7 of 10 services started" in started.out
    outcomes = {name: entry["outcome"] for name, entry in report(fleet).items()}
    assert outcomes == {
        **dict.fromkeys([*SERVICES, "echo"], "started"),
        **dict.fromkeys(["broken", "mute", "sour"], "failed"),
    }
    broken = "services.broken.module: treasure cannot be imported: No module named 'treasure'."
    assert report(fleet)["broken"]["error"].startswith(broken)
    assert "No module named 'treasure'" in started.out
    assert "no answer within 1 s" in report(fleet)["mute"]["error"]
    assert "/readyz answered 500" in report(fleet)["sour"]["error"]
    with Load(fleet.url) as load:
        load.more(10)
    load.assert_none_failed()
    assert load.degraded() == set()


def test_a_crash_loop_is_said_loudly_and_the_rest_is_healthy(fleet: ChaosFleet) -> None:
    seen = until(
        lambda: (s := fleet.service("broken"))["reason"].startswith("crash loop") and s, "the loop to be noticed"
    )
    assert seen["status"] == "UNHEALTHY"
    assert "treasure cannot be imported" in seen["reason"]
    assert "5 failures in a row, trying again every " in seen["reason"]
    code, services = fleet.status()
    assert code == 1
    assert services["broken"]["reason"].startswith("crash loop")
    assert {services[name]["status"] for name in SERVICES} == {"HEALTHY"}
    assert any(event["after"] == "crash loop" for event in fleet.events("broken-1"))
    failures = [event for event in fleet.events("broken-1") if event["after"] in ("ended", "crash loop")]
    assert {event["before"] for event in failures} == {"starting"}


def test_a_gateway_whose_port_was_taken_says_so_and_is_back_when_it_is_free(fleet: ChaosFleet) -> None:
    port = int(fleet.url.rpartition(":")[2])
    fleet.kill("gateway-1")
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        until(lambda: _bound(thief, port), "the dead gateway's port to be free")
        thief.listen()
        taken = f"Port {port} on 127.0.0.1 cannot be opened"
        until(lambda: taken in fleet.service("gateway")["reason"], "the reason to be known")
        code, services = fleet.status()
    assert code == 1
    assert services["gateway"]["status"] == "UNHEALTHY"
    assert taken in services["gateway"]["reason"]
    assert {services[name]["status"] for name in SERVICES - {"gateway"}} == {"HEALTHY"}
    until(lambda: fleet.service("gateway")["status"] == "HEALTHY", "the gateway to be back")
    assert fleet.call("GET", "/readyz").status == 200
