"""Record of a run: when and how each request ended, and which replica each attempt went to."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from argosy.simulation.loads.arrivals import FloatArray

WARM_UP_SHARE = 0.1
"""Share of the requests at the start of a run that quantiles leave out."""


class Recorder:
    """Record under construction. Callers write to it during the run."""

    __slots__ = ("ended_s", "pick_replica", "pick_s", "served")

    def __init__(self, requests: int) -> None:
        self.ended_s = array("d", [math.nan]) * requests
        self.served = bytearray(requests)
        self.pick_s = array("d")
        self.pick_replica = array("i")

    def picked(self, replica: int, now_s: float) -> None:
        self.pick_replica.append(replica)
        self.pick_s.append(now_s)

    def end(self, request: int, now_s: float, served: bool) -> None:
        """Record the end of a request.

        Raises: RuntimeError when the request has already ended, which is a bug in the simulator.
        """
        if not math.isnan(self.ended_s[request]):
            raise RuntimeError(f"Request {request} ended twice.")
        self.ended_s[request] = now_s
        self.served[request] = served


@dataclass(frozen=True, slots=True)
class Record:
    """Record of one run: arrays over requests in order of arrival, and over picks in order of time."""

    arrivals_s: FloatArray
    ended_s: FloatArray
    """End times. NaN marks a request that never ended, which is a bug in the simulator."""
    served: npt.NDArray[np.bool_]
    """Whether each request was answered in time."""
    pick_s: FloatArray
    pick_replica: npt.NDArray[np.int32]
    replicas: int

    @property
    def warm(self) -> slice:
        return slice(int(len(self.arrivals_s) * WARM_UP_SHARE), None)

    @property
    def latency_s(self) -> FloatArray:
        """Latencies of the requests served after the warm-up."""
        return (self.ended_s - self.arrivals_s)[self.warm][self.served[self.warm]]

    def share(self, replicas: tuple[int, ...], since_s: float, until_s: float = math.inf) -> float:
        """Return the share of the picks in the period that went to these replicas; NaN when there were no picks."""
        chosen = self.pick_replica[(self.pick_s >= since_s) & (self.pick_s < until_s)]
        return float(np.isin(chosen, replicas).mean()) if len(chosen) else math.nan

    def picks(self, replicas: tuple[int, ...], since_s: float, until_s: float) -> int:
        return int(np.isin(self.pick_replica[(self.pick_s >= since_s) & (self.pick_s < until_s)], replicas).sum())

    def goodput_rps(self, since_s: float, until_s: float, bin_s: float = 1.0) -> FloatArray:
        """Return the requests answered in time, per second of each bin."""
        edges = np.arange(since_s, until_s + bin_s / 2, bin_s)
        return np.histogram(self.ended_s[self.served], edges)[0] / bin_s
