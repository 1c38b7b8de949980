"""Pick a replica of one service and count the requests in flight to each.

A caller holds a `Lease` for each request and ends it once. There are two forms:

    lease = balancer.pick(PickRequest(avoid=failed))      # explicit: the simulator
    ...
    lease.end(Kind.OK, LoadReport.parse(header))

    with balancer.lease(avoid=failed) as lease:           # clients: the block ends the lease, however it exits
        ...
        lease.end(Kind.OK, report)                        # optional; only the first end counts

`due_probes()` names replicas that should be asked for a load report in the background, without a user's request. Pass
each report to `probed(id, report)`. Call `due_probes()` after every pick; it is cheap when no probe is due.

Time comes from the given clock and randomness from the given generator. Use a balancer from one thread only.
"""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from argosy.balancing.candidate import Candidate
from argosy.balancing.eligibility import Eligibility, EligibilityRule, Standing
from argosy.balancing.explanation import explained
from argosy.balancing.lease import Lease
from argosy.balancing.outcome import FAULTS, LoadReport, Outcome, OutcomeKind
from argosy.balancing.shares import PickShares
from argosy.balancing.strategy import PickRequest, Strategy
from argosy.balancing.table import create
from argosy.contracts.balance import BalanceExplanation
from argosy.contracts.errors import Unavailable
from argosy.contracts.fleet import Endpoint
from argosy.contracts.request import Clock
from argosy.telemetry.logs import logger

RETRY_AFTER_S = 1.0
ANY = PickRequest()
RULE = EligibilityRule()
REMEMBERED_S = 60.0
"""Time for which a replica that left is remembered, so that an endpoint that flapped keeps its counts and standing."""
LACKS_TOLD_EVERY_S = 60.0

log = logger("balancer")


@dataclass(frozen=True, slots=True)
class _Gone:
    candidate: Candidate
    standing: Standing | None
    left_s: float


class Balancer:
    """Balancer of one service in one calling process."""

    def __init__(
        self,
        service: str,
        strategy: str,
        *,
        clock: Clock = time.monotonic,
        rng: random.Random | None = None,
        rule: EligibilityRule | None = RULE,
    ) -> None:
        """Create a balancer. With `rule` None, ejection and slow start are off: only the strategy decides.

        Raises: ConfigError when no strategy has that name.
        """
        self._service = service
        self._clock = clock
        self._rng = rng or random.Random()
        self._name = strategy
        self._strategy = create(strategy, self._rng)
        self._others: dict[str, Strategy] = {}
        self._eligibility = None if rule is None else Eligibility(rule)
        self._candidates: dict[str, Candidate] = {}
        self._open: list[Candidate] = []
        """All replicas, in the order of the endpoint set."""
        self._weighted: list[Candidate] = []
        """Replicas that had less than their full weight at the last pick."""
        self._gone: dict[str, _Gone] = {}
        self._shares = PickShares()
        self._probes_due: dict[str, Candidate] = {}
        self._told_lacks_s = float("-inf")
        self.lacking_picks = 0
        """Number of picks for which the strategy lacked the data it is designed for."""

    def update(self, endpoints: Sequence[Endpoint]) -> None:
        """Replace the replicas. Remaining ones keep their counts; requests to removed ones run on undisturbed."""
        now_s = self._clock()
        first = not self._candidates and not self._gone
        before, after = self._candidates, {}
        for endpoint in endpoints:
            after[endpoint.id] = self._known(endpoint, now_s) or self._new(endpoint, now_s, warm=first)
        for replica_id, candidate in before.items():
            if replica_id not in after:
                standing = None if self._eligibility is None else self._eligibility.leave(replica_id, now_s)
                self._gone[replica_id] = _Gone(candidate, standing, now_s)
        self._candidates, self._open = after, list(after.values())
        heaviest = max((endpoint.weight for endpoint in endpoints), default=1.0)
        for candidate in self._open:
            candidate.weight = candidate.full_weight = candidate.endpoint.weight / heaviest
        for replica_id in [r for r, gone in self._gone.items() if now_s - gone.left_s > REMEMBERED_S]:
            del self._gone[replica_id]
            self._forget(replica_id)

    def _known(self, endpoint: Endpoint, now_s: float) -> Candidate | None:
        """Return what is known of the endpoint's replica, or None when it is a different replica."""
        known = self._candidates.get(endpoint.id)
        gone = self._gone.pop(endpoint.id, None)
        if known is None and gone is not None and gone.candidate.endpoint.url == endpoint.url:
            known = gone.candidate
            if self._eligibility is not None:
                self._eligibility.join(endpoint.id, now_s, warm=True, known=gone.standing)
        if known is None or known.endpoint.url != endpoint.url:
            return None
        known.endpoint = endpoint
        return known

    def _new(self, endpoint: Endpoint, now_s: float, *, warm: bool) -> Candidate:
        self._forget(endpoint.id)
        if self._eligibility is not None:
            self._eligibility.join(endpoint.id, now_s, warm=warm)
        return Candidate(endpoint, reported_s=now_s)

    def _forget(self, replica_id: str) -> None:
        for strategy in (self._strategy, *self._others.values()):
            strategy.forget(replica_id)

    @property
    def candidates(self) -> list[Candidate]:
        return list(self._open)

    def pick(self, request: PickRequest = ANY) -> Lease:
        """Pick a replica and count the request as in flight until the lease ends.

        Raises: Unavailable, naming the service, when it has no replica; ConfigError when the request names an unknown
        strategy.
        """
        if not self._open:
            raise Unavailable(f"The {self._service} service has no running replica.", retry_after_s=RETRY_AFTER_S)
        now_s = self._clock()
        strategy = self._strategy if request.strategy is None else self._other(request.strategy)
        candidates, trial = self._eligible(request, now_s)
        picked = candidates[0] if trial else strategy.pick(candidates, request, now_s)
        if not trial and strategy.lacks:
            self._tell_lack(strategy, request, now_s)
        if not picked.in_flight:
            picked.busy_since_s = now_s
        picked.in_flight += 1
        picked.picks += 1
        self._shares.count(picked.id, now_s)
        for candidate in strategy.wanted_probes(candidates, now_s):
            self._probes_due[candidate.id] = candidate
        return Lease(picked, strategy, now_s, trial, self._clock, self._end)

    def _eligible(self, request: PickRequest, now_s: float) -> tuple[Sequence[Candidate], bool]:
        """Return the replicas to pick from and False, or the one replica to try now and True."""
        among = self._open
        if request.avoid:
            among = [c for c in among if c.id not in request.avoid] or among
        if self._weighted:
            self._give_full_weight()
        eligibility = self._eligibility
        if eligibility is None or eligibility.settled:
            return among, False
        eligibility.settle(now_s)
        if eligibility.settled or eligibility.panic:
            return among, False
        asked = eligibility.to_ask(now_s)
        if asked in self._candidates:
            self._probes_due[asked] = self._candidates[asked]
        if not request.avoid and len(among) > 1:
            tried = eligibility.take_trial(now_s)
            if tried is not None and tried in self._candidates:
                return [self._candidates[tried]], True
        for replica_id, share in eligibility.weights(now_s):
            candidate = self._candidates[replica_id]
            candidate.weight = candidate.full_weight * share
            self._weighted.append(candidate)
        usable = [c for c in among if c.weight > 0]
        if not usable:  # all remaining replicas are ejected: use them at full weight rather than fail
            self._give_full_weight()
        return usable or among, False

    def _give_full_weight(self) -> None:
        for candidate in self._weighted:
            candidate.weight = candidate.full_weight
        self._weighted.clear()

    def _other(self, name: str) -> Strategy:
        if name == self._name:
            return self._strategy
        if name not in self._others:
            self._others[name] = create(name, self._rng)
        return self._others[name]

    def _tell_lack(self, strategy: Strategy, request: PickRequest, now_s: float) -> None:
        self.lacking_picks += 1
        if now_s - self._told_lacks_s >= LACKS_TOLD_EVERY_S:
            self._told_lacks_s = now_s
            log.info(
                "strategy lacks data", to=self._service, strategy=request.strategy or self._name, lacks=strategy.lacks
            )

    @contextmanager
    def lease(
        self, avoid: Collection[str] = (), key: str | None = None, strategy: str | None = None
    ) -> Iterator[Lease]:
        """Pick a replica for the duration of the block. The exit of the block ends the lease if need be."""
        lease = self.pick(PickRequest(avoid, key, strategy))
        try:
            yield lease
        except BaseException as error:
            lease.end_by(error)
            raise
        else:
            lease.end(lease.answer or OutcomeKind.OK)

    def due_probes(self) -> list[Endpoint]:
        """Return replicas to ask for a report now, in the background. Each request for a report is returned once."""
        if not self._probes_due:
            return []
        due = [candidate.endpoint for candidate in self._probes_due.values()]
        self._probes_due.clear()
        return due

    def probed(self, replica_id: str, report: LoadReport | None) -> None:
        """Record the result of a probe, None when there was no answer. Results of removed replicas are dropped."""
        candidate = self._candidates.get(replica_id)
        if candidate is None or report is None:
            return
        now_s = self._clock()
        candidate.report, candidate.reported_s = report, now_s
        if self._eligibility is not None:
            self._eligibility.heard(candidate.id, report.failing, now_s)
        for strategy in (self._strategy, *self._others.values()):
            strategy.probed(candidate, now_s)

    def _end(self, lease: Lease, kind: OutcomeKind, report: LoadReport | None, latency_s: float | None) -> None:
        candidate = lease.candidate
        now_s = self._clock()
        candidate.in_flight -= 1
        candidate.busy_since_s = now_s
        if kind is not OutcomeKind.CANCELLED:
            candidate.ended += 1
            candidate.failed += kind in FAULTS
        if report is not None:
            candidate.report, candidate.reported_s = report, now_s
        if self._current(candidate) is not candidate:
            return
        if self._eligibility is not None:
            self._eligibility.end(candidate.id, kind, now_s, trial=lease.trial)
        outcome = Outcome(kind, now_s - lease.started_s if latency_s is None else latency_s, report)
        lease.strategy.ended(candidate, outcome, now_s)

    def _current(self, candidate: Candidate) -> Candidate | None:
        """Return the replica if it still owns its id: the answer of a replaced one says nothing about its successor."""
        gone = self._gone.get(candidate.id)
        return self._candidates.get(candidate.id) or (None if gone is None else gone.candidate)

    @property
    def out(self) -> int:
        """Number of replicas that are ejected or weighted down because they fail."""
        return 0 if self._eligibility is None else self._eligibility.out

    def why_out(self, replica_id: str) -> str:
        """Return why the replica gets no requests now; empty when it does."""
        return "" if self._eligibility is None else self._eligibility.why_out(replica_id, self._clock())

    def explain(self) -> BalanceExplanation:
        """Explain the current picks, replica by replica."""
        now_s = self._clock()
        picks, shares = self._shares.of(now_s)
        return BalanceExplanation(
            service=self._service,
            strategy=self._name,
            lacks=self._strategy.lacks,
            panic=self._eligibility is not None and self._eligibility.panic,
            picks=picks,
            replicas=[explained(c, self._strategy, self._eligibility, shares, now_s) for c in self._open],
        )
