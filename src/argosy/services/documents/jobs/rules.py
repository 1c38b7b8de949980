"""How long a job is one worker's, how often it is tried, and when again. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JobRules:
    lease_s: float = 60.0
    max_attempts: int = 4
    """Tries that ended in an error or in the worker's death. Waiting for another service is not a try."""
    backoff_s: float = 1.0
    max_backoff_s: float = 60.0
    max_wait_s: float = 15.0
    """Between looks for what is away: nobody says when it is back."""

    def backoff_after_s(self, failures: int) -> float:
        return min(self.max_backoff_s, self._doubled_s(failures))

    def wait_after_s(self, waits: int) -> float:
        return min(self.max_wait_s, self._doubled_s(waits))

    def _doubled_s(self, times: int) -> float:
        return self.backoff_s * 2.0 ** min(times - 1, 30)
