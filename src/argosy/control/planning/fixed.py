"""Comparison with a fixed number of replicas, which every policy has to beat. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import zip_longest

import numpy as np

from argosy.control.history.arrays import Floats
from argosy.control.history.measures import TICK_S
from argosy.control.observation import Capacity
from argosy.control.prediction.capacity import CapacityFit
from argosy.control.scaling.decision import Rule
from argosy.control.scaling.policies.predictive import slack_s
from argosy.control.scaling.queueing import late_shares, rounded_up

LEAST_RECORDED_S = 86_400
LEAST_SAVING = 0.02
"""Least saving worth giving up a policy, as a share of the replica-hours used."""
LEAST_LOAD = 0.001
"""Least load, in erlangs."""


@dataclass(frozen=True, slots=True)
class Ticks:
    """Recorded history of a service, one number per tick of TICK_S; NaN where a value is not known."""

    rate: Floats
    """Requests per second."""
    cpu: Floats
    """Share of the cores that one replica can use, as the mean of the replicas."""
    ready: Floats
    replicas: Floats
    """Desired replicas, which are the ones that cost."""


@dataclass(frozen=True, slots=True)
class FixedNumber:
    """Fixed number of replicas that would have kept the SLO at less cost than the replicas that ran."""

    replicas: int
    recorded_s: float
    used_hours: float
    """Replica-hours that ran in that time."""

    @property
    def hours(self) -> float:
        return self.replicas * self.recorded_s / 3600

    def advice(self) -> str:
        """Return the recommendation for the operator."""
        return (
            f"Over the last {self.recorded_s / 3600:.0f} h of history, {self.replicas} replicas at all times would "
            f"have been enough: {self.hours:.1f} replica-hours instead of {self.used_hours:.1f}. Unless the load is "
            f"about to change, set replicas.min and replicas.max to {self.replicas}."
        )


def fixed_enough(ticks: Ticks, rule: Rule, capacity: Capacity) -> FixedNumber | None:
    """Return the fewest replicas with which at most the share `1 − slo.share` of the recorded requests would be late.

    Returns None when the replicas that ran cost less, when `rule` does not allow so many, or when too little is
    recorded. A tick whose CPU time would have filled the replicas counts as late, whatever `capacity` says.
    """
    known = np.isfinite(ticks.rate) & np.isfinite(ticks.replicas)
    rate, recorded_s = ticks.rate[known], float(known.sum()) * TICK_S
    if recorded_s < LEAST_RECORDED_S or not rate.any():
        return None
    used_hours = float(ticks.replicas[known].sum()) * TICK_S / 3600
    work = np.nan_to_num(ticks.cpu[known] * ticks.ready[known])
    loads = np.maximum(rate * capacity.service_time_s, LEAST_LOAD)
    found, place = np.unique([rounded_up(load) for load in loads.tolist()], return_inverse=True)
    together, slack = np.bincount(place, rate), slack_s(rule, capacity)
    most = min(rule.max_instances, math.floor(used_hours * 3600 * (1 - LEAST_SAVING) / recorded_s))
    shares = zip_longest(*(late_shares(load, capacity, slack, most) for load in found.tolist()), fillvalue=1.0)
    for replicas, late in enumerate(shares, 1):
        if replicas < rule.min_instances:
            continue
        if together @ np.array(late) + rate[work > replicas].sum() <= (1 - rule.slo.share) * rate.sum():
            return FixedNumber(replicas, recorded_s, used_hours)
    return None


def surest(fit: CapacityFit, slots: float | None) -> Capacity | None:
    """Return the capacity that a replica certainly has.

    A policy notices when it has removed too many replicas; a fixed number does not. The slots are `slots` when
    configured, else the fewest that explain the samples: when no request ever waited, any larger number explains them
    as well. Returns None until the model is learnt.
    """
    if slots is not None:
        return fit.capacity(slots)
    capacity = fit.capacity(fit.slots_low)
    return None if capacity is None else replace(capacity, slots=fit.slots_low)
