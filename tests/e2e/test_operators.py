"""Printed commands, quiet logs, request ids in every hop, metrics, and a low limit on descriptors."""

from __future__ import annotations

import json
import resource
import shlex
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from tests.e2e.fleet import FAKE, Ran, RealFleet, argosy, until
from tests.e2e.wire import send

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RealFleet, Ran]]:
    """Start a fleet from a file in a folder with a space in its name, from another folder."""
    home = tmp_path_factory.mktemp("my home")
    (home / "fleet.toml").write_text(
        '[fleet]\ndata_dir = "the data"\nport = 0\nadmin_port = 0\naccess_log_share = 1.0\n'
    )
    fleet = RealFleet(home / "the data", tmp_path_factory.mktemp("elsewhere"))
    try:
        yield fleet, argosy("up", "--detach", str(home / "fleet.toml"), *FAKE, cwd=fleet.cwd).ok()
    finally:
        fleet.end()


def _log(fleet: RealFleet, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (fleet.data_dir / "logs" / f"{name}.log").read_text().splitlines()]


def test_a_healthy_start_and_its_first_requests_log_no_warning(started: tuple[RealFleet, Ran]) -> None:
    fleet, _ = started
    (fleet.cwd / "berths.md").write_text("# Berths\n\nBerth seven is crimson.\n")
    fleet.cli("add", "berths.md", "--wait").ok()
    assert "crimson" in fleet.cli("ask", "What colour is berth seven?").ok().out
    lines = [line for file in (fleet.data_dir / "logs").glob("*.log") for line in _log(fleet, file.stem)]
    assert [line for line in lines if line["level"] != "info"] == []


def test_every_printed_command_finds_the_fleet_from_any_folder(started: tuple[RealFleet, Ran], tmp_path: Path) -> None:
    fleet, up = started
    commands = [line.strip() for line in up.err.splitlines() if line.strip().startswith("argosy ")]
    assert [command.split()[1] for command in commands] == ["down", "render"]
    rendered = argosy(*shlex.split(commands[1])[1:], cwd=tmp_path).ok().out
    assert f'"--data-dir={fleet.data_dir}"' in rendered or f'--data-dir "{fleet.data_dir}"' in rendered
    assert "services.embedding.backend=fake" in rendered
    second = argosy(*fleet.record()["start_command"].split()[1:2], *shlex.split(fleet.record()["start_command"])[2:],
                    cwd=tmp_path)  # fmt: skip
    said = second.error()
    assert "A fleet is already running" in said
    words = shlex.split(said.partition("See it with: ")[2].partition(". Stop")[0])
    assert "HEALTHY" in argosy(*words[1:], cwd=tmp_path).out


def test_one_request_is_found_in_the_access_log_of_every_hop(started: tuple[RealFleet, Ran]) -> None:
    fleet, _ = started
    answer = fleet.call("POST", "/v1/search", {"query": "berth"}, headers={"x-request-id": "trace-me-1"})
    assert answer.status == 200

    def hops() -> bool:
        found = {
            line["service"]
            for name in ("gateway-1", "retrieval-1", "store-1", "embedding-1")
            for line in _log(fleet, name)
            if line.get("request_id") == "trace-me-1" and line["event"] == "request"
        }
        return found == {"gateway", "retrieval", "store", "embedding"}

    until(hops, "a line of each hop", within_s=20)


def test_prometheus_finds_pages_that_answer(started: tuple[RealFleet, Ran]) -> None:
    fleet, _ = started
    groups = fleet.admin("/v1/prometheus/targets")
    assert {group["labels"]["service"] for group in groups} >= {"controller", "gateway", "store"}
    for group in groups:
        page = send(f"http://{group['targets'][0]}", "GET", "/metrics")
        assert page.status == 200
        assert b"process_cpu_seconds_total" in page.body
        assert b"argosy_build_info" in page.body


def test_status_of_an_address_asks_this_address(started: tuple[RealFleet, Ran], tmp_path: Path) -> None:
    fleet, _ = started
    assert "gateway" in argosy("status", "--url", fleet.url, cwd=tmp_path).ok().out
    wrong = argosy(
        "status", "--url", "http://127.0.0.1:1", cwd=tmp_path, environ={"ARGOSY_DATA_DIR": str(fleet.data_dir)}
    )
    assert "No fleet answers at http://127.0.0.1:1" in wrong.error()


def test_running_out_of_descriptors_is_degraded_with_this_reason(started: tuple[RealFleet, Ran]) -> None:
    fleet, _ = started
    gateway = psutil.Process(fleet.pids()["gateway-1"])
    before = gateway.rlimit(resource.RLIMIT_NOFILE)
    address = urlsplit(fleet.url)
    opened: list[socket.socket] = []
    try:
        gateway.rlimit(resource.RLIMIT_NOFILE, (gateway.num_fds() + 40, before[1]))
        opened += [socket.create_connection((address.hostname or "", address.port or 0), 20) for _ in range(80)]

        def reported() -> bool:
            [service] = [one for one in fleet.admin("/v1/fleet")["services"] if one["name"] == "gateway"]
            return service["status"] == "DEGRADED" and "file descriptors have run out" in service["reason"]

        until(reported, "the reason in the status", within_s=30)
    finally:
        gateway.rlimit(resource.RLIMIT_NOFILE, before)
        for connection in opened:
            connection.close()
