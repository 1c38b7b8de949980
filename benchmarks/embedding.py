"""Benchmark of the embedding service against sentence-transformers and infinity-emb in one interleaved run.

`python benchmarks/embedding.py --peers DIR` prints Markdown tables and writes benchmarks/results/embedding-TIME.json.
DIR holds the peers' environments, which are built with plain pip when they are missing; without `--peers`, Argosy is
measured alone. `--data DIR` takes words from collections in BEIR layout in DIR. `--quick` takes about two minutes.

No text is sent twice to a process that caches, except where the table says "cached". All engines load the same model
folder, and use every core for HTTP and one core as a library. Processor time is that of the server's process tree.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import fcntl
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from argosy.config.models import Fleet
from argosy.contracts.embedding import EmbedRequest, EmbedResponse, TextKind
from argosy.contracts.vectors import Vectors, matrix
from argosy.models.resolver import ModelFolder, resolve
from benchmarks import _embedding_peers as peers
from benchmarks._embedding_load import LoadGenerator, Outcome, Plan, summary
from benchmarks._embedding_replica import TOKEN, Endpoints, Replica, replica
from benchmarks._embedding_report import report
from benchmarks._embedding_texts import Texts, judged
from benchmarks._processes import cpu_s, fleet_cpu_s, machine_cpu_s, memory
from benchmarks.fleet import machine

RESULTS = Path(__file__).resolve().parent / "results"
REPEATS, QUICK_REPEATS = 5, 2
LIBRARY_TEXTS = {"mixed": 120, "passage": 64}
BATCH_PASSAGES = 8
STARTS = 5
HOLD_LOCK_S = 170.0
AGREEMENT_TEXTS, AGREEMENT_QUERIES = 300, 60
CACHED_REQUESTS, CACHED_ROUNDS, CACHED_SINGLES = 2, 25, 500
QUERIES, QUERY_PAUSE_S = 150, 0.02
BULK_CLIENTS, BULK_TEXTS, BULK_REQUESTS, BULK_LEAD_S = 2, 64, 60, 1.0
OPENAI, INTERNAL = (
    {"content-type": "application/json"},
    {
        "content-type": "application/msgpack",
        "accept": "application/msgpack",
        "authorization": f"Bearer {TOKEN}",
    },
)
FULL_MODEL = "sentence-transformers/all-MiniLM-L6-v2"


@dataclass(frozen=True, slots=True)
class Load:
    """Load of `requests` requests with `texts` texts each in one repeat, by `clients` at once."""

    name: str
    kind: str
    texts: int
    clients: int
    requests: int


LOADS = (
    Load("1 client, 1 short text", "short", 1, 1, 60),
    Load("64 clients, 1 short text", "short", 1, 64, 256),
    Load("64 clients, 1 mixed text", "mixed", 1, 64, 126),
    Load("1 client, 64 short texts", "short", 64, 1, 4),
    Load("1 client, 64 passages", "passage", 64, 1, 1),
)


@dataclass(frozen=True, slots=True)
class Server:
    """Server of one engine over HTTP, with the processes whose time its requests cost."""

    url: str
    headers: dict[str, str]
    body: Callable[[Sequence[str]], bytes]
    roots: tuple[int, ...]

    def plan(self, requests: Sequence[Sequence[str]], clients: int, **more: Any) -> Plan:
        return Plan(
            self.url, {**self.headers, **more.pop("headers", {})}, list(map(self.body, requests)), clients, **more
        )

    def cpu_s(self) -> float:
        return sum(fleet_cpu_s({pid: str(pid) for root in self.roots for pid in (root, *_below(root))}).values())

    def memory(self) -> dict[str, float]:
        used = [memory(pid) for root in self.roots for pid in (root, *_below(root))]
        return {"pss": sum(one.pss for one in used), "rss": sum(one.rss for one in used)}


class Bench:
    """State that every measurement of a run needs."""

    def __init__(self, options: argparse.Namespace, folder: Path, stack: contextlib.ExitStack) -> None:
        self.repeats = QUICK_REPEATS if options.quick else options.repeats
        self.folder = folder
        self.model: ModelFolder = resolve(FULL_MODEL, fetch=True, progress=note)
        self.pythons = peers.environments(options.peers.absolute()) if options.peers else {}
        self.peer_model = peers.peer_folder(self.model.path, folder)
        self.texts = Texts(self.model.path / "tokenizer.json", options.data, options.seed)
        self.data: Path | None = options.data
        self.lock: Path | None = options.lock
        self.held: tuple[IO[str], float] | None = None
        stack.callback(self.release)
        self.endpoints = Endpoints()
        stack.callback(self.endpoints.close)
        self.load, self.second = LoadGenerator(), LoadGenerator()
        stack.callback(self.load.close)
        stack.callback(self.second.close)
        self.fleet = Fleet()
        self.others_cores: list[float] = []

    @contextlib.contextmanager
    def block(self, what: str) -> Iterator[None]:
        """Run one block of measurements, after waiting until no other benchmark holds the same lock.

        The lock is released between blocks, so that others can run.
        """
        if self.lock is not None and self.held is None:
            file = self.lock.open("w")
            fcntl.flock(file, fcntl.LOCK_EX)
            self.held = (file, time.monotonic())
        began_s, others_s = time.perf_counter(), machine_cpu_s() - _own_cpu_s()
        yield
        wall_s, others_s = time.perf_counter() - began_s, machine_cpu_s() - _own_cpu_s() - others_s
        self.others_cores.append(max(0.0, others_s / wall_s))
        note(f"{what}: {wall_s:.0f} s, others used {self.others_cores[-1]:.1f} cores")
        if self.held is not None and time.monotonic() - self.held[1] > HOLD_LOCK_S:
            self.release()

    def release(self) -> None:
        if self.held is not None:
            self.held[0].close()
            self.held = None

    def replica(self, name: str) -> contextlib.AbstractContextManager[Replica]:
        return replica("embedding", self.fleet, self.folder / name, self.endpoints)


def main() -> None:
    options = _options()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="argosy-bench-")))
        bench = Bench(options, folder, stack)
        results: dict[str, Any] = {"machine": machine(), "texts": bench.texts.source, "repeats": bench.repeats}
        results["versions"] = {name: peers.versions(python) for name, python in bench.pythons.items()}
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"embedding-{datetime.datetime.now():%Y%m%dT%H%M%S}.json"
        for name, measure in MEASURES.items():
            if not options.only or name in options.only:
                results[name] = measure(bench)
                results["others_cores"] = bench.others_cores
                path.write_text(json.dumps(results, indent=1))
    print(report(results))
    note(f"Written to {path}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, help="Folder of the peers' environments; built there when missing.")
    parser.add_argument("--data", type=Path, help="Folder of collections in BEIR layout; else texts are generated.")
    parser.add_argument("--quick", action="store_true", help="Two repeats instead of five.")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--only", nargs="+", choices=tuple(MEASURES), help="Run only these measures.")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32, help="Seed of the texts; new in each run.")
    parser.add_argument("--lock", type=Path, help="File whose lock (flock) is held while something is measured.")
    return parser.parse_args()


def measure_start(bench: Bench) -> dict[str, Any]:
    """Measure the start of a replica with a cached graph and an empty data folder, and its memory when it is ready."""
    with bench.replica("warm"):
        pass
    starts = []
    with bench.block("start"):
        for number in range(min(STARTS, bench.repeats)):
            with bench.replica(f"start-{number}") as started:
                used = memory(started.pid)
                starts.append(
                    {"ready_s": started.ready_s, "cpu_s": cpu_s(started.pid), "pss": used.pss, "rss": used.rss}
                )
    return {"starts": starts}


def measure_library(bench: Bench) -> dict[str, Any]:
    """Measure engines as libraries: one core and one thread each, with nothing between the texts and the engine."""
    found: dict[str, list[dict[str, Any]]] = {}
    with contextlib.ExitStack() as stack:
        engines = {"argosy": peers.Library(Path(sys.executable), "argosy", bench.model.path)}
        if bench.pythons:
            name = "sentence-transformers"
            engines[name] = peers.Library(bench.pythons["venv-st"], name, bench.peer_model)
        for engine in engines.values():
            stack.callback(engine.close)
            engine.encode(bench.texts.take("mixed", 30))
        with bench.block("library"):
            for number in range(bench.repeats):
                for kind, count in LIBRARY_TEXTS.items():
                    texts = bench.texts.take(kind, count)
                    row: dict[str, Any] = {}
                    for name in _turned(list(engines), number):
                        spent = engines[name].encode(texts)
                        row[name] = {"cpu_ms": spent["cpu_s"] * 1000 / count, "texts_s": count / spent["wall_s"]}
                    found.setdefault(kind, []).append(row)
            passages = [bench.texts.take("passage", BATCH_PASSAGES) for _ in range(bench.repeats * 2)]
            batches = [engines["argosy"].encode(texts)["wall_s"] * 1000 for texts in passages]
    # The service makes its batches smaller than the engine alone would: none takes longer than the setting.
    longest_ms = bench.fleet.services.embedding.max_batch_ms
    return {"rows": found, "batch_ms": min(longest_ms, statistics.median(batches))}


def measure_http(bench: Bench) -> dict[str, Any]:
    """Measure every load on every engine in turn, each over HTTP with base64 or raw bytes, never numbers."""
    found: dict[str, list[dict[str, Any]]] = {load.name: [] for load in LOADS}
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(bench.replica("http"))
        servers, started_s = _servers(bench, ours, stack)
        with bench.block("http, warm-up"):
            for server in servers.values():
                for count, clients in ((1, 8), (32, 1)):
                    bench.load.run(server.plan([bench.texts.take("mixed", count) for _ in range(clients)], clients))
        for number in range(bench.repeats):
            for load in LOADS:
                with bench.block(f"http, repeat {number + 1}/{bench.repeats}, {load.name}"):
                    found[load.name].append(_one_load(bench, servers, load, number))
        used = {name: server.memory() for name, server in servers.items()}
        if any(ours.hits().values()):
            raise SystemExit(f"The cache answered where it must not: {ours.hits()}")
    return {"rows": found, "memory": used, "started_s": started_s}


def _servers(bench: Bench, ours: Replica, stack: contextlib.ExitStack) -> tuple[dict[str, Server], dict[str, float]]:
    gateway = stack.enter_context(replica("gateway", bench.fleet, bench.folder / "gateway", bench.endpoints))
    public = _openai(bench.fleet.services.embedding.model)
    servers = {
        "argosy": _internal(ours),
        "argosy gateway": Server(f"{gateway.url}/v1/embeddings", OPENAI, public, (gateway.pid, ours.pid)),
    }
    started_s = {"argosy": ours.ready_s}
    if bench.pythons:
        for name, start, python in (
            ("sentence-transformers", peers.sentence_transformers_server, bench.pythons["venv-st"]),
            ("infinity", peers.infinity_server, bench.pythons["venv-infinity"]),
        ):
            peer = stack.enter_context(start(python, bench.peer_model, bench.folder / f"{name}.log"))
            servers[name] = Server(peer.url, OPENAI, _openai("model"), (peer.pid,))
            started_s[name] = peer.started_s
    return servers, started_s


def _one_load(bench: Bench, servers: dict[str, Server], load: Load, number: int) -> dict[str, Any]:
    """Measure one load with the same texts for all servers except the gateway, whose replica shares its cache."""

    def draw() -> list[list[str]]:
        texts = bench.texts.take(load.kind, load.requests * load.texts)
        return [texts[first : first + load.texts] for first in range(0, len(texts), load.texts)]

    shared, own = draw(), draw()
    row: dict[str, Any] = {}
    for name in _turned(list(servers), number):
        plan = servers[name].plan(own if name == "argosy gateway" else shared, load.clients)
        row[name] = _costed(bench.load, servers[name], plan, load.requests * load.texts)
    return row


def _costed(load: LoadGenerator, server: Server, plan: Plan, texts: int) -> dict[str, Any]:
    before_s = server.cpu_s()
    outcome = load.run(plan)
    spent_s = server.cpu_s() - before_s
    return {
        "cpu_ms": spent_s * 1000 / texts,
        "texts_s": texts / outcome.wall_s,
        "client_cpu_ms": outcome.cpu_s * 1000 / len(plan.bodies),
        **summary(outcome.latencies_ms),
    }


def measure_agreement(bench: Bench) -> dict[str, Any]:
    """Compare the service's vectors with torch's in fp32: the smallest cosine, and the ten nearest of each query."""
    if not bench.pythons:
        return {}
    documents, queries = judged(bench.data, bench.texts, AGREEMENT_TEXTS, AGREEMENT_QUERIES)
    texts = [*documents, *queries]
    out = bench.folder / "torch.npy"
    with bench.block("agreement"), bench.replica("agreement") as ours:
        engine = peers.Library(bench.pythons["venv-st"], "sentence-transformers", bench.peer_model)
        engine.encode(texts, out)
        engine.close()
        outcome = bench.load.run(_internal(ours).plan([texts], 1, keep=True))
        found = matrix(msgspec.msgpack.decode(outcome.answers[0], type=EmbedResponse))
    theirs: Vectors = np.load(out)
    theirs = theirs / np.linalg.norm(theirs, axis=1, keepdims=True)
    count = len(documents)
    nearest = [np.argsort(-(v[count:] @ v[:count].T), axis=1, kind="stable")[:, :10] for v in (theirs, found)]
    return {
        "texts": len(texts),
        "cosine_min": float((theirs * found).sum(axis=1).min()),
        "queries": len(queries),
        "same_top_10": int((nearest[0] == nearest[1]).all(axis=1).sum()),
    }


def measure_cached(bench: Bench) -> dict[str, Any]:
    """Measure passages that are new, repeated, and repeated after a restart, and one short text repeatedly."""
    rows: list[dict[str, Any]] = []
    with bench.block("cached"):
        for number in range(bench.repeats):
            requests = [bench.texts.take("passage", 64) for _ in range(CACHED_REQUESTS)]
            name = f"cached-{number}"
            row: dict[str, Any] = {}
            count = CACHED_REQUESTS * 64
            with bench.replica(name) as ours:
                server = _internal(ours)
                bench.load.run(server.plan([bench.texts.take("mixed", 30)], 1))
                row["uncached"] = _costed(bench.load, server, server.plan(requests, 1), count)
                again = server.plan(requests * CACHED_ROUNDS, 1)
                row["cached"] = _costed(bench.load, server, again, count * CACHED_ROUNDS)
                single = server.plan([bench.texts.take("short", 1)] * CACHED_SINGLES, 1)
                row["single"] = _costed(bench.load, server, single, CACHED_SINGLES)
            with bench.replica(name) as ours:
                server = _internal(ours)
                bench.load.run(server.plan([bench.texts.take("mixed", 30)], 1))
                row["restarted"] = _costed(bench.load, server, server.plan(requests, 1), count)
                row["restarted"]["hits"] = ours.hits()
            rows.append(row)
    return {"rows": rows, "texts": CACHED_REQUESTS * 64}


def measure_priority(bench: Bench) -> dict[str, Any]:
    """Measure queries of one client at rest, and while bulk clients keep the service full, in alternating rounds."""
    found: dict[str, list[list[float]]] = {"idle": [], "bulk": []}
    bulk_texts_s: list[float] = []
    with bench.replica("priority") as ours:
        server = _internal(ours)
        bench.load.run(server.plan([bench.texts.take("mixed", 64) for _ in range(2)], 1))
        for _ in range(bench.repeats):
            passages = [bench.texts.take("passage", BULK_TEXTS) for _ in range(BULK_REQUESTS)]
            with bench.block("queries"):
                found["idle"].append(_queries(bench, server).latencies_ms)
                at_most_s = BULK_LEAD_S + sum(found["idle"][-1]) / 1000 * 6 + QUERIES * QUERY_PAUSE_S
                headers = {"x-argosy-priority": "bulk"}
                bench.second.start(server.plan(passages, BULK_CLIENTS, headers=headers, at_most_s=at_most_s))
                time.sleep(BULK_LEAD_S)
                asked = _queries(bench, server)
                bulk = bench.second.finish()
                if bulk.wall_s < asked.wall_s + BULK_LEAD_S:
                    raise SystemExit("The bulk load ended before the queries; raise BULK_REQUESTS.")
            found["bulk"].append(asked.latencies_ms)
            bulk_texts_s.append(len(bulk.latencies_ms) * BULK_TEXTS / bulk.wall_s)
    return {"rounds": found, "bulk_texts_s": bulk_texts_s}


def _queries(bench: Bench, server: Server) -> Outcome:
    queries = [bench.texts.take("short", 1) for _ in range(QUERIES)]
    return bench.load.run(server.plan(queries, 1, pause_s=QUERY_PAUSE_S))


def _internal(ours: Replica) -> Server:
    return Server(
        f"{ours.url}/embed",
        INTERNAL,
        lambda texts: msgspec.msgpack.encode(EmbedRequest(list(texts), TextKind.PASSAGE)),
        (ours.pid,),
    )


def _openai(model: str) -> Callable[[Sequence[str]], bytes]:
    def body(texts: Sequence[str]) -> bytes:
        return json.dumps({"model": model, "input": list(texts), "encoding_format": "base64"}).encode()

    return body


def _own_cpu_s() -> float:
    """Return the processor time of this process and its descendants, including ended ones that were waited for."""
    return sum(os.times()[:4]) + sum(fleet_cpu_s({pid: str(pid) for pid in _below(os.getpid())}).values())


def _below(root: int) -> list[int]:
    return [child.pid for child in psutil.Process(root).children(recursive=True)]


def _turned(names: list[str], number: int) -> list[str]:
    number %= len(names)
    return names[number:] + names[:number]


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


MEASURES: dict[str, Callable[[Bench], dict[str, Any]]] = {
    "start": measure_start,
    "library": measure_library,
    "http": measure_http,
    "agreement": measure_agreement,
    "cached": measure_cached,
    "priority": measure_priority,
}


if __name__ == "__main__":
    main()
