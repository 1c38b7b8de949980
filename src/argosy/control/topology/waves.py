"""The order services start in: dependencies first, everything that can be parallel in one wave."""

from __future__ import annotations

import graphlib
from collections.abc import Mapping

from argosy.config.models import ServiceSettings


def start_waves(services: Mapping[str, ServiceSettings]) -> list[list[str]]:
    """Waves of service names; each service comes after all it requires or wants. Stopping goes the other way.

    The configuration has no circles and no unknown names: `argosy.config.models.Fleet` refuses them.
    """
    sorter = graphlib.TopologicalSorter({name: {*s.requires, *s.wants} for name, s in services.items()})
    sorter.prepare()
    waves = []
    while sorter.is_active():
        wave = sorted(sorter.get_ready())
        waves.append(wave)
        sorter.done(*wave)
    return waves
