"""Replicas as real processes that are started, adopted and stopped, and never lost."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import psutil
import pytest

from argosy.config.models import Fleet
from argosy.contracts.errors import StartError
from argosy.control.monitoring.prober import Prober
from argosy.control.platforms.blocked import Blocked
from argosy.control.platforms.local import LocalPlatform
from argosy.control.platforms.platform import Launch, Replica, ReplicaExit
from argosy.serving import runfile
from tests.kits import FLEET_HEADERS, TOKEN
from tests.waiting import until

pytestmark = pytest.mark.integration

TINY = Path(__file__).parents[2] / "samples" / "tiny_service.py"
LAUNCH = Launch("store", "store-1", "r1", cpu_share=1.0, argv=(sys.executable, str(TINY)))


def platform_on(data_dir: Path) -> LocalPlatform:
    return LocalPlatform(data_dir, Fleet().model_dump_json(), TOKEN, "http://127.0.0.1:1")


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[LocalPlatform]:
    made = platform_on(tmp_path)
    yield made
    for replica in made.replicas():
        await made.stop(replica.id, 0)
    await made.close()


async def started(platform: LocalPlatform, replica_id: str = "store-1") -> Replica:
    replica = await platform.start(replace(LAUNCH, replica_id=replica_id))
    await platform.listening(replica, 30)
    return replica


async def ended(platform: LocalPlatform, replica: Replica) -> ReplicaExit:
    found: asyncio.Future[ReplicaExit] = asyncio.get_running_loop().create_future()

    def note(end: ReplicaExit) -> None:
        if not found.done():
            found.set_result(end)

    platform.exits.callbacks.append(note)
    return await asyncio.wait_for(found, 30)


async def test_a_replica_starts_listens_and_stops_leaving_no_file(platform: LocalPlatform, tmp_path: Path) -> None:
    replica = await started(platform)
    assert replica.id == "store-1"
    assert runfile.is_held(tmp_path / "run" / "store-1.lock")
    assert (tmp_path / "run" / "store-1.json").stat().st_mode & 0o777 == 0o600
    assert os.getsid(replica.pid or 0) == replica.pid
    await platform.stop(replica.id, 10)
    assert platform.replicas() == []
    assert list((tmp_path / "run").iterdir()) == []
    assert "draining" in (tmp_path / "logs" / "store-1.log").read_text()


@pytest.mark.parametrize(
    ("behaviour", "reason"), [("refuse", "There is no model here"), ("crash", "no module named treasure")]
)
async def test_one_that_cannot_start_says_why(
    platform: LocalPlatform, monkeypatch: pytest.MonkeyPatch, behaviour: str, reason: str
) -> None:
    monkeypatch.setenv("TINY", behaviour)
    replica = await platform.start(LAUNCH)
    end = await ended(platform, replica)
    assert reason in end.describe()
    assert not end.asked
    with pytest.raises(StartError, match=reason):
        await platform.listening(replica, 1)


async def test_a_kill_is_seen_and_told(platform: LocalPlatform) -> None:
    replica = await started(platform)
    os.kill(replica.pid or 0, signal.SIGKILL)
    end = await ended(platform, replica)
    assert (end.exit_code, end.describe()) == (-9, "killed by signal 9")
    assert platform.replicas() == []


async def test_one_that_ignores_sigterm_is_killed(platform: LocalPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINY", "stubborn")
    replica = await started(platform)
    await ready(replica)
    await platform.stop(replica.id, 0.2)
    assert not psutil.pid_exists(replica.pid or 0)


async def test_a_drain_finishes_what_is_in_work_and_takes_nothing_new(platform: LocalPlatform) -> None:
    replica = await started(platform)
    await ready(replica)
    async with aiohttp.ClientSession(headers=FLEET_HEADERS) as session:
        holding = asyncio.create_task(session.get(f"{replica.url}/hold"))
        await until(lambda: in_flight(session, replica))
        stopping = asyncio.create_task(platform.stop(replica.id, 20))
        async with await holding as response:
            assert (response.status, await response.text()) == (200, "held to the end")
        await stopping
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"{replica.url}/livez")


async def in_flight(session: aiohttp.ClientSession, replica: Replica) -> int:
    async with session.get(f"{replica.url}/internal/status") as response:
        return int((await response.json())["load"]["in_flight"])


async def ready(replica: Replica) -> dict[str, object]:
    prober = Prober(TOKEN, 5)
    await prober.start()
    try:
        while True:
            probe = await prober.probe(replica)
            if probe.status is not None and probe.status.ready:
                return dict(probe.status.details)
    finally:
        await prober.stop()


async def test_helpers_die_with_their_replica(platform: LocalPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINY", "helper")
    replica = await started(platform)
    helper = psutil.Process(int(str((await ready(replica))["helper"])))
    os.kill(replica.pid or 0, signal.SIGKILL)
    await ended(platform, replica)
    gone, _ = await asyncio.to_thread(psutil.wait_procs, [helper], 10)
    assert gone == [helper]


async def test_a_new_controller_adopts_what_lives_and_forgets_what_died(
    platform: LocalPlatform, tmp_path: Path
) -> None:
    alive, dead = await started(platform), await started(platform, "store-2")
    await platform.close()
    os.kill(dead.pid or 0, signal.SIGKILL)
    await asyncio.to_thread(os.waitpid, dead.pid or 0, 0)
    (tmp_path / "run" / "store-9.json").write_text("{damaged")
    second = platform_on(tmp_path)
    adopted = await second.adopt()
    assert [(r.id, r.pid, r.url, r.adopted) for r in adopted] == [(alive.id, alive.pid, alive.url, True)]
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["store-1.json", "store-1.lock"]
    await ready(adopted[0])
    os.kill(alive.pid or 0, signal.SIGKILL)
    end = await ended(second, alive)
    assert end.exit_code is None
    assert "unknown" in end.describe()
    await second.close()


async def test_one_that_was_just_starting_when_its_controller_died_is_adopted(
    platform: LocalPlatform, tmp_path: Path
) -> None:
    replica = await platform.start(LAUNCH)
    await platform.close()
    second = platform_on(tmp_path)
    adopted = await second.adopt()
    assert [(r.id, r.pid) for r in adopted] == [(replica.id, replica.pid)]
    await second.listening(adopted[0], 30)
    await second.stop(replica.id, 10)
    await second.close()


async def test_one_that_had_not_even_written_its_pid_is_adopted(
    platform: LocalPlatform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TINY", "import for ever")
    replica = await platform.start(LAUNCH)
    await platform.close()
    assert runfile.read(tmp_path / "run" / "store-1.json").pid is None
    second = platform_on(tmp_path)
    adopted = await second.adopt()
    assert [(r.id, r.pid, r.url) for r in adopted] == [(replica.id, replica.pid, None)]
    await second.stop(replica.id, 0)
    assert second.replicas() == []
    assert list((tmp_path / "run").iterdir()) == []
    await second.close()


SHELL = 'python3 -m http.server --bind 127.0.0.1 "$PORT" & wait'


async def test_a_program_of_the_users_own_ends_with_its_children_also_when_adopted(tmp_path: Path) -> None:
    first = platform_on(tmp_path)
    launch = Launch("shell", "shell-1", "r1", 1.0, argv=("sh", "-c", SHELL), health_path="/")
    replica = await first.start(launch)
    await first.listening(replica, 30)
    await ready(replica)
    children = psutil.Process(replica.pid or 0).children()
    assert len(children) == 1
    await first.close()
    second = platform_on(tmp_path)
    assert [r.health_path for r in await second.adopt()] == ["/"]
    await second.stop("shell-1", 10)
    gone, _ = await asyncio.to_thread(psutil.wait_procs, children, 10)
    assert gone == children
    assert list((tmp_path / "run").iterdir()) == []
    await second.close()


async def test_a_failed_spawn_leaves_nothing(tmp_path: Path) -> None:
    platform = LocalPlatform(tmp_path, "{}", TOKEN, "")
    with pytest.raises(StartError, match="could not be started"):
        await platform.start(replace(LAUNCH, argv=("/does/not/exist",)))
    assert list((tmp_path / "run").iterdir()) == []


async def test_an_end_that_cannot_be_looked_into_is_told_all_the_same(
    platform: LocalPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simulate a lack of file descriptors: a replica whose end is not reported would never be restarted."""
    replica = await started(platform)

    def failing(*arguments: object) -> None:
        raise OSError(24, "Too many open files")

    def deaf(end: ReplicaExit) -> None:
        raise KeyError(end.replica.id)

    platform.exits.callbacks.append(deaf)
    monkeypatch.setattr(runfile, "read", failing)
    monkeypatch.setattr(runfile, "remove", failing)
    os.kill(replica.pid or 0, signal.SIGKILL)
    end = await ended(platform, replica)
    assert end.describe() == "killed by signal 9"
    assert platform.replicas() == []


async def test_without_a_descriptor_to_watch_it_by_an_end_is_polled_for(
    platform: LocalPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(pid: int) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "pidfd_open", failing)
    replica = await started(platform)
    held, tries = runfile.is_held, []

    def sometimes(path: Path) -> bool:
        tries.append(path)
        if len(tries) == 1:
            raise OSError(24, "Too many open files")
        return held(path)

    monkeypatch.setattr(runfile, "is_held", sometimes)
    os.kill(replica.pid or 0, signal.SIGKILL)
    assert (await ended(platform, replica)).describe() == "killed by signal 9"


async def test_a_start_that_fails_half_way_holds_no_lock_and_leaves_no_process(
    platform: LocalPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = replace(LAUNCH, argv=("sleep", "1000"), health_path="/health")

    def no_port(*arguments: object) -> int:
        raise StartError("no port is free")

    with monkeypatch.context() as patch:
        patch.setattr("argosy.control.platforms.local.free_port", no_port)
        with pytest.raises(StartError, match="no port"):
            await platform.start(own)
    write, writes = runfile.write, []

    def full(path: Path, record: runfile.RunRecord) -> None:
        writes.append(record)
        if len(writes) == 2:  # when the process exists
            raise OSError(28, "No space left on device")
        write(path, record)

    with monkeypatch.context() as patch:
        patch.setattr(runfile, "write", full)
        with pytest.raises(StartError, match="No space left"):
            await platform.start(own)
    assert writes[1].pid is not None
    assert not psutil.pid_exists(writes[1].pid)
    replica = await platform.start(own)
    assert replica.pid is not None


async def test_one_run_file_that_cannot_be_read_hides_no_other_replica(platform: LocalPlatform, tmp_path: Path) -> None:
    await started(platform)
    (tmp_path / "run" / "a-1.json").mkdir()
    lock = runfile.ReplicaLock(tmp_path / "run" / "a-1.lock")
    lock.acquire()
    later = platform_on(tmp_path)
    assert [replica.id for replica in await later.adopt()] == ["store-1"]
    await later.close()
    lock.release()


async def test_an_engine_call_is_found_and_its_file_goes_with_the_process(
    platform: LocalPlatform, tmp_path: Path
) -> None:
    replica = await started(platform)
    assert platform.blocked(replica.id) in (None, Blocked(on_disk=True))
    path = tmp_path / "run" / "store-1.busy"
    path.write_text(f'{{"call": "FLUSH", "since": {replica.started_at + 1}}}')
    found = platform.blocked(replica.id)
    assert found is not None
    assert (found.call, found.since) == ("FLUSH", replica.started_at + 1)
    assert platform.blocked("store-2") is None
    os.kill(replica.pid or 0, signal.SIGKILL)
    await ended(platform, replica)
    assert not path.exists()
