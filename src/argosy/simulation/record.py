"""What a run leaves behind: when each request ended and how, and where every attempt went."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from argosy.simulation.arrivals import FloatArray

WARM_UP_SHARE = 0.1
"""The first part of a run, which no quantile counts."""


class Recorder:
    """Written by callers while the run goes on."""

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
        """Raises: RuntimeError, the request has ended before: a fault of the simulator."""
        if not math.isnan(self.ended_s[request]):
            raise RuntimeError(f"Request {request} ended twice.")
        self.ended_s[request] = now_s
        self.served[request] = served


@dataclass(frozen=True, slots=True)
class Record:
    """One run. Arrays over requests in the order of arrival, and over picks in the order of time."""

    arrivals_s: FloatArray
    ended_s: FloatArray
    """NaN for a request that never ended, which is a fault of the simulator."""
    served: npt.NDArray[np.bool_]
    """Whether it was answered in time."""
    pick_s: FloatArray
    pick_replica: npt.NDArray[np.int32]
    replicas: int

    @property
    def warm(self) -> slice:
        return slice(int(len(self.arrivals_s) * WARM_UP_SHARE), None)

    @property
    def latency_s(self) -> FloatArray:
        """Of the requests that were served, after the warm-up."""
        return (self.ended_s - self.arrivals_s)[self.warm][self.served[self.warm]]

    def share(self, replicas: tuple[int, ...], since_s: float, until_s: float = math.inf) -> float:
        """Share of the picks of that time that went to these replicas; NaN where there were none."""
        chosen = self.pick_replica[(self.pick_s >= since_s) & (self.pick_s < until_s)]
        return float(np.isin(chosen, replicas).mean()) if len(chosen) else math.nan

    def picks(self, replicas: tuple[int, ...], since_s: float, until_s: float) -> int:
        return int(np.isin(self.pick_replica[(self.pick_s >= since_s) & (self.pick_s < until_s)], replicas).sum())

    def goodput_rps(self, since_s: float, until_s: float, bin_s: float = 1.0) -> FloatArray:
        """Requests answered in time, per second of each bin."""
        edges = np.arange(since_s, until_s + bin_s / 2, bin_s)
        return np.histogram(self.ended_s[self.served], edges)[0] / bin_s
