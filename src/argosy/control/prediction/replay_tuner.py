"""What replay chose for one service: asks with what was recorded, and remembers the answer and its time. Pure.

Nothing is chosen before a day is recorded or while the capacity model is not learnt; what was chosen then holds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from argosy.config.models import ServiceSettings
from argosy.contracts.forecast import TuningView
from argosy.control.prediction.analogue import BIN_S, DAY
from argosy.control.prediction.replay import PEAK_LATE, Bill, Candidate, Replay, Shadow, best, candidates
from argosy.control.prediction.series import Values
from argosy.control.prediction.window_regression import Spread
from argosy.control.scaling.decision import Rule, Tuning
from argosy.control.scaling.observation import Capacity
from argosy.control.scaling.policies.predictive import default_hold_s, slack_s
from argosy.control.scaling.queueing import replicas_for_spread

REPLAYED = 4 * DAY
"""In bins."""
LEAST_KNOWN = DAY
ASKED = tuple(f"asked_{late:g}" for late in PEAK_LATE)
"""Names of the series of what the forecast asked for."""


class ReplayRequest(msgspec.Struct):
    loads: bytes
    """float32, Erlangs in each bin of BIN_S; NaN where one is not known."""
    asked: list[bytes]
    """float32, by PEAK_LATE and as many: the replicas that the forecast asked for; NaN where there was none."""
    shadow: Shadow
    now: Candidate
    violation_cost_s: float


class ReplayReply(msgspec.Struct):
    chosen: Candidate
    bill: Bill
    before: Bill
    """Of what was used until now, over the same days."""


def replayed(request: ReplayRequest) -> ReplayReply:
    loads, *asked = (np.frombuffer(b, np.float32).astype(np.float64) for b in (request.loads, *request.asked))
    replay = Replay(loads, asked, request.shadow)
    chosen, bill = best(replay, request.now, candidates(), request.violation_cost_s)
    return ReplayReply(chosen, bill, bill if chosen == request.now else replay.bill(request.now))


class Choice(msgspec.Struct):
    """What is remembered over restarts. Bills are of the latest replay; `because` is of the latest switch."""

    chosen: Candidate | None = None
    since_s: float = 0.0
    """Wall time."""
    because: str = ""
    bill: Bill | None = None


class ReplayTuner:
    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self.choice = Choice()
        self._waits = "nothing was replayed yet"

    def asked(self, expected: Spread, capacity: Capacity | None) -> dict[str, float]:
        """Replicas that a forecast asks for, by series; nothing where there is no forecast, or no model."""
        if not expected or capacity is None or not capacity.learnt:
            return {}
        rule, most = self._rule(), self._settings.replicas.max
        counts = replicas_for_spread(expected, capacity, slack_s(rule, capacity), PEAK_LATE, most)
        return {name: float(count) for name, count in zip(ASKED, counts, strict=True)}

    def request(
        self, loads: Values, asked: Sequence[Values], capacity: Capacity | None, cold_start_s: float
    ) -> ReplayRequest | None:
        """None while replay has nothing to go by, or is turned off."""
        scaling, bounds = self._settings.scaling, self._settings.replicas
        known = int(np.isfinite(loads).sum())
        cost_s = scaling.predictive.violation_cost_s
        self._waits = ""
        if cost_s <= 0:
            self._waits = "violation_cost_s = 0"
        elif bounds.min == bounds.max:
            self._waits = f"replicas.min = replicas.max = {bounds.max}"
        elif known < LEAST_KNOWN:
            self._waits = f"{known * BIN_S / 3600:.1f} of {LEAST_KNOWN * BIN_S // 3600} h are recorded"
        elif capacity is None or not capacity.learnt:
            self._waits = "the capacity is not learnt"
        if self._waits or capacity is None:
            return None
        rule = self._rule()
        late = 1 - rule.slo.share
        shadow = Shadow(capacity, cold_start_s, slack_s(rule, capacity), late, bounds.min, bounds.max)
        hold_s = default_hold_s(rule, cold_start_s)
        default = Candidate(hold_s, scaling.predictive.utilisation, _nearest(late), hold_s)
        return ReplayRequest(
            loads.tobytes(),
            [replicas.tobytes() for replicas in asked],
            shadow,
            self.choice.chosen or default,
            cost_s,
        )

    def take(self, reply: ReplayReply, wall_s: float) -> None:
        self.choice.bill = reply.bill
        if reply.bill == reply.before:
            return
        cost_s = self._settings.scaling.predictive.violation_cost_s
        saved = 1 - reply.bill.total_s(cost_s) / reply.before.total_s(cost_s)
        because = (
            f"{saved:.0%} less than what was used before: {reply.bill.late:.0f} late and "
            f"{reply.bill.replica_s / 3600:.1f} replica-hours against {reply.before.late:.0f} and "
            f"{reply.before.replica_s / 3600:.1f}, a late answer at {cost_s:g} replica-seconds"
        )
        self.choice = Choice(reply.chosen, wall_s, because, reply.bill)

    def memory(self) -> bytes:
        return msgspec.msgpack.encode(self.choice)

    def restore(self, written: bytes) -> None:
        """Raises: msgspec.DecodeError, it is not from this version."""
        self.choice = msgspec.msgpack.decode(written, type=Choice)

    def _rule(self) -> Rule:
        bounds = self._settings.replicas
        return Rule(bounds.min, bounds.max, self._settings.scaling, self._settings.slo)

    def tuning(self) -> Tuning:
        chosen = self.choice.chosen
        if chosen is None or self._settings.scaling.predictive.violation_cost_s <= 0:
            return Tuning()
        return Tuning(chosen.hold_s, chosen.utilisation, chosen.peak_late, chosen.peak_hold_s)

    def view(self) -> TuningView:
        chosen = self.choice.chosen
        if chosen is None or self._settings.scaling.predictive.violation_cost_s <= 0:
            return TuningView(self._waits or "the settings are within 5 % of the best that was replayed")
        return TuningView(
            self.choice.because,
            chosen.hold_s,
            chosen.utilisation,
            chosen.peak_late,
            chosen.peak_hold_s,
            self.choice.since_s,
        )


def _nearest(late: float) -> float:
    """Of the shares that are recorded."""
    return min(PEAK_LATE, key=lambda share: abs(math.log(share / max(late, 1e-9))))
