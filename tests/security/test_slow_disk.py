"""A disk that takes seconds for a sync: the only store keeps answering and shows what it waits for."""

from __future__ import annotations

import asyncio
import ctypes
import os
import threading
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from argosy.contracts.codec import JSON
from argosy.contracts.store import Chunk, PublishRequest, StoreSearchRequest, StoreSearchResponse, UpsertRequest
from argosy.services.store.app import StoreService
from argosy.services.store.shard import Shard
from argosy.serving import runfile
from argosy.serving.engine_call import running_call
from tests.asgi import call
from tests.kits import FLEET_HEADERS, make_kit

pytestmark = pytest.mark.security

SLOW_S = 0.5
HELD_UP_S = 0.4
"""Longest pause allowed. A flush that holds the interpreter lock for SLOW_S stops every thread for longer."""


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[StoreService]:
    kit = make_kit(data_dir=str(tmp_path))
    kit.run_file = runfile.record_path(tmp_path, "store-1")
    service = StoreService(kit)

    async def nothing() -> None:
        return None

    service._upstreams.start = nothing  # type: ignore[method-assign]
    service._upstreams.stop = nothing  # type: ignore[method-assign]
    await service.start()
    yield service
    await service.stop()


async def ask(store: StoreService, path: str, message: object) -> bytes:
    answer = await call(store.app, "POST", path, json=message, headers={**FLEET_HEADERS, "accept": JSON})
    assert answer.status == 200, answer.body
    return answer.body


async def add(store: StoreService, document: str) -> PublishRequest:
    """Add the chunks of a document, so that it only has to be published."""
    chunk = Chunk(str(uuid.uuid4()), document, 1, 0, document, document, "ships in the harbour", 0, 20)
    vectors = np.ones((1, 4), "<f4").tobytes()
    await ask(store, "/upsert", UpsertRequest("default", "m", 4, [chunk], vectors))
    return PublishRequest("default", document, 1, 1)


async def found(store: StoreService) -> int:
    answer = await ask(store, "/search", StoreSearchRequest("default", text="ships"))
    return len(msgspec.json.decode(answer, type=StoreSearchResponse).lexical)


async def test_no_publication_stops_the_process_for_a_flush(
    store: StoreService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replace the flush by one that holds the interpreter lock, as Edge does while it flushes to a slow disk."""

    def flush(shard: Shard) -> None:
        ctypes.PyDLL(None).usleep(int(SLOW_S * 1e6))

    publication = await add(store, "a")
    monkeypatch.setattr(Shard, "flush", flush)
    longest_s, ending = 0.0, threading.Event()

    def watch() -> None:
        nonlocal longest_s
        last_s = time.perf_counter()
        while not ending.wait(0.005):
            now_s = time.perf_counter()
            longest_s = max(longest_s, now_s - last_s)
            last_s = now_s

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        await ask(store, "/publish", publication)
    finally:
        ending.set()
        watcher.join()
        monkeypatch.undo()
    assert longest_s < HELD_UP_S


async def test_searches_and_probes_are_answered_while_a_publication_waits_for_the_disk(
    store: StoreService, monkeypatch: pytest.MonkeyPatch
) -> None:
    publication = await add(store, "a")
    syncing, may_end, sync = threading.Event(), threading.Event(), os.fsync

    def slow(descriptor: int) -> None:
        syncing.set()
        assert may_end.wait(60)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    publishing = asyncio.create_task(ask(store, "/publish", publication))
    try:
        assert await asyncio.to_thread(syncing.wait, 60)
        assert await found(store) == 0, "it is not durable yet, so it is not visible"
        assert (await call(store.app, "GET", "/readyz")).status != 0
    finally:
        may_end.set()
    await publishing
    assert await found(store) == 1


async def test_publications_that_arrive_while_the_disk_is_busy_share_the_next_sync(
    store: StoreService, monkeypatch: pytest.MonkeyPatch
) -> None:
    publications = [await add(store, f"d{number}") for number in range(20)]
    syncs, sync_log = 0, Shard.sync_log

    def counted(shard: Shard) -> None:
        nonlocal syncs
        syncs += 1
        sync_log(shard)

    monkeypatch.setattr(Shard, "sync_log", counted)
    await asyncio.gather(*(ask(store, "/publish", publication) for publication in publications))
    assert syncs <= 2
    assert await found(store) == 20


async def test_every_call_that_may_hold_up_the_process_is_marked(
    store: StoreService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Check the marks: the supervisor ends a silent process without a mark because it looks hung."""
    record = runfile.record_path(tmp_path, "store-1")
    await add(store, "a")
    shard = store._engine.shards.unflushed(1)[0]
    inner, seen = shard._inner, dict[str, str]()

    class Watched:
        def __getattr__(self, name: str) -> object:
            call = getattr(inner, name)

            def watched(*given: object) -> object:
                mark = running_call(record)
                if mark is not None:
                    seen[name] = mark.call
                return call(*given)

            return watched

    monkeypatch.setattr(shard, "_inner", Watched())
    await add(store, "b")
    assert store._upkeep is not None
    await store._upkeep.flush(1)
    assert seen == {"update": "update", "flush": "flush"}
    assert running_call(record) is None
