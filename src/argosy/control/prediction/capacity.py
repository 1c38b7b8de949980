"""Capacity of replicas, fitted to samples of the requests in the service at a rate and a number of replicas. Pure.

L = λ s + λ Wq V, with Wq of M/M/m by Sakasegawa's approximation, V = (Ca² + Cs²) ÷ 2 by Allen and Cunneen, and m =
slots × n ÷ (1 + σ (n − 1) + κ n (n − 1)) by the Universal Scalability Law. s, slots, σ and κ are searched on a grid,
and V follows by least squares. Intervals contain the values that explain the samples nearly as well (profile
likelihood, about 95 %).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec
import numpy as np

from argosy.control.history.arrays import Floats
from argosy.control.observation import LEARNT_R2, LEARNT_SAMPLES, Capacity

SLOTS = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0, 128.0)
TIMES = np.geomspace(0.3, 1.5, 41)
"""Service times to try, as shares of the mean time in service in the calmer half of the samples."""
TIMES_STEP = float(TIMES[1] / TIMES[0])
"""Factor by which an interval extends to the neighbours on the grid.

Values between two points of the grid cannot be told apart.
"""
SIGMAS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.7)
KAPPAS = (0.0, 0.002, 0.01, 0.05)
FULLEST = 0.98
MOST_SAMPLES = 1000
LIKELY = 4.0
"""Twice the drop in log likelihood that ends an interval."""


class CapacityFit(msgspec.Struct, frozen=True):
    samples: int
    service_time_s: float = math.nan
    service_time_low_s: float = math.nan
    service_time_high_s: float = math.nan
    slots: float = math.nan
    slots_low: float = math.nan
    slots_high: float | None = None
    """Upper end of the interval; None when so little queued that any larger number explains the samples as well."""
    variability: float = 1.0
    """(Ca² + Cs²) ÷ 2."""
    sigma: float = 0.0
    kappa: float = 0.0
    replicas_seen: int = 0
    """Number of different replica counts among the samples. One count alone does not show contention."""
    r2: float = 0.0
    residual: float = math.nan
    """Root mean square of the residuals, in requests in flight."""

    @property
    def why_not(self) -> str:
        """Reason why the capacity is not learnt; empty when it is."""
        if self.samples < LEARNT_SAMPLES:
            return f"not learnt: {self.samples} of {LEARNT_SAMPLES} samples"
        if not self.r2 >= LEARNT_R2:
            return f"not learnt: R² is {self.r2:.2f}, {LEARNT_R2:g} is needed"
        return ""

    def capacity(self, slots: float) -> Capacity | None:
        """Return the capacity for the policies; None until it is learnt.

        Where queueing has not shown the slots, the configured `slots` are used, or the lower end of the interval when
        higher.
        """
        if self.why_not:
            return None
        known = self.slots if self.slots_high is not None else max(slots, self.slots_low)
        cv2 = max(0.0, 2 * self.variability - 1)
        return Capacity(self.service_time_s, known, cv2, 1.0, self.sigma, self.kappa, self.samples, self.r2)


@dataclass(frozen=True, slots=True)
class _Tried:
    error: float
    service_time_s: float
    variability: float
    residual: float


def fit_capacity(rates: Floats, in_flight: Floats, replicas: Floats) -> CapacityFit:
    """Fit the capacity to samples, each a mean over some seconds.

    Args: `rates` in requests per second, `in_flight` in requests in the service, `replicas` in ready replicas.
    """
    sound = np.isfinite(rates) & np.isfinite(in_flight) & (rates > 0) & (in_flight > 0) & (replicas >= 1)
    rates, in_flight, replicas = (a[sound][-MOST_SAMPLES:] for a in (rates, in_flight, replicas))
    count, kinds = len(rates), len(np.unique(replicas)) if len(rates) else 0
    if count < LEARNT_SAMPLES:
        return CapacityFit(count, replicas_seen=kinds)
    calm = in_flight / replicas <= np.median(in_flight / replicas)
    usual_s = float(in_flight[calm].sum() / rates[calm].sum())
    weights = 1 / (1 + in_flight)
    spread = float((weights * (in_flight - np.average(in_flight, weights=weights)) ** 2).sum())
    tried: dict[tuple[float, float, float], list[_Tried]] = {}
    for slots in SLOTS:
        for sigma in SIGMAS if kinds > 1 else SIGMAS[:1]:
            for kappa in KAPPAS if kinds > 2 else KAPPAS[:1]:
                servers = slots * np.maximum(
                    replicas / (1 + sigma * (replicas - 1) + kappa * replicas * (replicas - 1)), 1e-3
                )
                tried[slots, sigma, kappa] = [
                    _tried(rates, in_flight, servers, weights, usual_s * float(share)) for share in TIMES
                ]
    best = {key: min(rows, key=lambda row: row.error) for key, rows in tried.items()}
    key = min(best, key=lambda k: best[k].error)
    found, limit = best[key], best[key].error * (1 + LIKELY / count)
    slots_likely = [k[0] for k, row in best.items() if row.error <= limit]
    times_likely = [row.service_time_s for rows in tried.values() for row in rows if row.error <= limit]
    return CapacityFit(
        samples=count,
        service_time_s=found.service_time_s,
        service_time_low_s=min(times_likely) / TIMES_STEP,
        service_time_high_s=max(times_likely) * TIMES_STEP,
        slots=key[0],
        slots_low=min(slots_likely),
        slots_high=None if max(slots_likely) == SLOTS[-1] else max(slots_likely),
        variability=found.variability,
        sigma=key[1],
        kappa=key[2],
        replicas_seen=kinds,
        r2=1 - found.error / spread if spread > 0 else 0.0,
        residual=found.residual,
    )


def _tried(rates: Floats, in_flight: Floats, servers: Floats, weights: Floats, service_time_s: float) -> _Tried:
    busy = rates * service_time_s
    full = np.minimum(busy / servers, FULLEST)
    waiting = busy * full ** (np.sqrt(2 * (servers + 1)) - 1) / (servers * (1 - full))
    rest, power = in_flight - busy, float((weights * waiting**2).sum())
    variability = max(0.0, float((weights * waiting * rest).sum()) / power) if power > 1e-12 else 1.0
    missed = rest - variability * waiting
    return _Tried(float((weights * missed**2).sum()), service_time_s, variability, float(np.sqrt((missed**2).mean())))
