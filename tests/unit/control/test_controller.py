"""The controller on a platform without processes, while the fleet is still starting."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from argosy.config.models import Fleet
from argosy.contracts.fleet import StartReport
from argosy.contracts.scaling import ScaleOrder
from argosy.control.controller import Controller
from argosy.control.discovery.publisher import Publisher
from argosy.control.events.feed import Feed
from argosy.control.history.history import History
from argosy.control.platforms.fake import FakePlatform
from argosy.control.platforms.platform import Replica
from tests.unit.control.answers import Answers
from tests.waiting import until

pytestmark = pytest.mark.unit

FLEET = Fleet.model_validate(
    {
        "fleet": {"probe_interval_s": 0.5, "monitoring_interval_s": 0.2},
        "services": {
            "quick": {"module": "acme:app", "replicas": {"min": 1, "max": 4}},
            "slow": {"module": "acme:app", "replicas": {"min": 1, "max": 4}},
        },
    }
)


class SlowPlatform(FakePlatform):
    """Platform on which replicas of `slow` listen when the test lets them."""

    def __init__(self) -> None:
        super().__init__(cores=64)
        self.ready = asyncio.Event()

    async def listening(self, replica: Replica, timeout_s: float) -> None:
        if replica.service == "slow":
            await self.ready.wait()
        await super().listening(replica, timeout_s)


async def test_what_has_started_is_scaled_while_another_service_is_still_starting(tmp_path: Path) -> None:
    history, platform = History(tmp_path), SlowPlatform()
    controller = Controller(FLEET, platform, Answers(), Publisher(1), Feed(history), history, public_port=40_000)
    running = asyncio.create_task(controller.run())

    def decided(service: str) -> bool:
        return bool(controller.scaler.view(service).decisions)

    def alive(service: str) -> int:
        return sum(replica.service == service for replica in platform.replicas())

    try:
        await until(lambda: decided("quick"))
        controller.scaler.order("quick", ScaleOrder(replicas=3))
        await until(lambda: alive("quick") == 3)
        assert not controller.start_report().finished
        assert not decided("slow"), "its slots are the start's to fill"
        platform.ready.set()
        await until(lambda: decided("slow"))
        assert controller.start_report().finished
    finally:
        controller.ask_to_stop()
        await running
        history.close()


async def test_a_start_that_cannot_be_told_is_kept_up_all_the_same(tmp_path: Path) -> None:
    """This happens when the terminal that shows the start report is gone."""

    def gone(report: StartReport) -> None:
        raise BrokenPipeError

    history, platform = History(tmp_path), SlowPlatform()
    platform.ready.set()
    controller = Controller(FLEET, platform, Answers(), Publisher(1), Feed(history), history, 40_000, gone)
    running = asyncio.create_task(controller.run())
    try:
        await until(lambda: controller.start_report().finished)
        platform.kill("quick-1")
        await until(lambda: any(replica.id == "quick-1" for replica in platform.replicas()))
        before = controller.scaler.view("quick").decisions[0]
        await until(lambda: controller.scaler.view("quick").decisions[0] != before)
        assert not running.done()
    finally:
        controller.ask_to_stop()
        await running
        history.close()
