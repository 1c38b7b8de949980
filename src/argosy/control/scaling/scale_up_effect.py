"""Judgement whether a step up raised throughput.

A step that did not, with work waiting before and after, is undone and remembered.

More replicas do not help when they share the bottleneck: the cores of one machine, a database, a lock. Pure.
"""

from __future__ import annotations

import msgspec

from argosy.control.observation import Observation
from argosy.control.scaling.stabilisation import Smoothed

SMOOTHING_S = 10.0
SETTLE_S = 30.0
"""Time from the moment the last replica of a step is ready until its throughput is judged."""
PATIENCE_S = 300.0
"""Time after which a step whose replicas are not ready is no longer judged."""
LEAST_GAIN = 0.05
REMEMBERED_S = 900.0


class Step(msgspec.Struct, frozen=True):
    before: int
    after: int
    throughput_rps: float
    began_s: float
    ready_s: float | None = None


class Payoff(msgspec.Struct, frozen=True):
    throughput: Smoothed = Smoothed()
    step: Step | None = None
    ceiling: int | None = None
    """Number of replicas above which more did not help lately."""
    ceiling_until_s: float = 0.0

    def limit(self, now_s: float) -> int | None:
        return self.ceiling if self.ceiling is not None and now_s < self.ceiling_until_s else None

    def moved(self, by_s: float) -> Payoff:
        step = self.step
        if step is not None:
            ready_s = None if step.ready_s is None else step.ready_s + by_s
            step = msgspec.structs.replace(step, began_s=step.began_s + by_s, ready_s=ready_s)
        return Payoff(self.throughput.moved(by_s), step, self.ceiling, self.ceiling_until_s + by_s)


def saturated(seen: Observation, slots: float) -> bool:
    """Return whether there is more work than the ready replicas can do at once."""
    if seen.overload_errors is not None and seen.overload_errors > 0:
        return True
    return seen.in_flight is not None and seen.in_flight >= seen.ready * slots


def stepped_up(payoff: Payoff, seen: Observation, target: int, slots: float, now_s: float) -> Payoff:
    """Start to watch a step. A step made while another is watched extends the watched one."""
    known = payoff.throughput.value
    if known is None or not saturated(seen, slots):
        return payoff
    step = payoff.step
    if step is None:
        return msgspec.structs.replace(payoff, step=Step(seen.replicas, target, known, now_s))
    return msgspec.structs.replace(payoff, step=msgspec.structs.replace(step, after=target, ready_s=None))


def judged(payoff: Payoff, seen: Observation, slots: float, now_s: float) -> Payoff:
    """Update the watched step with this observation. Nothing changes when throughput is not known."""
    if seen.throughput_rps is None or not seen.complete:
        return payoff
    throughput = payoff.throughput.next(seen.throughput_rps, now_s, SMOOTHING_S)
    after = msgspec.structs.replace(payoff, throughput=throughput)
    step = payoff.step
    if step is None:
        return after
    if not saturated(seen, slots) or now_s - step.began_s > PATIENCE_S or seen.replicas < step.after:
        return msgspec.structs.replace(after, step=None)
    if seen.ready < step.after:
        return after
    if step.ready_s is None:
        return msgspec.structs.replace(after, step=msgspec.structs.replace(step, ready_s=now_s))
    if now_s - step.ready_s < SETTLE_S:
        return after
    if (throughput.value or 0.0) >= step.throughput_rps * (1 + LEAST_GAIN):
        return msgspec.structs.replace(after, step=None)
    return Payoff(throughput, None, step.before, now_s + REMEMBERED_S)
