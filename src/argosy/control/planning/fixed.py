"""Whether a fixed number of replicas would have done: what every policy has to beat. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import count

import numpy as np

from argosy.control.prediction.arrays import Floats
from argosy.control.prediction.measures import TICK_S
from argosy.control.scaling.decision import Rule
from argosy.control.scaling.observation import Capacity
from argosy.control.scaling.policies.predictive import slack_s
from argosy.control.scaling.queueing import late_shares

LEAST_RECORDED_S = 86_400
LEAST_SAVING = 0.02
"""As a share of what ran. Less is not worth giving up a policy for."""
FINENESS = 1.02
"""Loads are rounded up to a power of it: a few hundred are left of the thousands that there are in days."""
LEAST_LOAD = 0.001
"""In Erlangs."""


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
            f"been enough, {self.hours:.0f} replica-hours in place of {self.used_hours:.0f}. Unless the load is about "
            f"to change, set replicas.min and replicas.max to {self.replicas}."
        )


def fixed_enough(
    rate: Floats, in_flight: Floats, replicas: Floats, rule: Rule, capacity: Capacity | None
) -> Fixed | None:
    """The fewest replicas that let no larger share than `1 − slo.share` of the recorded requests be late.

    None where more of them are needed than `rule` allows, where too little is recorded, and where what ran cost less.

    Args:
        rate: requests a second in each tick of TICK_S; NaN where it is not known.
        in_flight: in the service at once, in those ticks.
        replicas: that were asked for, in those ticks.
        capacity: where it is learnt; else a tick is late where its load is above `slots × utilisation`.
    """
    load = in_flight if capacity is None else rate * capacity.service_time_s
    known = np.isfinite(rate) & np.isfinite(load) & np.isfinite(replicas)
    rate, load, used_hours = rate[known], load[known], float(replicas[known].sum()) * TICK_S / 3600
    if len(rate) * TICK_S < LEAST_RECORDED_S or not rate.any():
        return None
    late = _late(rate, load, rule, capacity) / rate.sum()
    enough = next((n for n, share in zip(count(1), late, strict=False) if share <= 1 - rule.slo.share), None)
    if enough is None:
        return None
    found = Fixed(rule.bounded(enough), len(rate) * TICK_S, used_hours)
    return found if found.hours <= used_hours * (1 - LEAST_SAVING) else None


def _late(rate: Floats, load: Floats, rule: Rule, capacity: Capacity | None) -> Floats:
    """How much of the rate 1, 2 … replicas let be late, all ticks together."""
    if capacity is None:
        each = rule.settings.slots * rule.settings.predictive.utilisation
        return np.array([rate[load > each * replicas].sum() for replicas in range(1, rule.max_instances + 1)])
    powers = np.ceil(np.log(np.maximum(load, LEAST_LOAD)) / math.log(FINENESS))
    found, place = np.unique(powers, return_inverse=True)
    late: Floats = np.zeros(rule.max_instances)
    for power, together in zip(found, np.bincount(place, rate), strict=True):
        shares = list(late_shares(FINENESS**power, capacity, slack_s(rule, capacity), rule.max_instances))
        late += together * np.array(shares + [1.0] * (rule.max_instances - len(shares)))
    return late
