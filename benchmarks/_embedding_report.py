"""Tables of the embedding benchmark: medians with ranges, ratios within the same repeat, targets met or missed."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

RESAMPLES = 2000
LEAST_ANYWHERE = 0.95
RATIOS = {
    ("library", "mixed", "sentence-transformers"): (1.5, 1.7),
    ("http", "1 client, 1 short text", "infinity"): (2.5, 3.0),
    ("http", "64 clients, 1 mixed text", "infinity"): (2.6, 4.0),
}
"""Least ratio and goal, by measure, row and peer. Everywhere else the goal is LEAST_ANYWHERE."""
COSINE, START_S, MEMORY_MB, CACHED_RATIO, CACHED_CPU_MS = 0.9999, 2.0, 300.0, 50.0, 1.0
OURS = "argosy"


def report(results: dict[str, Any]) -> str:
    about = results["machine"]
    lines = [
        f"{about['cpu']}, {about['cores']} cores, Python {about['python']}, load before {about['load_before'][0]:.1f}. "
        f"Others used {statistics.median(results['others_cores']):.1f} cores meanwhile (median of the blocks, at most "
        f"{max(results['others_cores']):.1f}). Words: {results['texts']}. "
        f"Median (range) of {results['repeats']} interleaved repeats.",
        *(f"{name}: {found}" for name, found in results["versions"].items()),
    ]
    for key in ("library", "http"):
        if found := results.get(key):
            lines += ["", *_costs(key, found["rows"]), "", *_ratios(key, found["rows"])]
    lines += ["", "| measure | value | target | |", "|---|---|---|---|"]
    for key, rows in ROWS.items():
        if found := results.get(key):
            lines += rows(found, results)
    for key in ("library", "http"):
        if found := results.get(key):
            lines += ["", *_raw(key, found["rows"])]
    return "\n".join(lines)


def _costs(key: str, rows: dict[str, list[dict[str, Any]]]) -> list[str]:
    engines = list(next(iter(rows.values()))[0])
    lines = [
        f"| {key}: CPU ms per text; texts/s | {' | '.join(sorted(engines))} |",
        "|---|" + "---|" * len(engines),
    ]
    for name, repeats in rows.items():
        cells = [
            f"{_spread([one[engine]['cpu_ms'] for one in repeats])}; "
            f"{_spread([one[engine]['texts_s'] for one in repeats], 0)}"
            for engine in sorted(engines)
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _ratios(key: str, rows: dict[str, list[dict[str, Any]]]) -> list[str]:
    lines = [
        f"| {key}: times as fast as | CPU | throughput | least, goal | by CPU |",
        "|---|---|---|---|---|",
    ]
    for name, repeats in rows.items():
        for peer in sorted(repeats[0]):
            if peer.startswith(OURS):
                continue
            for ours in sorted(engine for engine in repeats[0] if engine.startswith(OURS)):
                cpu = [one[peer]["cpu_ms"] / one[ours]["cpu_ms"] for one in repeats]
                speed = [one[ours]["texts_s"] / one[peer]["texts_s"] for one in repeats]
                least, goal = RATIOS.get((key, name, peer), (LEAST_ANYWHERE, None))
                wanted = f"≥ {least}" + (f", {goal}" if goal else "")
                lines.append(
                    f"| {name}: {ours} / {peer} | {_spread(cpu)} | {_spread(speed)} "
                    f"| {wanted} | {_verdict(statistics.median(cpu) >= least)} |"
                )
    return lines


def _raw(key: str, rows: dict[str, list[dict[str, Any]]]) -> list[str]:
    fields = list(next(iter(rows.values()))[0][OURS])
    lines = [f"| {key}, every repeat | engine | {' | '.join(fields)} |", "|---|---|" + "---|" * len(fields)]
    for name, repeats in rows.items():
        for engine in sorted(repeats[0]):
            cells = (" ".join(f"{one[engine][field]:.2f}" for one in repeats) for field in fields)
            lines.append(f"| {name} | {engine} | {' | '.join(cells)} |")
    return lines


def _start(found: dict[str, Any], results: dict[str, Any]) -> Iterable[str]:
    ready_s = [one["ready_s"] for one in found["starts"]]
    yield _row("start to ready, graph cached", f"{_spread(ready_s)} s", f"≤ {START_S:.0f} s", _most(ready_s, START_S))
    for kind in ("pss", "rss"):
        used = [one[kind] for one in found["starts"]]
        target = f"≤ {MEMORY_MB:.0f} MB" if kind == "rss" else ""
        yield _row(f"{kind.upper()} when ready", f"{_spread(used, 0)} MB", target, _most(used, MEMORY_MB))


def _http(found: dict[str, Any], results: dict[str, Any]) -> Iterable[str]:
    for name, used in found["memory"].items():
        mine = name == OURS
        verdict = _most([used["rss"]], MEMORY_MB) if mine else ""
        target = f"≤ {MEMORY_MB:.0f} MB" if mine else ""
        yield _row(f"RSS (PSS) after the loads, {name}", f"{used['rss']:.0f} ({used['pss']:.0f}) MB", target, verdict)
    for name, started_s in found["started_s"].items():
        yield _row(f"start to first answer, {name}", f"{started_s:.1f} s", "", "")


def _agreement(found: dict[str, Any], results: dict[str, Any]) -> Iterable[str]:
    cosine, same = found["cosine_min"], found["same_top_10"]
    yield _row(
        f"least cosine to torch, {found['texts']} texts", f"{cosine:.7f}", f"≥ {COSINE}", _verdict(cosine >= COSINE)
    )
    queries = found["queries"]
    yield _row("same ten nearest, same order", f"{same} of {queries}", f"{queries}", _verdict(same == queries))


def _cached(found: dict[str, Any], results: dict[str, Any]) -> Iterable[str]:
    rows = found["rows"]
    for key, name in (
        ("uncached", "64 new passages a request"),
        ("cached", "64 cached passages a request"),
        ("restarted", "the same after a restart"),
    ):
        rates = _spread([one[key]["texts_s"] for one in rows], 0)
        yield _row(name, f"{rates} texts/s, {_spread([one[key]['cpu_ms'] for one in rows], 3)} CPU ms each", "", "")
    for key, name in (("cached", "cached against new"), ("restarted", "after a restart against new")):
        times = [one[key]["texts_s"] / one["uncached"]["texts_s"] for one in rows]
        target = f"≥ {CACHED_RATIO:.0f}" if key == "cached" else ""
        yield _row(name, f"{_spread(times, 1)} times", target, _least(times, CACHED_RATIO) if target else "")
    hits = [one["restarted"]["hits"].get("disk", 0) for one in rows]
    yield _row(f"found on disk after a restart, of {found['texts']}", " ".join(map(str, hits)), "", "")
    single = [one["single"]["cpu_ms"] for one in rows]
    yield _row(
        "one cached text", f"{_spread(single)} CPU ms", f"≤ {CACHED_CPU_MS:.0f} ms", _most(single, CACHED_CPU_MS)
    )


def _priority(found: dict[str, Any], results: dict[str, Any]) -> Iterable[str]:
    p99_ms = {}
    for key, name in (("idle", "query at rest"), ("bulk", "query beside bulk")):
        pooled = np.array([ms for one in found["rounds"][key] for ms in one])
        draws = np.random.default_rng(0).choice(pooled, (RESAMPLES, len(pooled)))
        low, high = np.percentile(np.percentile(draws, 99, axis=1), (2.5, 97.5))
        p99_ms[key] = float(np.percentile(pooled, 99))
        each = " ".join(f"{np.percentile(one, 99):.0f}" for one in found["rounds"][key])
        yield _row(
            f"{name}, {len(pooled)} queries",
            f"p50 {np.median(pooled):.1f} ms, p99 {p99_ms[key]:.1f} ({low:.1f}–{high:.1f}); each round {each}",
            "",
            "",
        )
    yield _row("bulk meanwhile", f"{_spread(found['bulk_texts_s'], 0)} texts/s", "", "")
    if batch_ms := results.get("library", {}).get("batch_ms"):
        limit_ms = 2 * p99_ms["idle"] + batch_ms
        yield _row(
            f"p99 beside bulk; one batch takes {batch_ms:.0f} ms",
            f"{p99_ms['bulk']:.1f} ms",
            f"≤ {limit_ms:.0f} ms",
            _verdict(p99_ms["bulk"] <= limit_ms),
        )


def _spread(values: Sequence[float], digits: int = 2) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def _row(name: str, value: str, target: str, verdict: str) -> str:
    return f"| {name} | {value} | {target} | {verdict if target else ''} |"


def _least(values: Sequence[float], limit: float) -> str:
    return _verdict(statistics.median(values) >= limit)


def _most(values: Sequence[float], limit: float) -> str:
    return _verdict(statistics.median(values) <= limit)


def _verdict(met: bool) -> str:
    return "met" if met else "**missed**"


ROWS = {"start": _start, "http": _http, "agreement": _agreement, "cached": _cached, "priority": _priority}
