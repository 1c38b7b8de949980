"""Rebuild of a shard: the graph and the reclaimed space, with the real index and the real child process."""

from __future__ import annotations

import asyncio
import subprocess
import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest

from argosy.config.models import Fleet
from argosy.contracts.errors import ArgosyError, Internal, StorageFull, Unavailable
from argosy.contracts.store import Chunk, EnsureCollection, PublishRequest, StoreSearchRequest, UpsertRequest
from argosy.services.store import rebuild as rebuilding
from argosy.services.store import upkeep
from argosy.services.store.app import StoreService
from argosy.services.store.engine import StoreEngine
from argosy.services.store.publication import Publication
from argosy.services.store.rebuild import Rebuild
from argosy.services.store.rebuild_child import RebuildJob, RebuildProgress, build, build_in_child
from argosy.serving.hold import Hold, Work
from tests.kits import context, make_kit
from tests.store_steps import begin_rebuild, finish_rebuild, rebuild

pytestmark = pytest.mark.integration

DIMENSIONS = 16
FLAT = 100
POINTS = 1500


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine(tmp_path: Path, clock: Clock) -> Iterator[StoreEngine]:
    made = StoreEngine(tmp_path, clock, flat_points=FLAT)
    made.ensure(EnsureCollection("c"))
    yield made
    made.close()


def vector(number: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(number).standard_normal(DIMENSIONS).astype("<f4")


def key(number: int) -> str:
    return str(uuid.UUID(int=number + 1))


def add(engine: StoreEngine, first: int, count: int, version: int = 1) -> None:
    """Add and publish documents of one chunk each; version v of document n has the chunk v * 10⁶ + n."""
    numbers = range(first, first + count)
    chunks = [
        Chunk(key(version * 10**6 + n), f"d{n}", version, 0, "", "", f"ship{n} harbour v{version}", 0, 1)
        for n in numbers
    ]
    rows = np.stack([vector(version * 10**6 + n) for n in numbers]).tobytes()
    engine.upsert(UpsertRequest("c", "m", DIMENSIONS, chunks, rows))
    for n in numbers:
        engine.publish(PublishRequest("c", f"d{n}", version, 1))


def best(engine: StoreEngine, number: int, version: int = 1) -> str:
    raw = vector(version * 10**6 + number).tobytes()
    return engine.search(StoreSearchRequest("c", 3, raw)).dense[0].chunk_id


def folders(engine: StoreEngine) -> list[str]:
    return [path.name for path in engine.shards.path(engine.shards.known("c")).parent.iterdir()]


def due(engine: StoreEngine, clock: Clock) -> Rebuild:
    begin_rebuild(engine)
    clock.now_s += 10.0
    begun = begin_rebuild(engine)
    assert begun is not None
    return begun


@pytest.mark.parametrize("quantisation", ["none", "int8"])
def test_a_large_collection_gets_a_graph_from_a_child_and_finds_the_same(
    tmp_path: Path, clock: Clock, quantisation: str
) -> None:
    engine = StoreEngine(tmp_path, clock, flat_points=FLAT, quantisation=quantisation)  # type: ignore[arg-type]
    engine.ensure(EnsureCollection("c"))
    add(engine, 0, POINTS)
    begun = due(engine, clock)
    finish_rebuild(engine, begun, build_in_child)
    built = engine.shards.open["c"].built
    assert (built.plan.graph, built.plan.quantisation, built.points) == (True, quantisation, POINTS)
    assert built.recall is not None
    assert built.recall > 0.9
    assert len(folders(engine)) == 1
    for again in range(2):
        assert [best(engine, n) for n in range(0, POINTS, 100)] == [key(10**6 + n) for n in range(0, POINTS, 100)]
        found = engine.search(StoreSearchRequest("c", 3, text="ship7"))
        assert [ranked.chunk_id for ranked in found.lexical] == [key(10**6 + 7)]
        if not again:
            engine.close()
            engine = StoreEngine(tmp_path, clock, flat_points=FLAT, quantisation=quantisation)  # type: ignore[arg-type]
            assert engine.shards.open["c"].built == built
    clock.now_s += 1000.0
    assert engine.rewriting.due() is None, "the index fits"
    engine.close()


def test_what_changes_during_a_rebuild_is_in_the_new_shard(engine: StoreEngine, clock: Clock) -> None:
    add(engine, 0, POINTS)
    begun = due(engine, clock)
    add(engine, POINTS, 50)
    add(engine, 0, 50, version=2)
    while swept := engine.sweep.delete_stale(20):
        engine.sweep.record(swept)
        engine.sweep.apply(swept)
        if not swept.points:
            break
    finish_rebuild(engine, begun)
    assert engine.shards.points("c") == POINTS + 50
    assert best(engine, POINTS + 7) == key(10**6 + POINTS + 7)
    assert best(engine, 7, version=2) == key(2 * 10**6 + 7)
    assert best(engine, 7) != key(10**6 + 7), "the superseded chunk is gone"


def rebuild_meanwhile_adding(engine: StoreEngine) -> None:
    begun = begin_rebuild(engine)
    assert begun is not None
    add(engine, 300, 20)
    finish_rebuild(engine, begun)


@pytest.mark.parametrize("step", ["copy", "build", "open", "sync", "move"])
def test_a_store_that_dies_at_any_step_has_lost_nothing_and_leaves_no_folder(
    engine: StoreEngine, clock: Clock, tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Died(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Died

    add(engine, 0, 300)
    engine.shards.open["c"].sync_log()
    clock.now_s += 10.0
    begin_rebuild(engine)
    clock.now_s += 10.0
    with monkeypatch.context() as patched:
        patched.setattr(Publication if step == "move" else Rebuild, step, die)
        with pytest.raises(Died):
            rebuild_meanwhile_adding(engine)
    for shard in engine.shards.open.values():
        shard.close()
    if (current := engine.rewriting.current) is not None and current.target is not None:
        current.target.close()
    engine._publication.close()
    again = StoreEngine(tmp_path, clock, flat_points=FLAT)
    assert len(folders(again)) == 1
    assert best(again, 7) == key(10**6 + 7)
    assert again.shards.points("c") == (300 if step == "copy" else 320)
    again.close()
    engine.shards.open.clear()
    engine.rewriting.current = None
    engine._publication = Publication(tmp_path / "published.db")


def test_a_child_that_is_killed_leaves_the_old_shard_and_is_started_again_later(
    engine: StoreEngine, clock: Clock
) -> None:
    add(engine, 0, POINTS)
    begun = due(engine, clock)

    def killed(job: RebuildJob, tell: object, started: object) -> None:
        def kill(child: subprocess.Popen[bytes]) -> None:
            child.kill()

        build_in_child(job, lambda progress: None, kill)

    with pytest.raises(Internal):
        finish_rebuild(engine, begun, killed)
    assert len(folders(engine)) == 1
    assert "failed" in engine.rewriting.reason
    assert best(engine, 7) == key(10**6 + 7)
    assert engine.rewriting.due() is None
    clock.now_s += 61.0
    assert rebuild(engine)
    assert engine.rewriting.reason == ""


def test_a_collection_that_is_dropped_during_its_rebuild_is_gone(engine: StoreEngine, clock: Clock) -> None:
    add(engine, 0, 300)
    begun = due(engine, clock)
    engine.delete_collection("c")
    with pytest.raises(ArgosyError):
        finish_rebuild(engine, begun)
    engine.shards.remove_orphans()
    assert list(engine.shards._folder.iterdir()) == []


@pytest.mark.parametrize("short_of", ["disk", "memory"])
def test_too_little_room_is_told_and_tried_again(
    engine: StoreEngine, clock: Clock, monkeypatch: pytest.MonkeyPatch, short_of: str
) -> None:
    add(engine, 0, 300)
    begin_rebuild(engine)
    clock.now_s += 10.0
    with monkeypatch.context() as patched:
        if short_of == "disk":
            patched.setattr(rebuilding, "MARGIN_BYTES", 2**60)
        else:
            patched.setattr(rebuilding, "free_memory_bytes", lambda: 1024)
        with pytest.raises(StorageFull if short_of == "disk" else Unavailable):
            begin_rebuild(engine)
    assert ("Free disk space" if short_of == "disk" else "Free memory") in engine.rewriting.reason
    clock.now_s += 61.0
    assert rebuild(engine)


@pytest.fixture
async def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[StoreService]:
    monkeypatch.setattr(upkeep, "REBUILD_CHECK_S", 0.02)
    monkeypatch.setattr("argosy.services.store.rewriting.SETTLE_S", 0.0)
    fleet = Fleet.model_validate({"services": {"store": {"flat_points": 1000}}})
    made = StoreService(make_kit(fleet=fleet, data_dir=str(tmp_path)))

    async def nothing() -> None:
        return None

    made._upstreams.start = nothing  # type: ignore[method-assign]
    made._upstreams.stop = nothing  # type: ignore[method-assign]
    await made.start()
    yield made
    await made.stop()


async def send(service: StoreService, first: int, count: int) -> None:
    chunks = [Chunk(key(n), f"d{n}", 1, 0, "", "", f"ship{n}", 0, 1) for n in range(first, first + count)]
    rows = np.stack([vector(n) for n in range(first, first + count)]).tobytes()
    request = UpsertRequest("default", "m", DIMENSIONS, chunks, rows)
    await service._on_engine(StoreEngine.upsert)(request, context())
    for n in range(first, first + count):
        await service._change(PublishRequest("default", f"d{n}", 1, 1), context())


async def test_the_service_rebuilds_while_it_searches_and_takes_documents(
    service: StoreService, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_build, copy = threading.Event(), Rebuild.build

    def waiting(rebuild: Rebuild) -> None:
        assert may_build.wait(60)
        copy(rebuild)

    monkeypatch.setattr(Rebuild, "build", waiting)
    await send(service, 0, 1001)
    while service._details().get("rebuilding") != "default":
        await asyncio.sleep(0.005)
    await send(service, 1001, 10)
    may_build.set()
    while service._engine.shards.open["default"].built.plan.graph is False:
        found = await service._search(StoreSearchRequest("default", 3, vector(7).tobytes()), context())
        assert found.dense[0].chunk_id == key(7)
        await asyncio.sleep(0.005)
    details = service._details()
    assert details["indexed_collections"] == 1
    assert isinstance(details["lowest_recall_at_10"], float)
    assert service._engine.shards.points("default") == 1011
    found = await service._search(StoreSearchRequest("default", 3, vector(1010).tobytes()), context())
    assert found.dense[0].chunk_id == key(1010)


async def test_changes_of_the_store_wait_while_a_backup_copies_and_searches_do_not(
    service: StoreService, tmp_path: Path
) -> None:
    await send(service, 0, 3)
    hold = Hold(tmp_path, Work.CHANGES)
    taking = hold.taken(10.0)
    await asyncio.to_thread(taking.__enter__)
    adding = asyncio.create_task(send(service, 3, 1))
    for _ in range(20):
        found = await service._search(StoreSearchRequest("default", 9, vector(0).tobytes()), context())
        assert len(found.dense) == 3
        await asyncio.sleep(0.005)
    assert not adding.done()
    taking.__exit__(None, None, None)
    await adding
    found = await service._search(StoreSearchRequest("default", 9, vector(0).tobytes()), context())
    assert len(found.dense) == 4
    hold.close()


def test_the_child_says_what_it_does(engine: StoreEngine, clock: Clock) -> None:
    add(engine, 0, 300)
    begun = due(engine, clock)
    told: list[RebuildProgress] = []

    def here(job: RebuildJob, tell: object, started: object) -> None:
        build(job, told.append)

    finish_rebuild(engine, begun, here)
    assert [progress.stage for progress in told][-2:] == ["indexing", "measuring"]
