"""Outcome of one call to a replica, and the load that the replica reported."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class OutcomeKind(enum.Enum):
    OK = "ok"
    """The replica answered, possibly with an error that is the caller's fault (a 4xx other than 429)."""
    ERROR = "error"
    """The replica failed: a 5xx, or the connection broke."""
    TIMEOUT = "timeout"
    """The replica did not answer within the attempt's time."""
    REFUSED = "refused"
    """The connection was refused: nothing was sent."""
    OVERLOADED = "overloaded"
    """The replica answered 429: it works and is full."""
    CANCELLED = "cancelled"
    """The caller gave up; this says nothing about the replica."""


FAULTS = frozenset((OutcomeKind.ERROR, OutcomeKind.TIMEOUT, OutcomeKind.REFUSED))
"""Kinds that count against a replica."""


NOTICED_EPS = 0.05
MOST = 1e12
"""No figure of a replica is larger; sums and products of such figures stay finite."""


@dataclass(frozen=True, slots=True)
class LoadReport:
    """Load that a replica reported with one answer. A value that it did not report is None, never 0."""

    rif: float | None = None
    """Requests in flight from all callers, without the request that this answers."""
    latency_ms: float | None = None
    """Latency of requests that the replica served at about this `rif`."""
    cpu_utilization: float | None = None
    mem_utilization: float | None = None
    application_utilization: float | None = None
    queued: float | None = None
    rps: float | None = None
    eps: float | None = None
    """Requests per second that failed through the replica's own fault."""

    @property
    def failing(self) -> float:
        """Share of recent requests from all callers that failed; 0 when too few failed to tell."""
        eps, rps = self.eps, self.rps
        return eps / max(eps, rps) if eps is not None and rps is not None and eps >= NOTICED_EPS else 0.0

    @classmethod
    def parse(cls, header: str | None) -> LoadReport | None:
        """Parse the header `endpoint-load-metrics` in ORCA's text form; None when it is missing or unreadable.

        Unknown and negative values, values above MOST and text that is no number are skipped.
        Source: https://github.com/envoyproxy/envoy, source/common/orca/orca_parser.cc.
        """
        if header is None or not header.startswith("TEXT "):
            return None
        found: dict[str, float] = {}
        for pair in header[5:].split(","):
            name, separator, value = pair.partition("=")
            field = _FIELDS.get(name.strip())
            if field is None or not separator:
                continue
            try:
                number = float(value)
            except ValueError:
                continue
            if 0 <= number <= MOST:
                found[field] = number
        return cls(**found) if found else None


_FIELDS = {
    "cpu_utilization": "cpu_utilization",
    "mem_utilization": "mem_utilization",
    "application_utilization": "application_utilization",
    "rps_fractional": "rps",
    "eps": "eps",
    "named_metrics.rif": "rif",
    "named_metrics.latency_ms": "latency_ms",
    "named_metrics.queued": "queued",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    kind: OutcomeKind
    latency_s: float
    """Time from the pick to the answer, or until the caller gave up."""
    report: LoadReport | None = None
