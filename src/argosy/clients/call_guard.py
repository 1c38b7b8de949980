"""Protection in the caller of one service: bulkhead, throttle, retry budget, hedge delay. No effects."""

from __future__ import annotations

import random
from collections.abc import Callable

from argosy.balancing.hedge_delay import HedgeDelay
from argosy.balancing.retry_budget import RetryBudget
from argosy.balancing.throttle import ClientThrottle
from argosy.config.protection import ProtectionSettings
from argosy.contracts.errors import Overloaded
from argosy.contracts.request import Priority

RETRY_AFTER_S = 1.0
LEAST_REQUESTS = 20
"""Least number of requests in the throttle's window before it refuses any."""


class CallGuard:
    """Guard of one service in one calling process. A call enters before its first attempt and leaves after its end."""

    def __init__(
        self,
        service: str,
        settings: ProtectionSettings,
        *,
        budget: RetryBudget | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._service = service
        self._settings = settings
        self._chance = chance
        self._budget = budget or RetryBudget(settings.retry_share, settings.retry_reserve_per_s)
        # Each priority has its own throttle: refusals of bulk work, which is shed first, must not throttle queries.
        self._throttles = {
            priority: ClientThrottle(settings.throttle_multiplier, least=LEAST_REQUESTS) for priority in Priority
        }
        self.hedging = settings.hedging
        self.delay = HedgeDelay(settings.hedge_quantile)
        self._pending = dict.fromkeys(Priority, 0)
        """Calls without a first answer, by priority."""
        self.in_work = 0
        self.retries_refused = 0
        """Retries and hedges not sent because the budget was spent."""
        self.throttled = 0
        self.bulkhead_refused = 0
        self.hedges_sent = 0
        self.hedges_won = 0

    def enter(self, priority: Priority, now_s: float) -> None:
        """Count a call as in flight.

        Raises: Overloaded, naming the service, when the bulkhead or the throttle refuses the call; then `leave` must
        not be called.
        """
        most = self._settings.max_concurrent_calls
        if most and self.in_work >= most:
            self.bulkhead_refused += 1
            raise Overloaded(
                f"{most} calls to the {self._service} service are in flight here, the limit for one service. Try "
                f"again later, or raise services.{self._service}.protection.max_concurrent_calls.",
                retry_after_s=RETRY_AFTER_S,
            )
        pending = self._pending[priority]
        if self._settings.throttling and self._throttles[priority].rejects(self._chance(), now_s, pending):
            self.throttled += 1
            raise Overloaded(
                f"The {self._service} service refuses most requests now, so this one was not sent. Try again after "
                "the time in Retry-After.",
                retry_after_s=RETRY_AFTER_S,
            )
        self._budget.request(now_s)
        self.in_work += 1
        self._pending[priority] += 1

    def leave(self) -> None:
        """Count the end of a call that entered."""
        self.in_work -= 1

    def heard(self, priority: Priority, now_s: float, *, refused: bool) -> None:
        """Record the first answer to a call; `refused` means that the service was full."""
        self._pending[priority] -= 1
        if self._settings.throttling and not refused:
            self._throttles[priority].accepted(now_s)

    def may_repeat(self, now_s: float) -> bool:
        """Charge the retry budget for a retry or a hedge. Returns: whether the budget allows it."""
        if self._budget.take(now_s):
            return True
        self.retries_refused += 1
        return False
