"""The controller's process around its loop: the admin API, signals, and its end when supervision has stopped."""

from __future__ import annotations

import asyncio
import functools
import os
import platform
import signal
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from argosy.config.models import Fleet
from argosy.contracts.errors import StartError, SupervisionLost
from argosy.contracts.fleet import StartReport
from argosy.control import main
from argosy.control.controller import Controller
from argosy.control.platforms.fake import FakePlatform
from argosy.control.platforms.platform import Replica
from argosy.control.record import ControllerRecord, is_running
from argosy.control.supervision.supervisor import Supervisor
from argosy.serving.http_server import HttpServer
from argosy.version import VERSION
from tests.unit.control.answers import Answers
from tests.waiting import until

pytestmark = pytest.mark.integration


class Harbour:
    """A controller process without replica processes."""

    def __init__(self, data_dir: Path, patch: pytest.MonkeyPatch) -> None:
        self.platform = FakePlatform(cores=64)
        self.servers: list[Any] = []
        self.records: list[ControllerRecord] = []
        self.reports: list[StartReport] = []
        patch.setattr(main, "LocalPlatform", lambda *rest: self.platform)
        patch.setattr(main, "Prober", lambda *rest: Answers())
        new = main._Admin._new

        def noting(admin: main._Admin) -> Any:
            self.servers.append(new(admin))
            return self.servers[-1]

        patch.setattr(main._Admin, "_new", noting)
        self.fleet = Fleet.model_validate({"fleet": {"data_dir": data_dir, "port": 0, "admin_port": 0}})
        self.data_dir = data_dir

    async def run(self) -> StartReport:
        return await main.run(self.fleet, self.records.append, self.reports.append)

    async def get(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.json.decode(await self.text(path))
        return found

    async def text(self, path: str) -> str:
        headers = {"authorization": f"Bearer {(self.data_dir / 'token').read_text().strip()}"}
        address = f"{self.records[0].admin_url}{path}"
        async with aiohttp.ClientSession(headers=headers) as session, session.get(address) as answer:
            return await answer.text()


@pytest.fixture
def harbour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Harbour:
    return Harbour(tmp_path / "data", monkeypatch)


async def test_an_admin_api_that_ends_is_served_again_on_its_port(harbour: Harbour) -> None:
    running = asyncio.create_task(harbour.run())
    await until(lambda: harbour.reports)
    assert (await harbour.get("/readyz")) == {"status": "ready"}
    running_servers = [server for server in harbour.servers if server.started]
    running_servers[-1].should_exit = True
    await until(lambda: sum(server.started for server in harbour.servers) == 2)
    fleet = await harbour.get("/v1/fleet")
    assert fleet["controller"]["status"] == fleet["status"] == "DEGRADED"
    assert (
        fleet["controller"]["reason"]
        == "admin API failed (The admin API ended although it was not stopped; it is being started again.)"
    )
    assert "argosy_controller_health 1.0" in await harbour.text("/metrics")
    assert (await harbour.get("/readyz"))["degraded"] == fleet["controller"]["reason"]
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(running, 30)
    assert harbour.platform.replicas() == []


async def test_prometheus_finds_every_metrics_page_and_what_each_process_uses(harbour: Harbour) -> None:
    running = asyncio.create_task(harbour.run())
    await until(lambda: harbour.reports)
    groups = msgspec.json.decode(await harbour.text("/v1/prometheus/targets"), type=list[dict[str, Any]])
    admin = harbour.records[0].admin_url.removeprefix("http://")
    assert groups[0] == {
        "targets": [admin],
        "labels": {"job": "argosy", "service": "controller", "replica": "controller"},
    }
    assert {group["labels"]["replica"] for group in groups[1:]} == {r.id for r in harbour.platform.replicas()}
    assert all(group["targets"][0].startswith("127.0.0.1:") for group in groups)
    text = await harbour.text("/metrics")
    for series in (
        'argosy_replica_memory_bytes{replica="store-1",service="store"} 1.048576e+06',
        'argosy_replica_cpu_seconds_total{replica="store-1",service="store"} 0.0',
        f'argosy_build_info{{python="{platform.python_version()}",version="{VERSION}"}} 1.0',
        "process_resident_memory_bytes ",
        "process_open_fds ",
    ):
        assert series in text
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(running, 30)


@pytest.mark.parametrize("starts", [True, False], ids=["while replicas start", "before adoption is done"])
async def test_a_signal_during_the_start_stops_what_has_begun(
    harbour: Harbour, monkeypatch: pytest.MonkeyPatch, starts: bool
) -> None:
    reached = asyncio.Event()

    async def never(self: FakePlatform, replica: Replica, timeout_s: float) -> None:
        reached.set()
        await asyncio.Event().wait()

    async def slowly(self: FakePlatform) -> list[Replica]:
        reached.set()
        for _ in range(100):
            await asyncio.sleep(0)
        return []

    if starts:
        monkeypatch.setattr(FakePlatform, "listening", never)
    else:
        monkeypatch.setattr(FakePlatform, "adopt", slowly)
    running = asyncio.create_task(harbour.run())
    await reached.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(running, 30)
    assert harbour.platform.replicas() == []
    assert not is_running(harbour.data_dir)


async def test_a_controller_without_supervision_ends_with_an_error_and_the_next_one_adopts(
    harbour: Harbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main, "Controller", functools.partial(Controller, most_failures=1))
    running = asyncio.create_task(harbour.run())
    await until(lambda: harbour.reports)
    alive = {replica.id for replica in harbour.platform.replicas()}

    def broken(self: Supervisor) -> float | None:
        raise KeyError("slot")

    with monkeypatch.context() as patch:
        patch.setattr(Supervisor, "_reconcile", broken)
        harbour.platform.kill("store-1")
        with pytest.raises(SupervisionLost, match=r"run 'argosy up'.*argosy logs controller"):
            await asyncio.wait_for(running, 30)
    assert {replica.id for replica in harbour.platform.replicas()} == alive - {"store-1"}
    assert not any(line.startswith("stop") for line in harbour.platform.log)
    assert not is_running(harbour.data_dir)

    left = harbour.platform.replicas()
    harbour.platform = FakePlatform(survivors=tuple(left), cores=64)
    harbour.reports.clear()
    running = asyncio.create_task(harbour.run())
    await until(lambda: harbour.reports)
    assert {replica.id for replica in harbour.platform.replicas()} == alive
    assert harbour.platform.log == ["start store-1"]
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(running, 30)


async def test_a_start_that_is_refused_leaves_nothing_behind(harbour: Harbour, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ending(self: object, sockets: object) -> None:
        """End at once, as a server that cannot start does."""

    monkeypatch.setattr(HttpServer, "serve", ending)
    with pytest.raises(
        StartError, match=r"The admin API ended while it started on port \d+; see the controller's log\."
    ):
        await harbour.run()
    assert not is_running(harbour.data_dir)
    assert harbour.platform.log == []
