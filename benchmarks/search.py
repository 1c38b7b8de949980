"""Benchmark of uncached searches in growing collections: latency, processor time of all processes, and memory.

Each size has a fleet of its own. The seeded passages of benchmarks/_corpus.py need no data; each is a document of one
chunk. With `--engine fake` the vectors are drawn from a hash of the text, so that large collections are built
in minutes and the search without the model is measured.

Run: python benchmarks/search.py [--chunks 10000 100000] [--engine onnx] [--data-dir DIR]
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._running import RunningFleet, argosy
from benchmarks.fleet import MODES, QUERIES, RESULTS, machine, measure_memory, measure_search

CHUNKS = 10_000
AIMS = {
    10_000: {"p50": 15.0, "cpu": 15.0},
    100_000: {"p50": 20.0, "p99": 50.0},
}
"""Aims in milliseconds for a hybrid search, by the number of chunks."""


def main() -> None:
    options = _options()
    results: dict[str, Any] = {"machine": machine(), "engine": options.engine, "sizes": []}
    print(f"{results['machine']['cpu']}, {results['machine']['cores']} cores, engine {options.engine}\n")
    print("| chunks | mode | p50 ms | p95 ms | p99 ms | CPU ms, all processes | others' cores | aim |")
    print("|---|---|---|---|---|---|---|---|")
    for chunks in options.chunks:
        found = measure(options.data_dir, chunks, options.queries, options.engine)
        results["sizes"].append(found)
        for mode in MODES:
            print(row(chunks, mode, found["search"]["rounds"][mode]), flush=True)
    print("\n| chunks | memory of all processes (PSS), MB | of the store |\n|---|---|---|")
    for found in results["sizes"]:
        rows = found["memory"]["processes"]
        store = sum(used["pss"] for name, used in rows.items() if name.startswith("store"))
        print(f"| {found['search']['chunks']} | {sum(used['pss'] for used in rows.values()):.0f} | {store:.0f} |")
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"search-{datetime.datetime.now():%Y%m%dT%H%M%S}.json"
    path.write_text(json.dumps(results, indent=1))
    print(f"\nWritten to {path}", file=sys.stderr)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, nargs="+", default=[CHUNKS])
    parser.add_argument("--queries", type=int, default=QUERIES, help="Number of queries per mode.")
    parser.add_argument("--engine", choices=("onnx", "fake"), default="onnx")
    parser.add_argument("--data-dir", type=Path, help="Keep the fleets' data here; chunks found here are not added.")
    return parser.parse_args()


def measure(kept: Path | None, chunks: int, queries: int, engine: str) -> dict[str, Any]:
    """Measure one size. The queries are new in each run, so that no cache knows one of them."""
    with contextlib.ExitStack() as stack:
        folder = kept or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="argosy-search-")))
        folder.mkdir(parents=True, exist_ok=True)
        if engine == "onnx":
            argosy("models", "fetch", folder=folder)
        data_dir = (folder / f"{engine}-{chunks}").absolute()
        fleet = stack.enter_context(RunningFleet(data_dir, "--set", f"services.embedding.backend={engine}"))
        found = measure_search(fleet, chunks, queries, time.time_ns() % 2**32)
        return {"search": found, "memory": measure_memory(fleet)}


def row(chunks: int, mode: str, rounds: list[dict[str, Any]]) -> str:
    """Return the table row of one mode; a missed aim is marked."""
    ms = np.array([value for one in rounds for value in one["ms"]])
    cpu_ms = float(np.mean([sum(one["cpu_ms"].values()) for one in rounds]))
    values = {f"p{q}": float(np.percentile(ms, q)) for q in (50, 95, 99)} | {"cpu": cpu_ms}
    aims = AIMS.get(chunks, {}) if mode == "hybrid" else {}
    told = ", ".join(f"{name} ≤ {aim:.0f}{'' if values[name] <= aim else ' **missed**'}" for name, aim in aims.items())
    others = float(np.mean([one["others_cores"] for one in rounds]))
    shown = " | ".join(f"{values[name]:.1f}" for name in ("p50", "p95", "p99", "cpu"))
    return f"| {chunks} | {mode} | {shown} | {others:.1f} | {told} |"


if __name__ == "__main__":
    main()
