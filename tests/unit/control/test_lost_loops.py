"""Errors inside the controller's own loops: supervision continues, and health and events name the failed loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from argosy.config.models import Fleet
from argosy.contracts.errors import ArgosyError
from argosy.contracts.fleet import Health
from argosy.control.controller import Controller
from argosy.control.discovery.publisher import Publisher
from argosy.control.events.feed import Feed
from argosy.control.history.history import History
from argosy.control.monitoring.observed import Observed
from argosy.control.platforms.fake import FakePlatform
from argosy.control.prediction.forecaster import Forecaster
from argosy.control.scaling.reader import Reader
from argosy.control.scaling.registration import Registration
from argosy.control.scaling.scaler import Scaler
from argosy.control.startup import Startup
from argosy.control.supervision.restart_log import RestartLog
from argosy.control.supervision.supervisor import Supervisor
from argosy.control.supervision.watchdog import Watchdog
from tests.unit.control.answers import Answers
from tests.unit.control.virtual_time import clock, run_virtually, until

pytestmark = pytest.mark.unit

FLEET = Fleet.model_validate(
    {
        "fleet": {"probe_interval_s": 2, "monitoring_interval_s": 2},
        "services": {"echo": {"module": "acme:app", "replicas": {"min": 2, "max": 4}}},
    }
)


class Wanting(Exception):
    """Raised from inside a loop."""


class Fault:
    """Fault in a method: the next `left` calls raise."""

    def __init__(self, patch: pytest.MonkeyPatch, owner: type, name: str) -> None:
        self.left = 0
        self.calls = 0
        original = getattr(owner, name)

        def raising(*args: Any, **named: Any) -> Any:
            if self.left > 0:
                self.left -= 1
                self.calls += 1
                raise Wanting
            return original(*args, **named)

        patch.setattr(owner, name, raising)


class Ship:
    """Controller on a platform without processes, under virtual time."""

    def __init__(self, data_dir: Path) -> None:
        self.history = History(data_dir)
        self.platform = FakePlatform(cores=64)
        self.prober = Answers()
        self.feed = Feed(self.history)
        self.controller = Controller(
            FLEET, self.platform, self.prober, Publisher(1), self.feed, self.history, 40_000, clock=clock
        )

    @asynccontextmanager
    async def sailing(self) -> AsyncIterator[None]:
        running = asyncio.create_task(self.controller.run())
        try:
            await until(lambda: running.done() or self.controller.start_report().finished)
            yield
        finally:
            self.controller.ask_to_stop()
            await asyncio.gather(running, return_exceptions=True)
            self.history.close()

    def pid(self, replica_id: str) -> int | None:
        return next((r.pid for r in self.platform.replicas() if r.id == replica_id), None)

    def offers(self, replica_id: str) -> bool:
        return any(endpoint.id == replica_id for endpoint in self.controller.offered("echo"))

    async def restarts(self, replica_id: str) -> None:
        """Kill the replica and wait until it is back and offered to callers."""
        before = self.pid(replica_id)
        self.platform.kill(replica_id)
        await until(lambda: self.pid(replica_id) not in (None, before) and self.offers(replica_id))

    def told(self) -> str:
        events = self.feed.page(0, 10_000, "controller").events
        return "\n".join(f"{e.kind}: {e.before} -> {e.after}: {e.why}" for e in events)


LOOPS = [
    (Supervisor, "_reconcile", "restarts"),
    (Supervisor, "_fill", "start of echo-1"),
    (Watchdog, "watch", "supervision of echo-"),
    (Observed, "saw", " of "),  # supervision or start of the replica whose probe is the first to fail
    (RestartLog, "failed", "supervision of echo-1"),
    (RestartLog, "begins", "start of echo-1"),
    (Scaler, "tick", "scaling"),
    (Reader, "_next", "reading of replicas"),
    (Reader, "service", "scaling of "),
    (Registration, "record", "scaling"),
    (Forecaster, "write", "forecasting"),
    (Forecaster, "observe", "forecasting"),
    (Forecaster, "forecast", "forecasting"),
    (Forecaster, "capacity", "forecasting"),
    (Publisher, "publish", "publication of endpoints"),
    (Observed, "tell_changes", "report of health changes"),
    (FakePlatform, "usage", ""),
    (FakePlatform, "capacity", ""),
    (History, "_write", "history"),
]
ALWAYS = [
    (Watchdog, "watch", "supervision of echo-"),
    (RestartLog, "failed", "supervision of echo-1"),
    (Scaler, "tick", "scaling"),
    (Reader, "_next", "reading of replicas"),
    (Reader, "service", "scaling of echo"),
    (Registration, "record", "scaling"),
    (Forecaster, "run", "forecasting"),
    (Forecaster, "write", "forecasting"),
    (Forecaster, "observe", "forecasting"),
    (Forecaster, "observe_replica", "forecasting"),
    (Forecaster, "forecast", "forecasting"),
    (Forecaster, "cold_start_s", "forecasting"),
    (Observed, "tell_changes", "report of health changes"),
    (FakePlatform, "usage", "supervision of echo-"),
    (History, "_write", "history"),
]
Loop = tuple[type, str, str]


def name_of(loop: Loop) -> str:
    return f"{loop[0].__name__}.{loop[1]}"


@pytest.mark.parametrize("loop", LOOPS, ids=name_of)
def test_an_error_in_a_loop_is_survived_told_and_forgotten(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = Fault(monkeypatch, loop[0], loop[1])

    async def story() -> None:
        ship = Ship(tmp_path)
        async with ship.sailing():
            fault.left = 1
            await ship.restarts("echo-1")
            await until(lambda: fault.calls)
            await ship.restarts("echo-2")
            await until(lambda: f"{loop[2]}" in ship.told() and " failing" in ship.told())
            assert "Wanting" in ship.told() or loop[0] is History
            await until(lambda: ship.controller.view().controller.status is Health.HEALTHY)
            last = ship.told().splitlines()[-1]
            assert loop[2] in last
            assert last.endswith("running: no error for 60 s")
            await ship.restarts("echo-1")

    run_virtually(story())


@pytest.mark.parametrize("loop", ALWAYS, ids=name_of)
def test_a_loop_that_always_fails_keeps_no_replica_down_and_health_names_it(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = Fault(monkeypatch, loop[0], loop[1])

    async def story() -> None:
        ship = Ship(tmp_path)
        if loop[1] == "run":
            fault.left = 10**9
        async with ship.sailing():
            fault.left = 10**9
            await ship.restarts("echo-1")
            await ship.restarts("echo-2")
            await until(lambda: fault.calls > 1 and loop[2] in ship.controller.view().controller.reason)
            assert ship.controller.view().controller.status is Health.DEGRADED
            assert ship.controller.view().status is Health.DEGRADED
            assert loop[2] in ship.told()
            await ship.restarts("echo-1")
            fault.left = 0
            await until(lambda: ship.controller.view().controller.status is Health.HEALTHY)

    run_virtually(story())


@pytest.mark.parametrize("loop", [(Supervisor, "_reconcile", ""), (Supervisor, "run", "")], ids=name_of)
def test_a_controller_that_can_no_longer_supervise_ends_and_leaves_the_fleet_alive(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = Fault(monkeypatch, loop[0], loop[1])

    async def story() -> None:
        ship = Ship(tmp_path)
        fault.left = 0 if loop[1] == "_reconcile" else 10**9
        running = asyncio.create_task(ship.controller.run())
        await until(lambda: ship.controller.start_report().finished)
        alive = len(ship.platform.replicas())
        fault.left = 10**9
        ship.platform.kill("echo-1")
        await until(running.done, 10**6)
        with pytest.raises(
            ArgosyError, match=r"The controller ends: supervision has ended .*Requests are still served"
        ):
            await running
        assert ship.controller.health()[0] is Health.UNHEALTHY
        assert len(ship.platform.replicas()) >= alive - 1
        assert not any(line.startswith("stop") for line in ship.platform.log)
        assert ship.told().splitlines()[-1].startswith("controller: running -> failed: supervision has ended")
        ship.history.close()

    run_virtually(story())


def test_a_start_that_fails_on_a_bug_of_ours_is_a_failed_start_of_that_service_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill: Callable[..., Any] = Supervisor._fill_all

    async def failing(self: Supervisor, service: str) -> None:
        if service == "embedding":
            raise Wanting
        await fill(self, service)

    monkeypatch.setattr(Supervisor, "_fill_all", failing)

    async def story() -> None:
        ship = Ship(tmp_path)
        async with ship.sailing():
            outcomes = {entry.service: entry.outcome.value for entry in ship.controller.start_report().services}
            assert outcomes.pop("embedding") == "failed"
            assert set(outcomes.values()) == {"started"}
            await until(lambda: ship.pid("embedding-1"))

    run_virtually(story())


def test_a_loop_that_is_cancelled_from_inside_is_begun_again(tmp_path: Path) -> None:
    async def story() -> None:
        ship = Ship(tmp_path)
        async with ship.sailing():
            supervisor: Any = ship.controller._supervisor
            supervisor._keeping.cancel()
            await ship.restarts("echo-1")
            assert "supervision failed (LoopCancelled)" in ship.told()

    run_virtually(story())


def test_the_start_itself_may_fail_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = Fault(monkeypatch, Startup, "run")
    fault.left = 1

    async def story() -> None:
        ship = Ship(tmp_path)
        async with ship.sailing():
            await ship.restarts("echo-1")
            assert "supervision failed (Wanting)" in ship.told()

    run_virtually(story())
