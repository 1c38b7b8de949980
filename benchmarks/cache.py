"""Benchmark of the embedding cache: hit rate, cost and memory of level 1 beside other caches, and the cost of a hit.

`python benchmarks/cache.py` prints Markdown tables and writes benchmarks/results/cache-TIME.json. The other caches are
used when they are installed (`pip install theine cachebox`), each with the number of entries that fit the same bytes.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import importlib.util
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from argosy.config.services import EmbeddingSettings
from argosy.contracts.embedding import ModelInfo, TextKind
from argosy.services.embedding.cache.cache import EmbeddingCache
from argosy.services.embedding.cache.disk import DiskLevel
from argosy.services.embedding.cache.entry import CachedVector
from argosy.services.embedding.cache.keys import Keys
from argosy.services.embedding.cache.memory import MemoryLevel, size_of

RESULTS = Path(__file__).resolve().parent / "results"
KEYS = 200_000
REQUESTS = 300_000
CAPACITY = 5_000
LEVEL_ENTRIES = 50_000
SCAN_EVERY = 30_000
SCAN_LENGTH = 12_000
SEED = 7
DIMENSIONS = 384
SHARES = (0.01, 0.025, 0.1, 0.25)
BATCH = 64
ROUNDS = 5
INFO = ModelInfo(model="benchmark", revision="1", dimensions=DIMENSIONS, max_tokens=256)

Rate = Callable[[Sequence[int], int], float]


def zipf(exponent: float, *, scans: bool) -> list[int]:
    """Return requested keys with popularity ~ rank^-exponent. With `scans`, runs of keys seen once are mixed in."""
    rng = np.random.default_rng(SEED)
    weights = np.arange(1, KEYS + 1, dtype=np.float64) ** -exponent
    drawn = rng.choice(KEYS, size=REQUESTS, p=weights / weights.sum())
    if not scans:
        return [int(key) for key in drawn]
    parts, fresh = [], KEYS
    for start in range(0, REQUESTS, SCAN_EVERY):
        parts.append(drawn[start : start + SCAN_EVERY])
        parts.append(np.arange(fresh, fresh + SCAN_LENGTH))
        fresh += SCAN_LENGTH
    return [int(key) for key in np.concatenate(parts)]


def named(keys: Sequence[int]) -> list[bytes]:
    of = Keys(INFO, policy="truncate")
    names = {key: of.key(str(key), TextKind.QUERY) for key in set(keys)}
    return [names[key] for key in keys]


def own(keys: Sequence[int], capacity: int) -> float:
    memory = MemoryLevel(capacity * size_of(DIMENSIONS), dimensions=DIMENSIONS)
    value = CachedVector(np.zeros(DIMENSIONS, dtype=np.float32), 1, False)
    hits = 0
    for key in named(keys):
        if memory.get(key, 0.0) is not None:
            hits += 1
        else:
            memory.put(key, value, ends_s=1.0, now_s=0.0)
    return hits / len(keys)


def lru(keys: Sequence[int], capacity: int) -> float:
    cache: OrderedDict[int, None] = OrderedDict()
    hits = 0
    for key in keys:
        if key in cache:
            hits += 1
            cache.move_to_end(key)
        else:
            cache[key] = None
            if len(cache) > capacity:
                cache.popitem(last=False)
    return hits / len(keys)


def theine(keys: Sequence[int], capacity: int) -> float:
    from theine import Cache  # type: ignore[import-not-found]

    cache: Any = Cache(capacity)
    hits = 0
    try:
        for key in keys:
            if cache.get(key)[1]:
                hits += 1
            else:
                cache.set(key, key, datetime.timedelta(hours=1))
    finally:
        cache.close()
    return hits / len(keys)


def cachebox(keys: Sequence[int], capacity: int) -> float:
    from cachebox import LFUCache  # type: ignore[import-not-found]

    cache: Any = LFUCache(capacity)
    hits = 0
    for key in keys:
        if cache.get(key) is not None:
            hits += 1
        else:
            cache[key] = key
    return hits / len(keys)


OTHERS: dict[str, Rate] = {"theine": theine, "cachebox": cachebox}
Get = Callable[[bytes], object]
Put = Callable[[bytes, CachedVector], object]


def own_level(capacity: int) -> tuple[Get, Put]:
    memory = MemoryLevel(capacity * size_of(DIMENSIONS), dimensions=DIMENSIONS)
    return lambda key: memory.get(key, 0.0), lambda key, value: memory.put(key, value, ends_s=1.0, now_s=0.0)


def theine_level(capacity: int) -> tuple[Get, Put]:
    from theine import Cache

    cache: Any = Cache(capacity)
    ttl = datetime.timedelta(hours=1)
    return cache.get, lambda key, value: cache.set(key, value, ttl)


def levels() -> dict[str, dict[str, float]]:
    """Return for each cache the CPU of one call in microseconds, and the resident bytes of one entry."""
    made = {"own": own_level} | ({"theine": theine_level} if importlib.util.find_spec("theine") else {})
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as processes:
        return {
            name: _costs(make) | {"bytes an entry": processes.submit(_entry_bytes, make).result()}
            for name, make in made.items()
        }


def _entry_bytes(make: Callable[[int], tuple[Get, Put]]) -> float:
    """Measure the resident memory of full levels. It runs in a process of its own, which has no freed memory."""
    keys = [os.urandom(16) for _ in range(LEVEL_ENTRIES)]
    _, put = make(LEVEL_ENTRIES)
    process = psutil.Process()
    before = process.memory_info().rss
    for key in keys:
        put(bytes(bytearray(key)), CachedVector(np.ones(DIMENSIONS, dtype=np.float32), 1, False))
    return (process.memory_info().rss - before) / LEVEL_ENTRIES


def _costs(make: Callable[[int], tuple[Get, Put]]) -> dict[str, float]:
    keys = [os.urandom(16) for _ in range(3 * LEVEL_ENTRIES)]
    value = CachedVector(np.zeros(DIMENSIONS, dtype=np.float32), 1, False)
    get, put = make(LEVEL_ENTRIES)
    figures = {"put": _cpu_us(lambda key: put(key, value), keys)}
    figures["put again"] = _cpu_us(lambda key: put(key, value), keys[:LEVEL_ENTRIES])
    held = [key for key in keys if get(key) not in (None, (None, False))]  # the first hit moves an entry
    figures["hit"] = _cpu_us(get, held)
    figures["miss"] = _cpu_us(get, [os.urandom(16) for _ in range(LEVEL_ENTRIES)])
    return figures


def _cpu_us(call: Callable[[bytes], object], keys: Sequence[bytes]) -> float:
    began = time.thread_time()
    for key in keys:
        call(key)
    return (time.thread_time() - began) / len(keys) * 1e6


def hit_rates() -> dict[str, list[float]]:
    caches: dict[str, Rate] = {"own": own, "LRU": lru}
    caches.update({name: rate for name, rate in OTHERS.items() if importlib.util.find_spec(name)})
    loads = [zipf(exponent, scans=scans) for exponent in (0.9, 1.1) for scans in (False, True)]
    return {name: [rate(keys, CAPACITY) for keys in loads] for name, rate in caches.items()}


def sizes() -> dict[float, list[float]]:
    """Return the hit rate at each of SHARES by exponent."""
    return {
        exponent: [own(zipf(exponent, scans=False), int(KEYS * share)) for share in SHARES] for exponent in (0.9, 1.1)
    }


def costs() -> dict[str, float]:
    """Return microseconds per key, median of ROUNDS over distinct batches of 64."""
    rng = np.random.default_rng(SEED)
    vectors = rng.standard_normal((20_000, DIMENSIONS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    texts = [f"passage {n} " + "of some words " * 20 for n in range(len(vectors))]
    result: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        settings = EmbeddingSettings(cache_memory_bytes=256 * 2**20)
        cache = EmbeddingCache.open(None, INFO, settings)
        keys = [cache.key(text, TextKind.PASSAGE) for text in texts]
        result["key of a 280-character text"] = _median(
            lambda at: [cache.key(t, TextKind.PASSAGE) for t in texts[at : at + BATCH]]
        )
        items = [(key, CachedVector(vector, 60, False, 0.01)) for key, vector in zip(keys, vectors, strict=True)]
        disk = DiskLevel(Path(folder) / "cache.db", limit_bytes=2**30, precision="float16", ttl_s=float("inf"))
        for start in range(0, len(items), 4096):
            disk.write(items[start : start + 4096])
            if not disk.flush(60.0):
                raise SystemExit("the writer is too slow")
        result["level 2, get"] = _median(lambda at: disk.read_now(keys[at : at + BATCH]))
        disk.close()
        bytes_used = sum(path.stat().st_size for path in Path(folder).glob("cache.db.*"))
        result["level 2, bytes on disk a vector"] = bytes_used / len(items)
        result["store, on the event loop"] = _median(lambda at: cache.store(items[at : at + BATCH]))
        result["level 1, lookup"] = asyncio.run(_lookups(cache, keys))
        cache.close()
    return result


def precision() -> dict[str, float]:
    """Return the effect of float16 on disk.

    The figures are the least cosine to the original, and the agreement of the top 10 of 500 searches over 20,000.
    """
    rng = np.random.default_rng(SEED)
    centres = rng.standard_normal((200, DIMENSIONS))
    drawn = centres[rng.integers(0, 200, 20_500)] + rng.standard_normal((20_500, DIMENSIONS))
    vectors = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
    rounded = vectors.astype(np.float16).astype(np.float32)
    rounded /= np.linalg.norm(rounded, axis=1, keepdims=True)
    exact, near = vectors[:500] @ vectors[500:].T, rounded[:500] @ rounded[500:].T
    best, found = np.argsort(-exact)[:, :10], np.argsort(-near)[:, :10]
    shared = [len(set(a.tolist()) & set(b.tolist())) / 10 for a, b in zip(best, found, strict=True)]
    return {
        "least cosine": float((vectors * rounded).sum(axis=1, dtype=np.float64).min()),
        "top 10 shared": statistics.mean(shared),
        "top 1 equal": float((best[:, 0] == found[:, 0]).mean()),
    }


def _median(run: Callable[[int], object]) -> float:
    run(0)
    rounds = []
    for turn in range(ROUNDS):
        began = time.perf_counter()
        starts = range(turn * 3_900, turn * 3_900 + 3_840, BATCH)
        for at in starts:
            run(at)
        rounds.append((time.perf_counter() - began) / (len(starts) * BATCH) * 1e6)
    return statistics.median(rounds)


async def _lookups(cache: EmbeddingCache, keys: Sequence[bytes]) -> float:
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for at in range(0, 3_840, BATCH):
            await cache.lookup(keys[at : at + BATCH])
        rounds.append((time.perf_counter() - began) / 3_840 * 1e6)
    return statistics.median(rounds)


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    beside = levels()
    rates, table, cost, kept = hit_rates(), sizes(), costs(), precision()
    print(f"Hit rate, {KEYS:,} keys, room for {CAPACITY:,} vectors\n")
    print("| cache | Zipf 0.9 | with scans | Zipf 1.1 | with scans |\n|---|---|---|---|---|")
    for name, row in rates.items():
        print(f"| {name} | " + " | ".join(f"{rate:.3f}" for rate in row) + " |")
    print(f"\n| level 1 | {' | '.join(beside['own'])} |\n|---" + "|---" * len(beside["own"]) + "|")
    for name, figures in beside.items():
        print(f"| {name} | " + " | ".join(f"{figure:.1f}" for figure in figures.values()) + " |")
    print("\n| popularity | " + " | ".join(f"{share:.1%} of the texts fit" for share in SHARES) + " |")
    print("|---" * (len(SHARES) + 1) + "|")
    for exponent, row in table.items():
        print(f"| Zipf {exponent} | " + " | ".join(f"{rate:.2f}" for rate in row) + " |")
    print("\n| part | µs a key, batches of 64 |\n|---|---|")
    for name, figure in cost.items():
        print(f"| {name} | {figure:.1f} |")
    print("\n| float16 on disk | |\n|---|---|")
    for name, figure in kept.items():
        print(f"| {name} | {figure:.7f} |")
    RESULTS.mkdir(exist_ok=True)
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    record = {
        "hit_rates": rates,
        "levels": beside,
        "sizes": {str(k): v for k, v in table.items()},
        "costs": cost,
        "float16": kept,
    }
    (RESULTS / f"cache-{stamp}.json").write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
