"""Arrival rates over time: counts of a trace in bins, which can be scaled so that the busiest minute fills a fleet."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from argosy.contracts.errors import ConfigError
from argosy.simulation.loads.arrivals import Counted, FloatArray, Recorded
from argosy.simulation.loads.traces import Trace

RECORDED_BIN_S = 15
COUNTED_BIN_S = 60
LONGEST_S = 48 * 3600


@dataclass(frozen=True, slots=True)
class Demand:
    """Arrival rates by bin. Arrivals within a bin are Poisson."""

    name: str
    bin_s: int
    rates_rps: FloatArray
    before_rps: FloatArray
    """Rates of the bins just before, oldest first, where the trace has them. A forecast can learn from them."""

    @property
    def length_s(self) -> int:
        return self.bin_s * len(self.rates_rps)

    @property
    def busiest_rps(self) -> float:
        """Highest mean rate of any minute."""
        bins = max(1, min(len(self.rates_rps), round(60 / self.bin_s)))
        sums = np.convolve(self.rates_rps, np.ones(bins), "valid")
        return float(sums.max()) / bins

    def scaled(self, factor: float) -> Demand:
        return replace(self, rates_rps=self.rates_rps * factor, before_rps=self.before_rps * factor)


def demand(trace: Trace, *, since_s: float = 0.0, length_s: float = LONGEST_S) -> Demand:
    """Return the part of a trace that is simulated.

    Recorded moments are counted in bins of 15 s, counts per second in bins of 60 s.

    Raises: ConfigError when the trace has neither moments nor counts, or when no request is left in that part.
    """
    if isinstance(trace.arrivals, Recorded):
        moments_s = np.array(trace.arrivals.moments_s) - trace.arrivals.moments_s[0]
        bin_s = RECORDED_BIN_S
        counts = np.bincount((moments_s // bin_s).astype(np.int64)).astype(np.float64)
    elif isinstance(trace.arrivals, Counted):
        seconds, bin_s = np.array(trace.arrivals.counts, np.float64), COUNTED_BIN_S
        whole = len(seconds) // bin_s
        counts = seconds[: whole * bin_s].reshape(whole, bin_s).sum(1)
    else:
        raise ConfigError(
            f"{trace.name}: scaling needs recorded moments or counts per second; give another trace.", param="trace"
        )
    first = int(since_s // bin_s)
    rates_rps = counts[first : first + max(1, int(length_s // bin_s))] / bin_s
    if not rates_rps.any():
        raise ConfigError(f"{trace.name}: no request after {since_s / 3600:g} h; start earlier.", param="since")
    return Demand(trace.name, bin_s, rates_rps, counts[:first] / bin_s)


def steady(rate_rps: float, length_s: int) -> Demand:
    """Return a demand with the same rate all the time."""
    return Demand("steady", COUNTED_BIN_S, np.full(length_s // COUNTED_BIN_S, rate_rps), np.empty(0))
