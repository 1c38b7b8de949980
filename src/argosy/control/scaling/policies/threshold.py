"""Fixed thresholds: add one replica when any metric is too high, remove one when all have been low for long.

The policy checks every 30 s, waits 300 s after a step, and stays between 1 and 10 replicas. Every number is a setting;
the numbers given here are the defaults.

| metric            | up, if ANY | down, if ALL for 300 s |
|-------------------|------------|------------------------|
| cpu               | > 0.70     | < 0.30                 |
| memory            | > 0.80     | < 0.40                 |
| response_time_s   | > 2        | < 0.5                  |
| queued            | > 100      | < 10                   |
| errors            | > 0.05     |                        |

cpu, memory and errors are shares; queued is the total over all replicas. A slow service whose own time is above 2 s
stays at its maximum with these defaults: set response_s to a value that suits it, or choose another policy.
"""

from __future__ import annotations

import msgspec

from argosy.config.scaling import ThresholdSettings
from argosy.contracts.scaling import Decision, Reason
from argosy.control.observation import Observation
from argosy.control.scaling.decision import Rule, decided, held
from argosy.control.scaling.policies.policy import Policy, cooling, gap_s, missing
from argosy.control.scaling.stabilisation import Calm, shifted

NEEDED = ("cpu", "memory", "response_time_s", "queued", "errors")


class ThresholdState(msgspec.Struct, frozen=True):
    stepped_s: float | None = None
    calm: Calm = Calm()

    def moved(self, by_s: float) -> ThresholdState:
        stepped_s = shifted(self.stepped_s, by_s)
        return ThresholdState(stepped_s, self.calm.moved(by_s))


def within_bounds(
    seen: Observation, state: ThresholdState, rule: Rule, now_s: float
) -> tuple[Decision, ThresholdState]:
    settings = rule.settings.threshold
    values = {name: getattr(seen, name) for name in NEEDED}
    absent = missing(seen, rule, NEEDED)
    if absent:
        return held(seen, Reason.METRICS_MISSING, metrics=values, binding=absent), state
    high, low = _above(values, settings), _not_below(values, settings)
    calm = state.calm.next(not low and seen.complete, now_s, gap_s(rule, settings.interval_s))
    calm_s = calm.duration_s(now_s)
    kept = ThresholdState(state.stepped_s, calm)
    left = cooling(state.stepped_s, settings.cooldown_s, now_s)
    if left:
        return held(seen, Reason.COOLDOWN_ACTIVE, metrics=values, calm_s=calm_s, binding=left), kept
    if high:
        wanted, reason, binding = seen.replicas + 1, Reason.HIGH_LOAD_DETECTED, ", ".join(high)
    elif calm.since_s is not None and calm_s >= settings.stability_s:
        wanted, reason, binding = seen.replicas - 1, Reason.SUSTAINED_LOW_USAGE, "all below their limits"
    elif calm.since_s is not None:
        why = f"stability_s = {settings.stability_s:g}"
        return held(seen, Reason.STABILISING, metrics=values, calm_s=calm_s, binding=why), kept
    else:
        wanted, reason, binding = seen.replicas, Reason.NO_SCALING_NEEDED, ", ".join(low)
    return decided(seen, rule, wanted, reason, metrics=values, calm_s=calm_s, binding=binding), kept


def stepped(state: ThresholdState, before: int, decision: Decision, now_s: float) -> ThresholdState:
    return ThresholdState(now_s, Calm())


def _above(values: dict[str, float], settings: ThresholdSettings) -> list[str]:
    up = settings.up
    limits = {
        "cpu": up.cpu,
        "memory": up.memory,
        "response_time_s": up.response_s,
        "queued": up.queued,
        "errors": up.errors,
    }
    return [f"{name} {values[name]:.3g} > {limit:g}" for name, limit in limits.items() if values[name] > limit]


def _not_below(values: dict[str, float], settings: ThresholdSettings) -> list[str]:
    down = settings.down
    limits = {"cpu": down.cpu, "memory": down.memory, "response_time_s": down.response_s, "queued": down.queued}
    return [f"{name} {values[name]:.3g} ≥ {limit:g}" for name, limit in limits.items() if values[name] >= limit]


THRESHOLD = Policy(
    "threshold", ThresholdState(), within_bounds, stepped, lambda rule: rule.settings.threshold.interval_s
)
