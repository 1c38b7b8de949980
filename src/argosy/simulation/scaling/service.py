"""Services of the scaling simulation: how long a request occupies a slot, and the SLO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from argosy.simulation.loads.arrivals import FloatArray
from argosy.simulation.loads.durations import Durations, Lognormal, Measured

TOKEN_S = 0.03
GENERATED = Lognormal(mean_s=TOKEN_S * 23.28, sigma=0.847)
"""Work for traces that only count requests, fitted to the logarithms of the tokens in Azure's code trace."""


@dataclass(frozen=True, slots=True)
class SimulatedService:
    name: str
    work: Durations
    """Time for which a request occupies a slot."""
    slots: int
    """Number of requests that one replica works on at once."""
    slo_s: float | None = None
    """Response time that meets the SLO; None allows twice the request's own time."""
    aggregated: bool = False
    """Whether work is simulated as a flow, not request by request.

    The work must be far shorter than the SLO and one second.
    """

    def measured(self, written: tuple[int, ...] | None) -> SimulatedService:
        """Return the service with the token counts of a trace, when the service's time depends on tokens."""
        if written is None or self.work is not GENERATED:
            return self
        return replace(self, work=Measured(tuple(TOKEN_S * max(1, tokens) for tokens in written)))

    def draw(self, count: int, rng: np.random.Generator) -> FloatArray:
        """Draw the work of requests, each independently: a recorded order would be the same for every seed."""
        if isinstance(self.work, Measured):
            return rng.choice(np.array(self.work.work_s), count)
        return self.work.draw(count, rng)

    @property
    def mean_s(self) -> float:
        return self.work.mean_s

    @property
    def cv2(self) -> float:
        """Variance of the work divided by its squared mean."""
        if isinstance(self.work, Measured):
            values = np.array(self.work.work_s)
            return float(values.var() / values.mean() ** 2)
        if isinstance(self.work, Lognormal):
            return float(np.expm1(self.work.sigma**2))
        sample = self.work.draw(10_000, np.random.default_rng(0))
        return float(sample.var() / sample.mean() ** 2)

    def slack_s(self, work_s: FloatArray) -> FloatArray:
        """Return how long each request may wait and still meet the SLO."""
        return work_s if self.slo_s is None else self.slo_s - work_s


SERVICES: Mapping[str, SimulatedService] = {
    "generation": SimulatedService("generation", GENERATED, slots=4),
    "embedding": SimulatedService("embedding", Lognormal(mean_s=0.015, sigma=0.5), slots=1, slo_s=0.5, aggregated=True),
}
