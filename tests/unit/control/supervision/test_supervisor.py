"""The supervisor on a platform without processes: restarts, ends of harmful replicas, and drains."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from argosy.config.service import ServiceSettings
from argosy.contracts.errors import ArgosyError, Conflict, NotFound, StartError
from argosy.control.events.feed import Feed
from argosy.control.history.history import History
from argosy.control.monitoring.observed import Observed
from argosy.control.platforms.fake import FakePlatform
from argosy.control.platforms.platform import Launch, Replica
from argosy.control.supervision.hang import HangRule
from argosy.control.supervision.restart import RestartRule
from argosy.control.supervision.supervisor import Supervisor
from argosy.control.supervision.watchdog import Rules
from tests.unit.control.answers import Answers

pytestmark = pytest.mark.unit

SERVICE = "echo"
QUICK = Rules(
    restart=RestartRule(
        first_backoff_s=0.001, longest_backoff_s=0.001, loop_failures=4, loop_retry_s=3600, full_disk_retry_s=0.001
    ),
    hang=HangRule(probes=3),
    probe_interval_s=0.001,
)


class BrokenDisk(FakePlatform):
    """Platform that cannot start a replica while `full`."""

    full = True
    tries = 0

    async def start(self, launch: Launch) -> Replica:
        self.tries += 1
        if self.full:
            raise OSError(28, "No space left on device")
        return await super().start(launch)


class Stage:
    """Supervisor with the parts around it."""

    def __init__(self, data_dir: Path, platform: FakePlatform, settings: ServiceSettings) -> None:
        services = {SERVICE: settings}
        self.platform = platform
        self.feed = Feed(History(data_dir))
        self.observed = Observed(services, [[SERVICE]], 0.0, self.feed)
        self.prober = Answers()
        self.supervisor = Supervisor(
            services,
            platform,
            self.prober,
            self.observed,
            self.feed,
            lambda service, slot: Launch(service, slot, "r1", 1.0),
            lambda: None,
            QUICK,
            disk_is_full=lambda: self.disk_is_full,
        )
        self.disk_is_full = False

    @property
    def alive(self) -> list[str]:
        return sorted(replica.id for replica in self.platform.replicas())

    def told(self, subject: str) -> list[tuple[str, str]]:
        return [(event.after, event.why) for event in self.feed.page(0, 1000, subject).events]

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not true():
                await asyncio.sleep(0)


@pytest.fixture
async def stages(tmp_path: Path) -> AsyncIterator[Callable[..., Stage]]:
    made: list[Stage] = []

    def make(platform: FakePlatform | None = None, settings: ServiceSettings | None = None) -> Stage:
        two = ServiceSettings.model_validate({"replicas": {"min": 2, "max": 2}, "drain_timeout_s": 0})
        made.append(Stage(tmp_path, platform or FakePlatform(), settings or two))
        return made[-1]

    yield make
    for stage in made:
        await stage.supervisor.close()


async def test_a_killed_replica_is_started_again_in_its_place_and_counted(stages: Callable[..., Stage]) -> None:
    stage = stages()
    await stage.supervisor.bring_up(SERVICE)
    assert stage.alive == ["echo-1", "echo-2"]
    stage.platform.kill("echo-1")
    assert stage.alive == ["echo-2"]
    await stage.until(lambda: stage.told("echo-1")[-1][0] == "ready" and len(stage.told("echo-1")) > 2)
    assert [after for after, _ in stage.told("echo-1")] == ["starting", "ready", "ended", "starting", "ready"]
    assert stage.told("echo-1")[3] == ("starting", "restart after: killed by signal 9")
    assert stage.observed.restarts == {"echo-1": 1, "echo-2": 0}


async def test_what_cannot_be_written_is_a_failed_start_and_tried_again(stages: Callable[..., Stage]) -> None:
    platform = BrokenDisk()
    stage = stages(platform)
    with pytest.raises(StartError, match=r"echo-[12] could not be started: .*No space left on device"):
        await stage.supervisor.bring_up(SERVICE)
    platform.full = False
    await stage.until(lambda: stage.alive == ["echo-1", "echo-2"])


async def test_however_often_a_full_disk_ends_replicas_they_are_back_once_there_is_room(
    stages: Callable[..., Stage],
) -> None:
    platform = BrokenDisk()
    stage = stages(platform)
    stage.disk_is_full = True
    with pytest.raises(StartError):
        await stage.supervisor.bring_up(SERVICE)
    await stage.until(lambda: platform.tries > 4 * QUICK.restart.loop_failures)
    assert "(the disk is full)" in stage.observed.failure(SERVICE)
    platform.full = stage.disk_is_full = False
    await stage.until(lambda: stage.alive == ["echo-1", "echo-2"])
    assert not any(after == "crash loop" for after, _ in stage.told("echo-1"))


async def test_a_crash_loop_is_told_and_the_other_replica_is_left_alone(stages: Callable[..., Stage]) -> None:
    stage = stages()
    await stage.supervisor.bring_up(SERVICE)

    def looping() -> bool:
        return stage.observed.failure(SERVICE, "echo-1").startswith("crash loop")

    while not looping():
        await stage.until(lambda: "echo-1" in stage.alive or looping())
        if "echo-1" in stage.alive:
            stage.platform.kill("echo-1")
    assert stage.told("echo-1")[-1][0] == "crash loop"
    assert "4 failures in a row, trying again every" in stage.observed.failure(SERVICE)
    assert stage.alive == ["echo-2"]
    assert [after for after, _ in stage.told("echo-2")] == ["starting", "ready"]


async def test_one_that_falls_silent_is_ended_and_replaced(stages: Callable[..., Stage]) -> None:
    stage = stages()
    await stage.supervisor.bring_up(SERVICE)
    stage.prober.silent.add("echo-2")
    await stage.until(lambda: "stop echo-2" in stage.platform.log)
    stage.prober.silent.clear()
    await stage.until(lambda: stage.alive == ["echo-1", "echo-2"])
    assert ("stopping", "hung: no answer within 1 s, 3 probes in a row") in stage.told("echo-2")
    assert "stop echo-1" not in stage.platform.log


async def test_a_drain_starts_the_substitute_first(stages: Callable[..., Stage]) -> None:
    stage = stages()
    await stage.supervisor.bring_up(SERVICE)
    await stage.supervisor.drain("echo-1")
    assert stage.platform.log == ["start echo-1", "start echo-2", "start echo-3", "stop echo-1"] or (
        stage.platform.log == ["start echo-2", "start echo-1", "start echo-3", "stop echo-1"]
    )
    assert stage.alive == ["echo-2", "echo-3"]


async def test_a_second_drain_of_one_replica_is_refused_while_the_first_goes_on(stages: Callable[..., Stage]) -> None:
    stage = stages()
    await stage.supervisor.bring_up(SERVICE)
    ended = await asyncio.gather(
        *(stage.supervisor.drain("echo-1") for _ in range(3)), stage.supervisor.drain("echo-9"), return_exceptions=True
    )
    assert [type(end) for end in ended] == [type(None), Conflict, Conflict, NotFound]
    assert stage.alive == ["echo-2", "echo-3"]


async def test_a_drain_whose_substitute_does_not_start_leaves_the_old_one(stages: Callable[..., Stage]) -> None:
    stage = stages()
    await stage.supervisor.bring_up(SERVICE)
    stage.platform.refuses[SERVICE] = "There is no model."
    with pytest.raises(StartError, match=r"There is no model\."):
        await stage.supervisor.drain("echo-1")
    assert stage.alive == ["echo-1", "echo-2"]
    assert stage.observed.failure(SERVICE) == ""


async def test_a_single_writer_is_drained_before_the_next_one_starts(stages: Callable[..., Stage]) -> None:
    class OneWriter(ServiceSettings):
        single_writer = True

    stage = stages(settings=OneWriter(drain_timeout_s=0))
    await stage.supervisor.bring_up(SERVICE)
    await stage.supervisor.drain("echo-1")
    await stage.until(lambda: stage.alive == ["echo-1"])
    assert stage.platform.log == ["start echo-1", "stop echo-1", "start echo-1"]


async def test_survivors_are_adopted_and_one_that_never_listens_is_replaced(stages: Callable[..., Stage]) -> None:
    well = Replica("echo-1", SERVICE, "r1", pid=7, url="http://127.0.0.1:7")
    dumb = Replica("echo-2", SERVICE, "r1", pid=8)
    platform = FakePlatform(survivors=(well, dumb), refuses={SERVICE: "echo-2 did not listen within 60 s."})
    stage = stages(platform)
    await platform.adopt()
    with pytest.raises(ArgosyError, match="did not listen"):
        await stage.supervisor.bring_up(SERVICE)
    platform.refuses.clear()
    await stage.until(lambda: stage.alive == ["echo-1", "echo-2"])
    assert "start echo-1" not in platform.log
    assert "start echo-2" in platform.log
    assert stage.told("echo-1")[0] == ("adopted", "pid 7 was alive")


class Dying(FakePlatform):
    """Platform on which the adopted `echo-2` ends before it listens, `deaths` times."""

    deaths = 1

    async def listening(self, replica: Replica, timeout_s: float) -> None:
        if replica.id == "echo-2" and self.deaths:
            self.deaths -= 1
            self.kill("echo-2")
            raise StartError("echo-2 ended before it listened.")
        await super().listening(replica, timeout_s)


async def test_one_adopted_that_ends_before_it_listens_leaves_its_reason_to_nobody(
    stages: Callable[..., Stage],
) -> None:
    platform = Dying(survivors=(Replica("echo-2", SERVICE, "r1", pid=8),))
    stage = stages(platform)
    await platform.adopt()
    with pytest.raises(ArgosyError, match="ended before it listened"):
        await stage.supervisor.bring_up(SERVICE)
    await stage.until(lambda: stage.told("echo-2")[-1][0] == "ready")
    assert stage.observed.failure(SERVICE) == ""
    assert [why for after, why in stage.told("echo-2") if after == "stopping"] == []
    stage.platform.kill("echo-2", exit_code=-11)
    assert stage.observed.failure(SERVICE, "echo-2") == "killed by signal 11"
    await stage.until(lambda: stage.observed.failure(SERVICE) == "")


async def test_why_a_slot_failed_is_forgotten_with_the_slot(stages: Callable[..., Stage]) -> None:
    """This happens when an adopted replica with a high number ends before the start of its service reaches it."""
    platform = FakePlatform(survivors=(Replica("echo-7", SERVICE, "r1", pid=8, url="http://127.0.0.1:8"),))
    stage = stages(platform)
    await platform.adopt()
    stage.platform.kill("echo-7")
    assert stage.observed.failure(SERVICE) == "killed by signal 9"
    await stage.supervisor.bring_up(SERVICE)
    assert stage.alive == ["echo-1", "echo-2"]
    assert stage.observed.failure(SERVICE) == ""


async def test_a_replica_that_cannot_be_ended_at_first_is_watched_on_and_ended_later(
    stages: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = stages()
    await stage.supervisor.bring_up(SERVICE)
    stop, tries = stage.platform.stop, []

    async def stopping(replica_id: str, grace_s: float) -> None:
        tries.append(replica_id)
        if len(tries) > 1:
            await stop(replica_id, grace_s)

    monkeypatch.setattr(stage.platform, "stop", stopping)
    stage.prober.silent.add("echo-2")
    await stage.until(lambda: "stop echo-2" in stage.platform.log)
    assert tries[:2] == ["echo-2", "echo-2"]
