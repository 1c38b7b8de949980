"""Outlier ejection: failing replicas are ejected, retried with single requests, and return slowly.

This module is pure: outcomes come in with their time, a verdict goes out. It keeps a cumulative sum of the evidence
that a replica fails more often than the others do (E. Page, Continuous Inspection Schemes, Biometrika 1954). One sum
covers both of Envoy's signals, consecutive failures and a low success rate: three failures in a row suffice, and so do
four in about twenty requests.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass

from argosy.balancing.outcome import FAULTS, OutcomeKind


@dataclass(frozen=True, slots=True)
class EligibilityRule:
    normal_failures: float = 0.01
    """Share of failed requests that counts as normal, or 1.5 times the median replica's share where that is higher."""
    bad_failures: float = 0.15
    """Share of failed requests for which a replica is ejected."""
    evidence: float = 8.0
    """Log-likelihood at which a replica is ejected; a good one reaches it once in thousands of requests."""
    ejected_s: float = 2.0
    """Time for which a replica is ejected before its first trial. Each further ejection doubles it."""
    ejected_most_s: float = 12.0
    """Longest ejection. Each failed trial costs a request, and each caller makes its own trials."""
    forgiven_after_s: float = 60.0
    """Time in service after which earlier ejections no longer lengthen the next one."""
    most_out: float = 0.1
    """Share of the replicas, at least one, that may be ejected. Further failing ones are weighted down instead."""
    suspect_weight: float = 0.05
    panic_below: float = 0.5
    """Share of good replicas below which none is ejected or weighted down: the rest could not carry the load."""
    trials: int = 5
    """Consecutive single requests that must succeed before a replica returns."""
    slow_start_s: float = 5.0
    slow_start_least: float = 0.1


class State(enum.Enum):
    IN = "in"
    OUT = "out"
    TRIAL = "trial"
    """Still ejected, but receiving single requests to find out whether it has recovered."""


class Standing:
    """Evidence for and against one replica."""

    __slots__ = (
        "asked", "ejections", "evidence", "failing", "out_until_s", "passed", "since_s", "state", "suspect",
        "trial_in_flight", "warm_from_s", "why",
    )  # fmt: skip

    def __init__(self, now_s: float, warm: bool) -> None:
        self.state = State.IN
        self.suspect = False
        """Would be ejected, but too many replicas are ejected already: weighted down instead."""
        self.since_s = now_s
        self.warm_from_s = -math.inf if warm else now_s
        self.evidence = 0.0
        self.failing = 0.0
        """Share of failures, weighted towards recent requests."""
        self.ejections = 0
        self.out_until_s = 0.0
        self.asked = False
        """Whether its report was requested since it was ejected or last heard of."""
        self.passed = 0
        self.trial_in_flight = False
        self.why = ""


RECENT = 0.05
DOUBLINGS_MOST = 16
ASKED_BEFORE_S = 0.1
"""Time before a trial at which the replica's report is requested."""


class Eligibility:
    """Eligibility of the replicas of one service, as one caller sees them."""

    def __init__(self, rule: EligibilityRule) -> None:
        self._rule = rule
        self._standings: dict[str, Standing] = {}
        self._unsettled: list[tuple[str, Standing]] = []
        """Replicas that are ejected or may still be warming up, in the order of all. A pick checks only these."""
        self.panic = False
        """Whether too few replicas are good, so that none may be ejected or weighted down."""
        self._settles_s = -math.inf
        self._good = math.log((1 - rule.bad_failures) / (1 - rule.normal_failures))

    @property
    def standings(self) -> Mapping[str, Standing]:
        return self._standings

    @property
    def settled(self) -> bool:
        """Whether every replica is in service at full weight, so that a pick needs no lookup."""
        return not self._unsettled

    @property
    def out(self) -> int:
        return sum(standing.state is not State.IN for standing in self._standings.values())

    def why_out(self, replica_id: str, now_s: float) -> str:
        """Return why the replica gets no requests now. Empty for a replica that is on trial or due for one."""
        standing = self._standings.get(replica_id)
        if standing is None or standing.state is not State.OUT or now_s >= standing.out_until_s:
            return ""
        return standing.why

    def join(self, replica_id: str, now_s: float, *, warm: bool, known: Standing | None = None) -> None:
        """Add a replica, or one that `leave` returned. Unless `warm`, its weight grows during slow start."""
        standing = known or Standing(now_s, warm)
        standing.trial_in_flight = False
        self._standings[replica_id] = standing
        self._look(now_s)

    def leave(self, replica_id: str, now_s: float) -> Standing | None:
        """Remove a replica and return its standing, in case it comes back."""
        standing = self._standings.pop(replica_id, None)
        self._look(now_s)
        return standing

    def weight(self, replica_id: str, now_s: float) -> float:
        """Return the share of its full weight that the replica has now; 0 when ejected. Panic is ignored."""
        return self._weight(self._standings[replica_id], now_s)

    def weights(self, now_s: float) -> list[tuple[str, float]]:
        """Return the weights of the replicas that may have less than their full weight."""
        return [(replica_id, self._weight(standing, now_s)) for replica_id, standing in self._unsettled]

    def _weight(self, standing: Standing, now_s: float) -> float:
        if standing.state is not State.IN:
            return self._rule.suspect_weight if standing.suspect else 0.0
        warmth = (now_s - standing.warm_from_s) / self._rule.slow_start_s if self._rule.slow_start_s else 1.0
        return min(1.0, max(self._rule.slow_start_least, warmth))

    def settle(self, now_s: float) -> None:
        """Record which slow starts are over. Call before a pick when not `settled`."""
        if now_s >= self._settles_s:
            self._look(now_s)

    def take_trial(self, now_s: float) -> str | None:
        """Return the replica to try with the next request. End that request with `trial` set."""
        for replica_id, standing in self._unsettled:
            if standing.state is State.OUT and now_s >= standing.out_until_s:
                standing.state, standing.passed = State.TRIAL, 0
            if standing.state is State.TRIAL and not standing.trial_in_flight:
                standing.trial_in_flight = True
                return replica_id
        return None

    def to_ask(self, now_s: float) -> str | None:
        """Return the replica whose report is needed before its next trial: other callers may just have tried it."""
        for replica_id, standing in self._unsettled:
            if standing.state is State.OUT and not standing.asked and now_s >= standing.out_until_s - ASKED_BEFORE_S:
                standing.asked = True
                return replica_id
        return None

    def heard(self, replica_id: str, failing: float, now_s: float) -> None:
        """Record the failure share that a replica reports itself, so that an ejected one needs no trial to learn it."""
        standing = self._standings.get(replica_id)
        if standing is not None and standing.state is State.OUT and failing >= self._rule.bad_failures:
            standing.out_until_s = max(standing.out_until_s, now_s + self._rule.ejected_s)
            standing.asked = False

    def end(self, replica_id: str, kind: OutcomeKind, now_s: float, *, trial: bool = False) -> None:
        """Count the end of a request. Requests of removed replicas are ignored."""
        standing = self._standings.get(replica_id)
        if standing is None:
            return
        if trial:
            standing.trial_in_flight = False
        if kind is OutcomeKind.CANCELLED or kind is OutcomeKind.OVERLOADED:
            return
        bad = kind in FAULTS
        standing.failing += RECENT * (bad - standing.failing)
        if standing.state is not State.IN:
            if trial:
                self._tried(standing, kind, now_s)
            return
        if not bad:
            if standing.evidence:
                standing.evidence = max(0.0, standing.evidence + self._good)
            return
        normal = max(self._rule.normal_failures, 1.5 * self._usual())
        standing.evidence += max(0.0, math.log(max(self._rule.bad_failures, min(1.0, 3 * normal)) / min(1.0, normal)))
        if standing.evidence >= self._rule.evidence:
            self._against(standing, kind, now_s)

    def _usual(self) -> float:
        """Return the median replica's share of failures; the lower of two medians."""
        shares = sorted(standing.failing for standing in self._standings.values())
        return shares[(len(shares) - 1) // 2] if len(shares) > 1 else 0.0

    def _against(self, standing: Standing, kind: OutcomeKind, now_s: float) -> None:
        if len(self._standings) < 2:
            return
        standing.why = f"fails ({kind.value}), lately {standing.failing:.0%} of its requests"
        if now_s - standing.since_s > self._rule.forgiven_after_s:
            standing.ejections = 0
        self._put_out(standing, now_s)
        self._look(now_s)

    def _put_out(self, standing: Standing, now_s: float) -> None:
        others = sum(s.state is not State.IN and not s.suspect and s is not standing for s in self._standings.values())
        standing.suspect = others + 1 > max(1, int(self._rule.most_out * len(self._standings)))
        standing.ejections += 1
        standing.state, standing.since_s, standing.asked = State.OUT, now_s, False
        doubled_s = self._rule.ejected_s * 2 ** min(standing.ejections - 1, DOUBLINGS_MOST)
        standing.out_until_s = now_s + min(self._rule.ejected_most_s, doubled_s)

    def _tried(self, standing: Standing, kind: OutcomeKind, now_s: float) -> None:
        if kind in FAULTS:
            standing.why = f"failed when tried again ({kind.value})"
            self._put_out(standing, now_s)
        else:
            standing.passed += 1
            if standing.passed >= self._rule.trials:
                standing.state, standing.suspect, standing.since_s, standing.why = State.IN, False, now_s, ""
                standing.warm_from_s = now_s
                # The replica is on probation: one more failure soon ejects it again.
                standing.evidence = self._rule.evidence - math.log(self._rule.bad_failures / self._rule.normal_failures)
        self._look(now_s)

    def _look(self, now_s: float) -> None:
        slow_start_s = self._rule.slow_start_s
        good = sum(s.state is State.IN for s in self._standings.values())
        self.panic = good < self._rule.panic_below * len(self._standings)
        self._unsettled = [
            (replica_id, standing)
            for replica_id, standing in self._standings.items()
            if standing.state is not State.IN or standing.warm_from_s + slow_start_s > now_s
        ]
        warm_s = (standing.warm_from_s + slow_start_s for _, standing in self._unsettled if standing.state is State.IN)
        self._settles_s = min(warm_s, default=math.inf)
