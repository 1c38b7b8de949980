"""Random inputs of a scaling run, drawn from its seed before the run, so that every policy gets the same requests."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from argosy.simulation.loads.arrivals import FloatArray
from argosy.simulation.scaling.demand import Demand
from argosy.simulation.scaling.service import SimulatedService

STEP_S = 0.05
"""Step of work that is simulated as a flow, in seconds."""
Int32Array = npt.NDArray[np.int32]
Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Requests:
    """Requests in order of arrival, one array entry each. Compared by identity."""

    arrivals_s: FloatArray
    work_s: Float32Array
    slack_s: Float32Array
    """Longest wait at which each request still meets the SLO."""
    length_s: int

    __hash__ = object.__hash__
    __eq__ = object.__eq__

    @property
    def count(self) -> int:
        return len(self.arrivals_s)

    @cached_property
    def arrived(self) -> FloatArray:
        """Arrivals in each second."""
        return np.bincount(self.arrivals_s.astype(np.int64), minlength=self.length_s).astype(np.float64)

    @cached_property
    def arrived_share(self) -> FloatArray:
        """Integral, over each second, of the number of requests that have arrived in that second so far."""
        seconds = self.arrivals_s.astype(np.int64)
        share = np.bincount(seconds, seconds + 1 - self.arrivals_s, minlength=self.length_s)
        return share.astype(np.float64)

    @cached_property
    def offered(self) -> FloatArray:
        """Offered load in erlangs in each second, as if a slot were always free."""
        ends_s = self.arrivals_s + self.work_s
        return _present(self.arrivals_s, self.length_s) - _present(ends_s, self.length_s)


@dataclass(frozen=True)
class Flow:
    """Flow of work, one array entry per step of STEP_S. Compared by identity."""

    counts: Int32Array
    work_s: Float32Array
    noise: Float32Array
    """Standard normal numbers, one per second: the deviation of the number of requests in service from its mean."""
    length_s: int

    __hash__ = object.__hash__
    __eq__ = object.__eq__

    @cached_property
    def count(self) -> int:
        return int(self.counts.sum(dtype=np.int64))

    @cached_property
    def arrived(self) -> FloatArray:
        """Arrivals in each second."""
        arrived: FloatArray = self.counts.reshape(self.length_s, -1).sum(1, dtype=np.float64)
        return arrived

    @cached_property
    def offered(self) -> FloatArray:
        """Offered load in erlangs in each second."""
        work_s: FloatArray = self.work_s.reshape(self.length_s, -1).sum(1, dtype=np.float64)
        return work_s


Load = Requests | Flow


def draw(demand: Demand, service: SimulatedService, seed: int) -> Load:
    """Draw the load of a demand. Each kind of randomness has its own stream."""
    arriving, working, sampling = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(3))
    if service.aggregated:
        rates = np.repeat(demand.rates_rps, round(demand.bin_s / STEP_S)) * STEP_S
        counts = arriving.poisson(rates).astype(np.int32)
        noise = sampling.standard_normal(demand.length_s, np.float32)
        return Flow(counts, _total_work(counts, service, working), noise, demand.length_s)
    per_bin = arriving.poisson(demand.rates_rps * demand.bin_s)
    starts_s = np.repeat(np.arange(len(per_bin), dtype=np.float64) * demand.bin_s, per_bin)
    arrivals_s = np.sort(starts_s + arriving.random(len(starts_s)) * demand.bin_s)
    drawn_s = service.draw(len(arrivals_s), working)
    slack_s = service.slack_s(drawn_s)
    return Requests(arrivals_s, drawn_s.astype(np.float32), slack_s.astype(np.float32), demand.length_s)


def _total_work(counts: Int32Array, service: SimulatedService, rng: np.random.Generator) -> Float32Array:
    """Draw the total work of each count of requests from a gamma distribution with their mean and variance.

    A gamma variable cannot be negative.
    """
    shape = counts / max(service.cv2, 1e-9)
    total = rng.standard_gamma(np.maximum(shape, 1e-9), dtype=np.float64) * (service.mean_s * service.cv2)
    return np.where(counts > 0, total, 0.0).astype(np.float32)


def _present(moments_s: FloatArray, seconds: int) -> FloatArray:
    """Return the integral, over each second, of the number of these moments that have passed."""
    inside = moments_s[moments_s < seconds]
    bins = inside.astype(np.int64)
    count = np.bincount(bins, minlength=seconds)
    share = np.bincount(bins, weights=bins + 1 - inside, minlength=seconds)
    passed = np.concatenate(((0,), np.cumsum(count)[:-1]))
    present: FloatArray = passed + share
    return present


def whole_seconds(seconds: float) -> int:
    """Round up to whole seconds, because fleets change only between seconds."""
    return max(0, math.ceil(seconds - 1e-9))
