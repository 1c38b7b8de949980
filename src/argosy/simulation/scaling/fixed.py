"""A fixed number of replicas: the baseline that every policy has to beat."""

from __future__ import annotations

from argosy.simulation.scaling.readings import Readings


class FixedReplicas:
    interval_s = 3600

    def __init__(self, replicas: float) -> None:
        self._replicas = round(replicas)

    def wanted(self, seen: Readings) -> int:
        return self._replicas
