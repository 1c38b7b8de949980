"""The cache as the service uses it: both levels, on an event loop, with a real file."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from argosy.config.services import EmbeddingSettings
from argosy.contracts.embedding import TextKind
from argosy.services.embedding.cache.cache import EmbeddingCache
from argosy.services.embedding.cache.entry import CachedVector, Level
from argosy.services.embedding.cache.statistics import DiskState
from tests.unit.embedding.cache.vectors import INFO, cached, is_nearly_of, is_of

pytestmark = pytest.mark.integration

TEXTS = [f"passage {n}" for n in range(300)]


@contextlib.contextmanager
def opened(folder: Path | None, **settings: object) -> Iterator[EmbeddingCache]:
    with contextlib.closing(
        EmbeddingCache.open(folder, INFO, EmbeddingSettings.model_validate({"cache_precision": "float32", **settings}))
    ) as cache:
        yield cache


def keys(cache: EmbeddingCache, texts: list[str]) -> list[bytes]:
    return [cache.key(text, TextKind.PASSAGE) for text in texts]


def store(cache: EmbeddingCache, texts: list[str]) -> None:
    cache.store(zip(keys(cache, texts), map(cached, texts), strict=True))


async def test_results_stand_in_the_order_of_the_keys_whatever_the_level(tmp_path: Path) -> None:
    with opened(tmp_path) as cache:
        store(cache, TEXTS[::3])
    with opened(tmp_path) as cache:
        store(cache, TEXTS[1::3])
        asked = [*TEXTS, TEXTS[0], TEXTS[2], TEXTS[1]]
        found = await cache.lookup(keys(cache, asked))
        levels = [hit.level if hit else None for hit in found]
        assert levels == [*[Level.DISK, Level.MEMORY, None] * 100, Level.DISK, None, Level.MEMORY]
        assert all(is_of(hit.value, text) for hit, text in zip(found, asked, strict=True) if hit)
        again = await cache.lookup(keys(cache, asked))
        assert {hit.level for hit in again if hit} == {Level.MEMORY}


async def test_what_was_computed_before_a_restart_is_a_hit_after_it(tmp_path: Path) -> None:
    with opened(tmp_path, cache_precision="float16") as cache:
        store(cache, TEXTS)
    with opened(tmp_path, cache_precision="float32") as cache:
        found = await cache.lookup(keys(cache, TEXTS))
        assert all(hit and is_nearly_of(hit.value, text) for hit, text in zip(found, TEXTS, strict=True))


async def test_hits_and_savings_are_counted_by_level(tmp_path: Path) -> None:
    with opened(tmp_path) as cache:
        store(cache, TEXTS[:2])
    with opened(tmp_path) as cache:
        await cache.lookup(keys(cache, TEXTS[:3]))
        await cache.lookup(keys(cache, TEXTS[:3]))
        stats = cache.stats()
        assert (stats.memory.hits, stats.memory.misses) == (2, 4)
        assert (stats.disk.hits, stats.disk.misses) == (2, 2)
        assert (stats.lookups, stats.misses, stats.hit_rate) == (6, 2, 4 / 6)
        assert stats.tokens_saved == 4 * len(TEXTS[0])
        assert stats.seconds_saved == pytest.approx(4 * 0.25)
        assert (stats.disk_state, stats.memory.entries) == (DiskState.READY, 2)


@pytest.mark.parametrize(
    ("settings", "level"),
    [
        ({"cache_memory_bytes": 0}, Level.DISK),
        ({"cache_disk_bytes": 0}, Level.MEMORY),
        ({"cache_memory_bytes": 0, "cache_disk_bytes": 0}, None),
    ],
)
async def test_zero_turns_a_level_off(tmp_path: Path, settings: dict[str, object], level: Level | None) -> None:
    with opened(tmp_path, **settings) as cache:
        store(cache, TEXTS)
        if cache.disk is not None:
            assert cache.disk.flush(30.0)
        found = await cache.lookup(keys(cache, TEXTS))
        assert {hit.level if hit else None for hit in found} == {level}
    assert (tmp_path / "cache.db").exists() == (settings.get("cache_disk_bytes") != 0)


async def test_the_batch_a_vector_came_from_is_not_kept_in_memory_and_may_be_changed(tmp_path: Path) -> None:
    with opened(None) as cache:
        batch = np.stack([cached(text).vector for text in TEXTS])
        named = keys(cache, TEXTS)
        cache.store(
            (key, CachedVector(row, len(text), False)) for key, row, text in zip(named, batch, TEXTS, strict=True)
        )
        batch[:] = 0
        found = await cache.lookup(named)
        assert all(hit and hit.value.vector.base is None for hit in found)
        assert all(hit and is_nearly_of(hit.value, text) for hit, text in zip(found, TEXTS, strict=True))


async def test_a_vector_that_is_not_finite_is_never_kept() -> None:
    with opened(None) as cache:
        key = cache.key("sea", TextKind.QUERY)
        cache.store([(key, CachedVector(np.full(96, np.nan, dtype=np.float32), 1, False))])
        assert await cache.lookup([key]) == [None]


async def test_a_disk_that_does_not_answer_is_a_miss_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = EmbeddingSettings(cache_precision="float32")
    with contextlib.closing(EmbeddingCache.open(tmp_path, INFO, settings, read_patience_s=0.01)) as cache:
        assert cache.disk is not None
        answer = threading.Event()
        real = cache.disk.read_now
        monkeypatch.setattr(cache.disk, "read_now", lambda asked: (answer.wait(30), real(asked))[1])
        store(cache, TEXTS[:1])
        try:
            assert await cache.lookup(keys(cache, ["unknown"])) == [None]
            assert await cache.lookup(keys(cache, ["another"])) == [None]
            [hit] = await cache.lookup(keys(cache, TEXTS[:1]))
            assert hit is not None
        finally:
            answer.set()
