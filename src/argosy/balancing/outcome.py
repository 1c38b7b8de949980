"""How one call to a replica ended, and what the replica said of its load."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Kind(enum.Enum):
    OK = "ok"
    """Answered; also with an error of the caller's own making (a 4xx other than 429)."""
    ERROR = "error"
    """Failed by the replica's fault: a 5xx, or the connection broke."""
    TIMEOUT = "timeout"
    """No answer within the attempt's time."""
    REFUSED = "refused"
    """No connection: nothing was sent."""
    OVERLOADED = "overloaded"
    """Turned away in order, 429: the replica is well, and full."""
    CANCELLED = "cancelled"
    """The caller lost interest; says nothing about the replica."""


FAULTS = frozenset((Kind.ERROR, Kind.TIMEOUT, Kind.REFUSED))
"""What counts against a replica."""


NOTICED_EPS = 0.05
MOST = 1e12
"""No figure of a replica is larger; sums and products of such figures stay finite."""


@dataclass(frozen=True, slots=True)
class LoadReport:
    """A replica's own words, as of one answer. A figure that it did not give is None, never 0."""

    rif: float | None = None
    """Requests in flight, of all callers, besides the one that this answers."""
    latency_ms: float | None = None
    """Of requests that it served at about this `rif`."""
    cpu_utilization: float | None = None
    mem_utilization: float | None = None
    application_utilization: float | None = None
    queued: float | None = None
    rps: float | None = None
    eps: float | None = None
    """Of these a second, those that failed by its own fault."""

    @property
    def failing(self) -> float:
        """Share of its requests that failed lately, of all callers; 0 where too few did to say so."""
        eps, rps = self.eps, self.rps
        return eps / max(eps, rps) if eps is not None and rps is not None and eps >= NOTICED_EPS else 0.0

    @classmethod
    def parse(cls, header: str | None) -> LoadReport | None:
        """The value of `endpoint-load-metrics` in ORCA's text form; None when there is none or it cannot be read.

        Figures that are unknown, negative, above MOST or not numbers are passed over.
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
    kind: Kind
    latency_s: float
    """From the pick to the answer, or to giving up."""
    report: LoadReport | None = None
