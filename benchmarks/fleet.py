"""Benchmark of a whole fleet's cost on this machine: its start, its memory at rest, and one search.

`python benchmarks/fleet.py` prints a Markdown table and writes benchmarks/results/fleet-TIME.json. Processor time is
the reliable figure on a machine that others use; `others` is the number of cores that they used during the measurement.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._corpus import Corpus
from benchmarks._processes import fleet_cpu_s, fleet_processes, machine_cpu_s, memory
from benchmarks._running import UNSET, Caller, RunningFleet, argosy

RESULTS = Path(__file__).resolve().parent / "results"
CORPUS_SEED = 7
COLLECTION = "default"
MODES = ("hybrid", "lexical", "dense")
STARTS = 5
REST_S = 10.0
ROUNDS = 5
QUERIES = 300
WARM_UP = 30
UPLOAD_DOCUMENTS = 64
BATCH_WAIT_S = 30
QUEUED_BATCHES = 4
NOTE_EVERY = 500
RESAMPLES = 2000
TARGETS = {
    "start": 10.0,
    "memory": 900.0,
    "p50": 20.0,
    "cpu": 15.0,
    "gateway": 3.0,
}


def main() -> None:
    options = _options()
    with contextlib.ExitStack() as stack:
        data_dir = options.data_dir
        if data_dir is None:
            data_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="argosy-bench-"))) / "data"
        data_dir = data_dir.absolute()
        data_dir.parent.mkdir(parents=True, exist_ok=True)
        argosy("models", "fetch", folder=data_dir.parent)
        wanted = (options.only,) if options.only else ("start", "memory", "search")
        results: dict[str, Any] = {"machine": machine()}
        if "start" in wanted:
            results["start"] = measure_start(data_dir)
        if {"memory", "search"} & set(wanted):
            with RunningFleet(data_dir) as fleet:
                if "memory" in wanted:
                    results["memory"] = measure_memory(fleet)
                if "search" in wanted:
                    results["search"] = measure_search(fleet, options.chunks, options.queries, options.query_seed)
                    results["memory_after_search"] = measure_memory(fleet)
        results["machine"]["load_after"] = os.getloadavg()
    print(report(results))
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"fleet-{datetime.datetime.now():%Y%m%dT%H%M%S}.json"
    path.write_text(json.dumps(results, indent=1))
    note(f"Written to {path}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("start", "memory", "search"))
    parser.add_argument("--data-dir", type=Path, help="Keep the fleet's data here; chunks found here are not added.")
    parser.add_argument("--chunks", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=QUERIES, help="Number of queries per mode.")
    parser.add_argument(
        "--query-seed",
        type=int,
        default=time.time_ns() % 2**32,
        help="Seed of the queries; new in each run, so that no cache knows a query.",
    )
    return parser.parse_args()


def machine() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "load_before": os.getloadavg(),
        "unset": f"{UNSET}={os.environ[UNSET]}" if UNSET in os.environ else None,
    }


def measure_start(data_dir: Path) -> dict[str, Any]:
    """Measure a start. `command_s` is the whole `argosy up --detach`; `report_s` is by the controller's own clock."""
    runs = []
    for number in range(1, STARTS + 1):
        with others() as aside, RunningFleet(data_dir) as fleet:
            started = fleet.start_report()
            # No process of this fleet is older than the command, so this is the whole cost of the start.
            cpu_s = fleet_cpu_s(fleet_processes(data_dir))
            aside.append(sum(cpu_s.values()))
        services = {entry["service"]: entry["seconds"] for entry in started["services"]}
        runs.append(
            {
                "command_s": fleet.command_s,
                "report_s": started["seconds"],
                "services_s": services,
                "cpu_s": cpu_s,
                "others_cores": aside[1],
            }
        )
        note(f"start {number}/{STARTS}: {fleet.command_s:.1f} s, {sum(cpu_s.values()):.1f} s CPU")
    return {"runs": runs}


def measure_memory(fleet: RunningFleet) -> dict[str, Any]:
    note(f"memory: {REST_S:.0f} s of rest …")
    processes = fleet_processes(fleet.data_dir)
    before = fleet_cpu_s(processes)
    time.sleep(REST_S)
    idle_s = sum(fleet_cpu_s(processes).values()) - sum(before.values())
    rows: dict[str, dict[str, float]] = {}
    for pid, name in fleet_processes(fleet.data_dir).items():
        used = memory(pid)
        row = rows.setdefault(name, {"processes": 0, "pss": 0.0, "rss": 0.0, "private": 0.0})
        for key, value in (("processes", 1), ("pss", used.pss), ("rss", used.rss), ("private", used.private)):
            row[key] += value
    return {"processes": rows, "idle_cpu_ms_per_s": idle_s / REST_S * 1000}


def measure_search(fleet: RunningFleet, chunks: int, queries: int, query_seed: int) -> dict[str, Any]:
    """Measure searches in each mode. Rounds of the modes take turns, so that other work affects all of them alike."""
    corpus, caller = Corpus(CORPUS_SEED), fleet.caller()
    ingest = add_passages(caller, corpus, chunks)
    fresh = corpus.queries(query_seed)
    for number, query in enumerate(islice(fresh, WARM_UP)):
        search(caller, query, MODES[number % len(MODES)])
    processes = fleet_processes(fleet.data_dir)
    rounds: dict[str, list[dict[str, Any]]] = {mode: [] for mode in MODES}
    for number in range(ROUNDS):
        for mode in (*MODES[number % len(MODES) :], *MODES[: number % len(MODES)]):
            with others() as aside:
                before = fleet_cpu_s(processes)
                timed = [search(caller, query, mode) for query in islice(fresh, queries // ROUNDS)]
                after = fleet_cpu_s(processes)
                aside.append(sum(after.values()) - sum(before.values()))
            cpu_ms = {name: (after[name] - before[name]) / len(timed) * 1000 for name in after}
            rounds[mode].append(
                {"ms": [ms for ms, _ in timed], "cpu_ms": cpu_ms, "others_cores": aside[1], "stages_ms": _stages(timed)}
            )
        note(f"search: round {number + 1}/{ROUNDS}")
    summaries = {mode: _summary(rounds[mode]) for mode in MODES}
    return {"chunks": chunks, "query_seed": query_seed, "ingest": ingest, "modes": summaries, "rounds": rounds}


def add_passages(caller: Caller, corpus: Corpus, count: int) -> dict[str, Any] | None:
    """Add documents of one chunk each through the public API, and return when all are indexed."""
    known = {item["name"]: item["documents"] for item in caller.get("/v1/collections")["collections"]}
    if known.get(COLLECTION, 0) == count:
        note(f"{count} chunks are here already")
        return None
    began_s = time.perf_counter()
    documents = [{"id": f"passage-{number}", "text": text} for number, text in enumerate(corpus.passages(count))]
    waiting: deque[str] = deque()
    indexed = shown = 0
    for first in range(0, count, UPLOAD_DOCUMENTS):
        waiting.append(_add(caller, documents[first : first + UPLOAD_DOCUMENTS]))
        # Keep the queue short, because taking a document from a long one is slow and batches take turns.
        while len(waiting) > (QUEUED_BATCHES if first + UPLOAD_DOCUMENTS < count else 0):
            indexed += _finished(caller, waiting.popleft())
            if indexed - shown >= NOTE_EVERY or not waiting:
                shown = indexed
                note(f"indexed {indexed}/{count}, {time.perf_counter() - began_s:.0f} s")
    return {"indexed_s": time.perf_counter() - began_s}


def _finished(caller: Caller, batch_id: str) -> int:
    """Return the number of documents in the batch, once each of them is one indexed chunk."""
    while not (batch := caller.get(f"/v1/batches/{batch_id}?wait_s={BATCH_WAIT_S}"))["done"]:
        pass
    wrong = [view for view in batch["documents"] if view["status"] != "indexed" or view["chunks"] != 1]
    if wrong:
        raise SystemExit(f"{len(wrong)} documents are not one indexed chunk each, among them {wrong[0]}")
    return int(batch["total"])


def _add(caller: Caller, documents: list[dict[str, str]]) -> str:
    while True:
        status, answer = caller.call("POST", "/v1/documents", {"documents": documents, "collection": COLLECTION})
        if status == 202:
            return str(answer["batch_id"])
        if status != 429:
            raise SystemExit(f"POST /v1/documents answered {status}: {answer}")
        time.sleep(1.0)


def search(caller: Caller, query: str, mode: str) -> tuple[float, dict[str, float]]:
    """Return the milliseconds for the caller, and the stages that the answer reports."""
    began_s = time.perf_counter()
    status, answer = caller.call("POST", "/v1/search", {"query": query, "mode": mode})
    elapsed_ms = (time.perf_counter() - began_s) * 1000
    if status != 200 or answer["degraded"] or not (answer["results"] or mode == "lexical"):
        raise SystemExit(f"A search answered {status}: {answer}")
    return elapsed_ms, answer["timings_ms"]


def _stages(timed: Sequence[tuple[float, dict[str, float]]]) -> dict[str, float]:
    return {stage: statistics.median(stages[stage] for _, stages in timed) for stage in timed[0][1]}


def _summary(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    ms = np.array([value for one in rounds for value in one["ms"]])
    draws = np.random.default_rng(0).choice(ms, (RESAMPLES, len(ms)))
    cpu_ms = {name: statistics.fmean(one["cpu_ms"].get(name, 0.0) for one in rounds) for name in rounds[0]["cpu_ms"]}
    sums = [sum(one["cpu_ms"].values()) for one in rounds]
    return {
        **{
            f"p{q}": {
                "ms": float(np.percentile(ms, q)),
                "ci95": np.percentile(np.percentile(draws, q, axis=1), (2.5, 97.5)).tolist(),
            }
            for q in (50, 95)
        },
        "cpu_ms": cpu_ms,
        "cpu_ms_sum": sum(cpu_ms.values()),
        "cpu_ms_sum_range": [min(sums), max(sums)],
        "stages_ms": {
            stage: statistics.median(one["stages_ms"][stage] for one in rounds) for stage in rounds[0]["stages_ms"]
        },
        "others_cores": statistics.fmean(one["others_cores"] for one in rounds),
    }


@contextlib.contextmanager
def others() -> Iterator[list[float]]:
    """Measure the cores that neither the fleet nor this process used.

    The body appends the fleet's seconds; this function appends the result.
    """
    aside: list[float] = []
    wall_s, busy_s, own_s = time.perf_counter(), machine_cpu_s(), time.process_time()
    yield aside
    wall_s, busy_s, own_s = time.perf_counter() - wall_s, machine_cpu_s() - busy_s, time.process_time() - own_s
    aside.append(max(0.0, (busy_s - own_s - aside[0]) / wall_s))


def report(results: dict[str, Any]) -> str:
    about = results["machine"]
    lines = [
        f"{about['cpu']}, {about['cores']} cores, Python {about['python']}; load before "
        f"{about['load_before'][0]:.1f}, after {about['load_after'][0]:.1f}. "
        + (f"{about['unset']} was unset for the fleet." if about["unset"] else f"{UNSET} was not set."),
        "",
        "| measure | value | spread | target |",
        "|---|---|---|---|",
    ]
    if start := results.get("start"):
        lines += _start_rows(start["runs"])
    for key, name in (("memory", "idle"), ("memory_after_search", "after the searches")):
        if found := results.get(key):
            rows = found["processes"].values()
            goal = f"≤ {TARGETS['memory']:.0f} MB" if key == "memory" else ""
            lines.append(f"| PSS, {name} | {sum(r['pss'] for r in rows):.0f} MB | | {goal} |")
            lines.append(f"| RSS, {name} | {sum(r['rss'] for r in rows):.0f} MB | | |")
            lines.append(f"| CPU at rest, {name} | {found['idle_cpu_ms_per_s']:.1f} ms/s | | |")
    if found := results.get("search"):
        for mode, summary in found["modes"].items():
            lines += _search_rows(f"search {mode}, {found['chunks']} chunks", summary, hybrid=mode == "hybrid")
    for key in ("memory", "memory_after_search"):
        if found := results.get(key):
            lines += ["", f"| {key}, MB | processes | PSS | RSS | private |", "|---|---|---|---|---|"]
            lines += [
                f"| {name} | {row['processes']} | {row['pss']:.0f} | {row['rss']:.0f} | {row['private']:.0f} |"
                for name, row in found["processes"].items()
            ]
    if found := results.get("search"):
        names = list(found["modes"][MODES[0]]["cpu_ms"])
        lines += ["", f"| CPU ms per search | {' | '.join(MODES)} |", "|---|" + "---|" * len(MODES)]
        lines += [
            f"| {name} | " + " | ".join(f"{found['modes'][mode]['cpu_ms'].get(name, 0):.2f}" for mode in MODES) + " |"
            for name in names
        ]
    return "\n".join(lines)


def _start_rows(runs: list[dict[str, Any]]) -> list[str]:
    rows = []
    for key, name, target in (
        ("command_s", "`argosy up --detach`", f"≤ {TARGETS['start']:.0f} s"),
        ("report_s", "start report", ""),
    ):
        values = [run[key] for run in runs]
        rows.append(f"| {name} | {statistics.median(values):.1f} s | {min(values):.1f}–{max(values):.1f} | {target} |")
    cpu = [sum(run["cpu_s"].values()) for run in runs]
    rows.append(f"| CPU of a start | {statistics.median(cpu):.1f} s | {min(cpu):.1f}–{max(cpu):.1f} | |")
    for name in runs[0]["services_s"]:
        seconds = [run["services_s"][name] for run in runs]
        cpu = [run["cpu_s"].get(f"{name}-1", 0.0) for run in runs]
        rows.append(
            f"| · {name} | {statistics.median(seconds):.1f} s, {statistics.median(cpu):.1f} s CPU "
            f"| {min(seconds):.1f}–{max(seconds):.1f} | |"
        )
    others_cores = [run["others_cores"] for run in runs]
    rows.append(f"| others' cores meanwhile | {statistics.fmean(others_cores):.1f} | | |")
    return rows


def _search_rows(name: str, summary: dict[str, Any], *, hybrid: bool) -> list[str]:
    goals = TARGETS if hybrid else {}
    goal = {key: f"≤ {goals[key]:.0f} ms" if key in goals else "" for key in ("p50", "cpu", "gateway")}
    low, high = summary["cpu_ms_sum_range"]
    stages = ", ".join(f"{stage} {ms:.1f}" for stage, ms in summary["stages_ms"].items())
    return [
        f"| {name}: p50 | {summary['p50']['ms']:.1f} ms | {_interval(summary['p50'])} | {goal['p50']} |",
        f"| {name}: p95 | {summary['p95']['ms']:.1f} ms | {_interval(summary['p95'])} | |",
        f"| {name}: CPU, all processes | {summary['cpu_ms_sum']:.1f} ms | {low:.1f}–{high:.1f} | {goal['cpu']} |",
        f"| {name}: CPU, gateway | {summary['cpu_ms'].get('gateway-1', 0):.1f} ms | | {goal['gateway']} |",
        f"| {name}: stages, median ms | {stages} | others' cores {summary['others_cores']:.1f} | |",
    ]


def _interval(quantile: dict[str, Any]) -> str:
    low, high = quantile["ci95"]
    return f"{low:.1f}–{high:.1f}"


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
