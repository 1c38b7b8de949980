"""Attempts of one call: choice of the replica, retry, hedging, and the error when no replica answers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import aiohttp

from argosy.balancing.balancer import Balancer
from argosy.balancing.lease import Lease
from argosy.balancing.outcome import OutcomeKind
from argosy.clients.call_guard import CallGuard
from argosy.clients.hedge_copies import HedgeCopy, Losers, best
from argosy.contracts.errors import ArgosyError, DeadlineExceeded, Overloaded, Unavailable
from argosy.contracts.request import Clock, Priority, RequestContext
from argosy.telemetry.logs import logger

R = TypeVar("R")
ATTEMPTS = 2
PATIENCE_S = 0.1
"""Pause between two attempts of a call that waits for its service to come back."""
FAILURES = (aiohttp.ClientError, TimeoutError, ArgosyError)

Send = Callable[[Lease, RequestContext, contextlib.AsyncExitStack], Awaitable[R]]
"""Function that sends the call to one replica. The deadline of the context is that of the attempt."""

log = logger("transport")


@dataclass(frozen=True, slots=True)
class Plan:
    """Means that a call may use to get its answer."""

    service: str
    context: RequestContext
    idempotent: bool = True
    """Whether the call may be sent again although a replica may have received it."""
    patient: bool = False
    """Whether to wait within the deadline for a service that has no replica."""
    hedged: bool = False
    """Whether the call may be sent to a second replica while the first has not answered."""
    key: str | None = None
    """Key of the call. Calls with the same key are best served by the same replica."""
    waits: bool = False
    """Whether the call is a long poll. It is no load for the replica, so guard and balancer do not count it."""


class CallAttempts(Generic[R]):
    """Attempts of one call. `once` sends it to one replica; resources of the last attempt stay open in `stack`."""

    def __init__(
        self,
        plan: Plan,
        once: Send[R],
        stack: contextlib.AsyncExitStack,
        balancer: Balancer,
        guard: CallGuard,
        losers: Losers,
        clock: Clock,
    ) -> None:
        self._plan = plan
        self._once = once
        self._stack = stack
        self._balancer = balancer
        self._guard = guard
        self._losers = losers
        self._clock = clock
        self._failed: list[str] = []
        self._refused = False
        """Whether the last answer was 429."""

    async def make(self) -> R:
        """Make the call and return its answer.

        Raises: the error that the service answered; Overloaded when the service or this caller's guard refuses the
        call; Unavailable when no replica can be reached; DeadlineExceeded when no answer comes within the deadline.
        """
        if self._plan.waits:
            return await self._until_answered()
        guard, priority = self._guard, self._plan.context.priority
        guard.enter(priority, self._clock())
        self._stack.callback(guard.leave)
        try:
            return await self._until_answered()
        finally:
            guard.heard(priority, self._clock(), refused=self._refused)

    async def _until_answered(self) -> R:
        service, deadline = self._plan.service, self._plan.context.deadline
        waited_for: ArgosyError | None = None
        while True:
            try:
                return await self._attempt()
            except _TryElsewhere as again:
                if len(self._failed) < ATTEMPTS and deadline.remaining_s() > 0:
                    if self._guard.may_repeat(self._clock()):
                        log.warning(
                            "retrying on another replica", to=service, failed=self._failed[-1], reason=again.error.code
                        )
                        continue
                    log.warning("call not retried", to=service, reason="the retry budget is spent")
                error: ArgosyError = again.error
            except Unavailable as unavailable:
                error = unavailable
            worth_waiting = self._plan.patient and isinstance(error, Unavailable)
            if worth_waiting and waited_for is not None and deadline.remaining_s() <= 0:
                raise waited_for  # the last attempt had almost no time, so the error before it says more
            if not worth_waiting or deadline.remaining_s() < PATIENCE_S:
                raise error
            waited_for = error
            self._failed.clear()
            await asyncio.sleep(PATIENCE_S)
            if deadline.remaining_s() <= 0:
                raise error

    async def _attempt(self) -> R:
        plan, balancer = self._plan, self._balancer
        context = plan.context
        context.deadline.require(f"the {plan.service} service was asked")
        async with contextlib.AsyncExitStack() as attempt:
            lease = attempt.enter_context(balancer.lease(self._failed, plan.key, context.strategy))
            if plan.waits:
                lease.end(OutcomeKind.CANCELLED)
            elsewhere = plan.idempotent and not self._failed and len(balancer.candidates) > 1
            allowed = context.for_hop_with_fallback() if elsewhere else context
            began_s = lease.started_s
            try:
                hedges = elsewhere and self._hedges()
                hedge_s = self._guard.delay.after_s() if hedges else None
                if hedge_s is None:
                    result = await self._asked(lease, allowed, attempt)
                else:
                    answering = await self._hedged(lease, allowed, attempt, hedge_s)
                    lease = answering.lease
                    result = answering.task.result()
                if hedges:
                    self._guard.delay.note(self._clock() - began_s)
            except FAILURES as error:
                raise self._given_up(error, lease, elsewhere) from error
            self._refused = lease.answer is OutcomeKind.OVERLOADED
            self._stack.push_async_exit(attempt.pop_all())
            return result

    async def _asked(self, lease: Lease, context: RequestContext, stack: contextlib.AsyncExitStack) -> R:
        async with asyncio.timeout(context.deadline.remaining_s()):
            return await self._once(lease, context, stack)

    def _hedges(self) -> bool:
        """Return whether this call may be hedged. Bulk work is not hedged, because it is not urgent."""
        return self._plan.hedged and self._guard.hedging and self._plan.context.priority is not Priority.BULK

    async def _hedged(
        self, lease: Lease, allowed: RequestContext, attempt: contextlib.AsyncExitStack, after_s: float
    ) -> HedgeCopy[R]:
        """Return the copy whose answer or error counts: from `lease`'s replica or, if that is late, from another one.

        After the last await every copy is passed at once to `attempt` or to the losers, so that each lease is ended
        even when the call is cancelled.
        """
        own = attempt.pop_all()
        first = HedgeCopy(lease, own, self._asked(lease, allowed, own))
        copies = [first]
        try:
            await asyncio.wait({first.task}, timeout=after_s)
            if not first.task.done() and self._guard.may_repeat(self._clock()):
                copies += self._second(first)
            answering = await best(copies) or first
        except BaseException:  # the call was cancelled, so no copy is needed any longer
            for copy in copies:
                self._losers.break_off(copy)
            raise
        attempt.push_async_exit(answering.stack)
        for copy in copies:
            if copy is answering:
                continue
            if copy.task.done():
                self._failed_beside(copy)
            else:
                self._losers.leave(copy, after_s)
        self._guard.hedges_won += answering is not first
        return answering

    def _second(self, first: HedgeCopy[R]) -> list[HedgeCopy[R]]:
        """Return a copy on another replica, for which the retry budget was charged; empty when there is no other."""
        plan, stack = self._plan, contextlib.AsyncExitStack()
        try:
            lease = stack.enter_context(
                self._balancer.lease((first.lease.endpoint.id,), plan.key, plan.context.strategy)
            )
        except Unavailable:
            return []
        if lease.endpoint.id == first.lease.endpoint.id:
            lease.end(OutcomeKind.CANCELLED)
            return []
        self._guard.hedges_sent += 1
        return [HedgeCopy(lease, stack, self._asked(lease, plan.context, stack))]

    def _failed_beside(self, copy: HedgeCopy[R]) -> None:
        """End a copy that failed while the other copy answered, or that failed first."""
        error = copy.error
        if isinstance(error, FAILURES):
            self._failed.append(copy.lease.endpoint.id)
            copy.lease.end(_kind_of(error, copy.lease))
        self._losers.break_off(copy)

    def _given_up(self, error: Exception, lease: Lease, elsewhere: bool) -> Exception:
        """End the lease and return the error to raise: `_TryElsewhere` when another replica may succeed."""
        service, plan = self._plan.service, self._plan
        kind = _kind_of(error, lease)
        lease.end(kind)
        self._refused = kind is OutcomeKind.OVERLOADED
        if isinstance(error, ArgosyError):
            if not elsewhere or (error.status < 500 and not isinstance(error, Overloaded)):
                return error
            self._failed.append(lease.endpoint.id)
            return _TryElsewhere(error)
        self._failed.append(lease.endpoint.id)
        if isinstance(error, aiohttp.ClientError):
            unreachable = Unavailable(f"The {service} service cannot be reached now.", retry_after_s=1.0)
            return _TryElsewhere(unreachable) if plan.idempotent or kind is OutcomeKind.REFUSED else unreachable
        silent = f"The {service} service did not answer within the time allowed."
        # To a patient call a silent service counts as unavailable, so the caller may try again later.
        unanswered = Unavailable(silent, retry_after_s=1.0) if plan.patient else DeadlineExceeded(silent)
        return _TryElsewhere(unanswered) if elsewhere else unanswered


class _TryElsewhere(Exception):
    """A replica failed and another one may succeed; `error` is raised when none does."""

    def __init__(self, error: ArgosyError) -> None:
        super().__init__(error.message)
        self.error = error


def _kind_of(error: Exception, lease: Lease) -> OutcomeKind:
    if isinstance(error, ArgosyError):
        return lease.answer or OutcomeKind.ERROR
    if isinstance(error, aiohttp.ClientConnectorError):
        return OutcomeKind.REFUSED
    # Some of aiohttp's timeouts are also ClientErrors; they count as a broken connection.
    return OutcomeKind.ERROR if isinstance(error, aiohttp.ClientError) else OutcomeKind.TIMEOUT
