"""Fewest requests in flight, except for replicas that are confirmed to be slow. The default.

Counting requests in flight balances equal replicas best. Latency only breaks ties, because weighting by it follows
noise. A replica that is slow beyond noise is weighted by its slowness relative to the fastest quarter, so that the
reference holds when half of the replicas are slow. A failure counts as a second of latency; otherwise a replica that
fails at once would look fast. A replica that is silent for longer than it ever was counts as slow before it answers. A
slow replica is tried again with a few requests in ten thousand; once it answers them as fast as the others do, it
counts as normal again.

Sources: join the shortest queue; Peak EWMA (Finagle) for the weight of the slow; linkerd2 for the penalty.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from argosy.balancing.candidate import Candidate
from argosy.balancing.outcome import FAULTS, Outcome, OutcomeKind
from argosy.balancing.strategy import PickRequest, Strategy

SLOW_FACTOR = 2.0
"""Multiple of the reference above which latency counts; less is noise of short averages."""
CERTAIN_FACTOR = 4.0
"""Multiple of the reference above which slowness is more than a few unlucky answers."""
SMOOTHING_LEAST = 0.03
DECAY_S = 3.0
FAILURE_S = 1.0
TIE_WEIGHT = 0.001
JITTER = 0.1
"""Random share added to latency as a tie-breaker; without it the luckiest idle replica would get every request."""
SAMPLES = 5
"""Number of answers before a replica may count as slow: one answer says little where times vary."""
FRESH_S = 0.5
TRIAL_SHARE = 0.0008
"""Share of the picks that may go to slow replicas to find out whether they are still slow."""
TRIAL_AFTER_S = 1.0
"""Age of the last answer after which a slow replica is worth a trial."""
PROBE_AFTER_S = 1.0
"""Age of the last report of a slow replica after which a new one is requested."""
HOPEFUL_FACTOR = 1.5
"""Multiple of the slow threshold up to which a report justifies a trial, and an answer justifies continuing one."""
TRIALS = 3
"""Number of trial answers whose mean decides whether a replica is normal again."""
FULL_FOR_S = 0.25
"""Time for which a replica that refused a request is used only as a last resort."""
LAST_RESORT = 1e6
UNKNOWN_FACTOR = 3.0
"""Slowness assumed for a replica that has requests but never answered."""


class _View:
    """Knowledge about one replica."""

    __slots__ = (
        "answered_s",
        "asked_s",
        "before_s",
        "failed",
        "full_until_s",
        "known",
        "latency_s",
        "samples",
        "trial_sum_s",
        "trials",
        "trying",
    )

    def __init__(self) -> None:
        self.latency_s = 0.0
        self.known = False
        self.answered_s = -math.inf
        self.full_until_s = -math.inf
        self.asked_s = -math.inf
        self.samples = 0
        self.failed = False
        self.trying = False
        self.trials = 0
        self.trial_sum_s = 0.0
        self.before_s = 0.0
        """Latency of the replica when its trial began."""

    def begin_trial(self) -> None:
        self.trying, self.trials, self.trial_sum_s = True, 0, 0.0
        self.before_s = self.latency_s

    def learn(self, sample_s: float, now_s: float) -> None:
        if not self.known:
            self.latency_s, self.known = sample_s, True
            return
        passed = 1 - math.exp((self.answered_s - now_s) / DECAY_S)
        smoothing = max(SMOOTHING_LEAST, passed, 1 / self.samples)
        self.latency_s += smoothing * (sample_s - self.latency_s)


class Adaptive(Strategy):
    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        self._views: dict[str, _View] = {}
        self._reference_s = 0.0
        self._stale = 0
        # Callers that start together must not try slow replicas together: a long time without any trial would follow.
        self._trial_tokens = rng.random()
        self._slow: list[Candidate] = []
        """Slow replicas at the last pick."""

    def pick(self, candidates: Sequence[Candidate], request: PickRequest, now_s: float) -> Candidate:
        looked_at = self.some(candidates)
        if self._stale * 8 >= len(looked_at) or not self._reference_s:
            self._refer()
        self._trial_tokens = min(1.0, self._trial_tokens + TRIAL_SHARE)
        self._slow = []
        best, least = looked_at[0], math.inf
        draw, views = self.rng.random, self._views
        reference_s = self._reference_s or 1e-9
        slow_above_s = SLOW_FACTOR * reference_s
        for candidate in looked_at:
            view = views.get(candidate.id)
            busy = candidate.in_flight
            # Nearly every replica takes this branch at every pick, so it is inline; the others are methods.
            if view is None or not view.known:
                cost = ((busy + 1) * UNKNOWN_FACTOR if busy else 1.0) + 1e-6 * draw()
            else:
                latency_s = view.latency_s
                if busy or view.samples < SAMPLES:
                    latency_s = self._suspected_s(view, candidate, slow_above_s, now_s)
                if latency_s > slow_above_s:
                    cost = (busy + 1) * latency_s / reference_s
                    self._slow.append(candidate)
                elif busy + 1 > least:
                    continue
                else:
                    tie, age_s = latency_s / reference_s, now_s - view.answered_s
                    if age_s > FRESH_S:  # older answers move towards 1, so that unlucky replicas are asked again
                        tie = 1 + (tie - 1) * math.exp(-age_s / DECAY_S)
                    luck = draw()
                    cost = busy + 1 + TIE_WEIGHT * tie * (1 - JITTER + 2 * JITTER * luck) + 1e-6 * luck
                if view.full_until_s > now_s:
                    cost += LAST_RESORT
            if candidate.weight < 1.0 and candidate.weight < draw():
                # Division by the weight would give a warming replica nothing at all while others are idle.
                cost += LAST_RESORT
            if cost < least:
                best, least = candidate, cost
        self.lacks = "" if self._reference_s else "response times"
        return self._trial(now_s) or best if self._slow else best

    def _suspected_s(self, view: _View, candidate: Candidate, slow_above_s: float, now_s: float) -> float:
        """Return the replica's latency, or the length of its silence when that is too long for a healthy one."""
        latency_s = view.latency_s
        if view.samples < SAMPLES and not view.failed:
            latency_s = 0.0  # too few answers to judge the replica: it comes first until there are enough
        if candidate.in_flight:
            silent_s = now_s - candidate.busy_since_s
            if silent_s > latency_s and silent_s > slow_above_s:
                return silent_s
        return latency_s

    def _trial(self, now_s: float) -> Candidate | None:
        """Return the slow replica to try now: one already on trial, else with a token the one silent for longest."""
        idle = [(self._views[c.id], c) for c in self._slow if not c.in_flight]
        for view, candidate in idle:
            if view.trying:
                return candidate
        if self._trial_tokens < 1.0 or not idle:
            return None
        view, candidate = min(idle, key=lambda pair: pair[0].answered_s)
        if now_s - view.answered_s < TRIAL_AFTER_S:
            return None
        self._trial_tokens = 0.0
        view.begin_trial()
        return candidate

    def _refer(self) -> None:
        known = sorted(view.latency_s for view in self._views.values() if view.known)
        self._reference_s = known[len(known) // 4] if known else 0.0
        self._stale = 0

    def ended(self, candidate: Candidate, outcome: Outcome, now_s: float) -> None:
        view = self._views.get(candidate.id)
        if view is None:
            view = self._views[candidate.id] = _View()
        kind, sample_s = outcome.kind, outcome.latency_s
        if kind is OutcomeKind.OVERLOADED:
            view.full_until_s, view.trying = now_s + FULL_FOR_S, False
            return
        if kind is OutcomeKind.CANCELLED and not (view.known and sample_s > view.latency_s):
            # The answer took at least this long, which matters only for a replica believed to be faster.
            return
        if kind in FAULTS:
            sample_s = max(sample_s, FAILURE_S)
            view.failed = True
        self._stale += 1
        view.samples += 1
        if not (view.trying and self._goes_on(view, sample_s)):
            view.learn(sample_s, now_s)
        view.answered_s = now_s

    def _goes_on(self, view: _View, sample_s: float) -> bool:
        """Count an answer of a trial; False when the trial has failed.

        Answers are judged together: one in twenty answers of a normal replica takes twice the usual time, too.
        """
        slow_above_s = SLOW_FACTOR * self._reference_s
        view.trials += 1
        view.trial_sum_s += sample_s
        mean_s = view.trial_sum_s / view.trials
        done = view.trials >= TRIALS
        if sample_s > HOPEFUL_FACTOR * slow_above_s or (done and mean_s > slow_above_s):
            view.trying = False
            return False
        if done:
            view.trying = False
            # Count it at least as good as the good ones; otherwise a few unlucky answers could keep it idle for long.
            view.latency_s = min(mean_s, self._reference_s)
            if view.before_s > CERTAIN_FACTOR * self._reference_s:
                # The cause has often ended for other replicas too: check them at once.
                self._trial_tokens = 1.0
        return True

    def wanted_probes(self, candidates: Sequence[Candidate], now_s: float) -> Sequence[Candidate]:
        wanted = []
        for candidate in self._slow:
            view = self._views[candidate.id]
            heard_s = max(candidate.reported_s, view.answered_s, view.asked_s)
            if now_s - heard_s >= PROBE_AFTER_S:
                view.asked_s = now_s
                wanted.append(candidate)
        return wanted

    def probed(self, candidate: Candidate, now_s: float) -> None:
        """Learn from a report: another caller may have found out that the replica is fast again."""
        view, report = self._views.get(candidate.id), candidate.report
        if view is None or report is None or report.latency_ms is None or view.trying:
            return
        hopeful_s = HOPEFUL_FACTOR * SLOW_FACTOR * self._reference_s
        if report.latency_ms / 1000 <= hopeful_s and now_s - view.answered_s > PROBE_AFTER_S:
            view.begin_trial()

    def forget(self, replica_id: str) -> None:
        self._views.pop(replica_id, None)
        self._stale += 1

    def explain(self, candidate: Candidate, now_s: float) -> dict[str, float]:
        view = self._views.get(candidate.id)
        if view is None or not view.known:
            return {}
        figures = {"latency_ms": view.latency_s * 1000, "reference_ms": self._reference_s * 1000}
        if view.latency_s > SLOW_FACTOR * self._reference_s > 0:
            figures["slow_factor"] = view.latency_s / self._reference_s
        return figures
