"""Whether a fixed number of replicas would have done: what every policy has to beat. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import zip_longest

import numpy as np

from argosy.control.prediction.arrays import Floats
from argosy.control.prediction.capacity import CapacityFit
from argosy.control.prediction.measures import TICK_S
from argosy.control.scaling.decision import Rule
from argosy.control.scaling.observation import Capacity
from argosy.control.scaling.policies.predictive import slack_s
from argosy.control.scaling.queueing import late_shares, rounded_up

LEAST_RECORDED_S = 86_400
LEAST_SAVING = 0.02
"""As a share of what ran. Less is not worth giving up a policy for."""
LEAST_LOAD = 0.001
"""In Erlangs."""


@dataclass(frozen=True, slots=True)
class Ticks:
    """What was recorded of a service, a number for each tick of TICK_S; NaN where it is not known."""

    rate: Floats
    """Requests a second."""
    cpu: Floats
    """Share of the cores that one replica can use; mean of the replicas."""
    ready: Floats
    replicas: Floats
    """That were asked for, and so are paid for."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """A number of replicas that would have kept the promise at less cost than what ran."""

    replicas: int
    recorded_s: float
    used_hours: float
    """Replica-hours that ran in that time."""

    @property
    def hours(self) -> float:
        return self.replicas * self.recorded_s / 3600

    def advice(self) -> str:
        """For the operator."""
        return (
            f"Over the last {self.recorded_s / 3600:.0f} h that are recorded {self.replicas} all the time would have "
            f"been enough, {self.hours:.1f} replica-hours in place of {self.used_hours:.1f}. Unless the load is about "
            f"to change, set replicas.min and replicas.max to {self.replicas}."
        )


def fixed_enough(ticks: Ticks, rule: Rule, capacity: Capacity) -> Fixed | None:
    """The fewest replicas that let no larger share than `1 − slo.share` of the recorded requests be late.

    None where what ran cost less, where `rule` does not allow so many, and where too little is recorded. A tick whose
    CPU time would have filled so few replicas counts as late, whatever `capacity` says.
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
            return Fixed(replicas, recorded_s, used_hours)
    return None


def surest(fit: CapacityFit, slots: float | None) -> Capacity | None:
    """What a replica can do for certain: a policy sees when it has given up too much, a fixed number does not.

    With `slots` where they are set, else with the fewest that explain what was seen: where nothing ever waited, any
    number from there on does. None until the model is learnt.
    """
    if slots is not None:
        return fit.capacity(slots)
    capacity = fit.capacity(fit.slots_low)
    return None if capacity is None else replace(capacity, slots=fit.slots_low)
