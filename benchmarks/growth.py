"""Search while a collection grows: one store service, from thousands to hundreds of thousands of chunks.

`python benchmarks/growth.py` takes about half an hour; `--points 100000` only fills one collection. Vectors of 384
dimensions are made by a rule with as many directions as texts have (48 topics and noise), so that neighbours exist. The
store runs as in a fleet, but inside of this process: its HTTP application is called without a socket. For each size one
row is printed: p50 and p99 of hybrid searches for 50 chunks while nothing else runs, the same during the rebuild of the
index, seconds and processor seconds of the rebuild, recall@10 against comparing all vectors, memory, and disk space.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import tempfile
import time
import uuid
from pathlib import Path

import numpy as np
import numpy.typing as npt

from argosy.config.models import Fleet
from argosy.config.services import StoreSettings
from argosy.contracts.request import Deadline, RequestContext
from argosy.contracts.store import (
    Chunk,
    DocumentFields,
    EnsureCollection,
    PublishRequest,
    StoreSearchRequest,
    StoreSearchResponse,
    UpsertRequest,
)
from argosy.services.store.app import StoreService
from argosy.serving.kit import Kit
from argosy.serving.runfile import RunRecord
from argosy.serving.sparse_copy import allocated_bytes

DIMENSIONS, TOPICS, WORDS = 384, 48, 60
DOCUMENT = 100
"""Chunks of one document."""
QUERIES = 300
AIM_P50_MS, AIM_P99_MS = 20, 50

Matrix = npt.NDArray[np.float32]
_cpu_ms: list[float] = []
"""Processor milliseconds of each search of the last round, which do not depend on what else the machine does."""


class Corpus:
    """Texts and vectors by number, the same in each run."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(7)
        self._topics = self._rng.standard_normal((TOPICS, DIMENSIONS)).astype(np.float32)
        self._vocabulary = [f"word{number}" for number in range(30_000)]

    def vectors(self, count: int) -> Matrix:
        mixture = self._rng.standard_normal((count, TOPICS)).astype(np.float32)
        rows = mixture @ self._topics + 0.7 * self._rng.standard_normal((count, DIMENSIONS)).astype(np.float32) * 4
        scaled: Matrix = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        return scaled

    def text(self, words: int = WORDS) -> str:
        return " ".join(self._vocabulary[int(n) % 30_000] for n in self._rng.zipf(1.2, words) % 30_000)


def _context() -> RequestContext:
    return RequestContext("bench", Deadline.after(600.0))


async def _add(service: StoreService, corpus: Corpus, first: int, count: int) -> Matrix:
    """Add and publish `count` chunks. Returns: their vectors."""
    vectors = corpus.vectors(count)
    for start in range(0, count, DOCUMENT):
        document = f"d{(first + start) // DOCUMENT}"
        chunks = [
            Chunk(str(uuid.UUID(int=first + start + n + 1)), document, 1, n, "", "", corpus.text(), 0, 1)
            for n in range(min(DOCUMENT, count - start))
        ]
        fields = DocumentFields(document, document)
        raw = vectors[start : start + DOCUMENT].tobytes()
        await service._on_engine(type(service._engine).upsert)(
            UpsertRequest("default", "m", DIMENSIONS, chunks, raw, fields=fields), _context()
        )
        await service._change(PublishRequest("default", document, 1, len(chunks), fields), _context())
    return vectors


async def _search(service: StoreService, vector: Matrix, text: str | None) -> StoreSearchResponse:
    return await service._search(StoreSearchRequest("default", 50, vector.tobytes(), text), _context())


async def _timed(service: StoreService, corpus: Corpus, until: asyncio.Event | None = None) -> list[float]:
    """Search again and again, with short pauses. Returns: milliseconds of each search."""
    took: list[float] = []
    _cpu_ms.clear()
    for vector in corpus.vectors(QUERIES if until is None else 100_000):
        text = corpus.text(6)
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        await _search(service, vector, text)
        took.append((time.perf_counter() - began_s) * 1000)
        _cpu_ms.append((time.process_time() - began_cpu_s) * 1000)
        if until is not None and until.is_set():
            break
        await asyncio.sleep(0.01)
    return took


async def _recall(service: StoreService, corpus: Corpus, everything: Matrix) -> float:
    found = 0.0
    for vector in corpus.vectors(100):
        best = np.argpartition(-(everything @ vector), 10)[:10]
        answer = await _search(service, vector, None)
        mine = {ranked.chunk_id for ranked in answer.dense[:10]}
        found += len(mine & {str(uuid.UUID(int=int(n) + 1)) for n in best}) / 10
    return found / 100


async def _rebuilt(service: StoreService, corpus: Corpus) -> list[float]:
    """Wait until no rebuild is due, and search meanwhile. Returns: milliseconds of each search."""
    done = asyncio.Event()
    searching = asyncio.create_task(_timed(service, corpus, done))
    quiet_s = 0.0
    while quiet_s < 8.0:
        await asyncio.sleep(0.5)
        quiet_s = 0.0 if service._engine.rewriting.current is not None else quiet_s + 0.5
    done.set()
    return await searching


def _memory_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024
    return 0.0


async def measure(folder: Path, sizes: list[int], flat_points: int, quantisation: str) -> None:
    settings = StoreSettings(flat_points=flat_points, quantisation=quantisation)
    fleet = Fleet()
    record = RunRecord(
        id="store-1",
        service="store",
        revision="r1",
        token="t",
        data_dir=str(folder),
        controller_url="http://127.0.0.1:1",
        fleet_json=fleet.model_dump_json(),
    )
    kit = Kit(record, fleet, settings)
    service, corpus = StoreService(kit), Corpus()
    service._upstreams.start = service._upstreams.stop = _nothing  # type: ignore[method-assign]
    await service.start()
    await service._ensure(EnsureCollection("default"), _context())
    everything = np.zeros((0, DIMENSIONS), np.float32)
    print(
        "| chunks | index | search p50 / p99 | its processor time | during rebuild | rebuild | recall@10 "
        "| memory (own) | disk |"
    )
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    for size in sizes:
        base = _memory_mb() if everything.size == 0 else 0.0
        everything = np.vstack([everything, await _add(service, corpus, len(everything), size - len(everything))])
        busy = await _rebuilt(service, corpus)
        built = service._engine.shards.open["default"].built
        took = await _timed(service, corpus)
        c50, c99 = np.percentile(_cpu_ms, (50, 99))
        recall = await _recall(service, corpus, everything)
        p50, p99 = np.percentile(took, (50, 99))
        b50, b99, most = np.percentile(busy, (50, 99, 100))
        graph = f"graph of {built.points}, {built.plan.quantisation}" if built.plan.graph else "none"
        memory = _memory_mb() - base - everything.nbytes / 2**20
        print(
            f"| {size} | {graph} | {p50:.1f} / {p99:.1f} ms | {c50:.1f} / {c99:.1f} ms | "
            f"{b50:.1f} / {b99:.1f} ms, longest {most:.0f} | "
            f"{built.build_s:.0f} s | {recall:.3f} | {memory:.0f} MB | {allocated_bytes(folder) / 2**20:.0f} MB |",
            flush=True,
        )
    await service.stop()


async def _nothing() -> None:
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, nargs="+", default=[10_000, 50_000, 100_000, 300_000])
    parser.add_argument("--flat-points", type=int, default=50_000)
    parser.add_argument("--quantisation", choices=("none", "int8"), default="none")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder), given.points, given.flat_points, given.quantisation))
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"\nProcessor time of all rebuilds: {children.ru_utime + children.ru_stime:.0f} s; largest child: "
        f"{children.ru_maxrss / 1024:.0f} MB."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
