"""Rules of leases and retries: duration of a lease, number of attempts, backoff. The module is pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JobRules:
    lease_s: float = 60.0
    max_attempts: int = 4
    """Attempts that may end in an error or in the worker's death. Waiting for another service is not an attempt."""
    backoff_s: float = 1.0
    max_backoff_s: float = 60.0
    max_wait_s: float = 15.0
    """Longest pause between retries while a dependency is unavailable: nothing reports its return."""

    def backoff_after_s(self, failures: int) -> float:
        return min(self.max_backoff_s, self._doubled_s(failures))

    def wait_after_s(self, waits: int) -> float:
        return min(self.max_wait_s, self._doubled_s(waits))

    def _doubled_s(self, times: int) -> float:
        return self.backoff_s * 2.0 ** min(times - 1, 30)
