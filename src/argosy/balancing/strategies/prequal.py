"""Hot and cold: the fastest of the replicas that are not too busy, or the least busy when all are.

Source: B. Wydrowski et al., Load is not what you should balance: Introducing Prequal, NSDI 2024. Probes are
asynchronous and reused: each request probes 3 random replicas; the pool holds 16 probes, none older than 1 s. After
each pick one probe is removed, alternately the oldest and the worst; so is a probe that reached its number of uses. A
pick adds 1 to the reading that it used. A replica is hot when its requests in flight from all callers are above the
0.84 quantile of recent probes.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from argosy.balancing.candidate import Candidate
from argosy.balancing.strategy import PickRequest, Strategy

PROBES_PER_PICK = 3
POOL_MOST = 16
POOL_LEAST = 2
EXPIRES_S = 1.0
HOT_QUANTILE = 0.84
RIF_WINDOW = 128
REMOVED_PER_PICK = 1
REUSE_SURPLUS = 1.0
"""δ in the paper: net growth of the pool per request that reuse allows for."""


@dataclass(slots=True, eq=False)
class _Probe:
    candidate: Candidate
    rif: float
    latency_ms: float
    at_s: float
    uses_left: int


class Prequal(Strategy):
    """Strategy of the paper. With fewer than two probes in the pool the choice is random."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        self._pool: list[_Probe] = []
        self._recent: deque[float] = deque(maxlen=RIF_WINDOW)
        self._sorted: list[float] = []
        self._oldest_next = True
        self._reuse = 1

    def pick(self, candidates: Sequence[Candidate], request: PickRequest, now_s: float) -> Candidate:
        known = set(candidates)
        self._pool = [p for p in self._pool if now_s - p.at_s < EXPIRES_S]
        usable = [p for p in self._pool if p.candidate in known]
        n = len(candidates)
        growth = (1 - min(POOL_MOST, n - 1) / n) * PROBES_PER_PICK - REMOVED_PER_PICK
        self._reuse = max(1, math.ceil((1 + REUSE_SURPLUS) / growth)) if growth > 0 else 1
        if len(usable) < POOL_LEAST:
            self.lacks = "probes"
            return self.rng.choice(candidates)
        self.lacks = ""
        hot = self._hot_above()
        best = min(usable, key=lambda p: _order(p, hot))
        best.rif += 1
        best.uses_left -= 1
        if best.uses_left <= 0:
            self._pool.remove(best)
        self._remove_one(hot)
        return best.candidate

    def _hot_above(self) -> float:
        return self._sorted[min(len(self._sorted) - 1, int(HOT_QUANTILE * len(self._sorted)))] if self._sorted else 0.0

    def _remove_one(self, hot: float) -> None:
        if len(self._pool) <= POOL_LEAST:
            return
        if self._oldest_next:
            self._pool.pop(0)
        else:
            self._pool.remove(max(self._pool, key=lambda p: _order(p, hot)))
        self._oldest_next = not self._oldest_next

    def wanted_probes(self, candidates: Sequence[Candidate], now_s: float) -> Sequence[Candidate]:
        return self.rng.sample(candidates, min(PROBES_PER_PICK, len(candidates)))

    def probed(self, candidate: Candidate, now_s: float) -> None:
        report = candidate.report
        if report is None or report.rif is None:
            return
        if len(self._recent) == RIF_WINDOW:
            del self._sorted[bisect_left(self._sorted, self._recent[0])]
        self._recent.append(report.rif)
        insort(self._sorted, report.rif)
        if len(self._pool) >= POOL_MOST:
            self._pool.pop(0)
        self._pool.append(_Probe(candidate, report.rif, report.latency_ms or 0.0, now_s, self._reuse))

    def forget(self, replica_id: str) -> None:
        self._pool = [p for p in self._pool if p.candidate.id != replica_id]

    def explain(self, candidate: Candidate, now_s: float) -> dict[str, float]:
        latest = next((p for p in reversed(self._pool) if p.candidate is candidate), None)
        if latest is None:
            return {}
        return {"probed_rif": latest.rif, "probed_latency_ms": latest.latency_ms, "hot_above_rif": self._hot_above()}


def _order(probe: _Probe, hot: float) -> tuple[bool, float]:
    is_hot = probe.rif > hot
    return is_hot, (probe.rif if is_hot else probe.latency_ms) / probe.candidate.weight
