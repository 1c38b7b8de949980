"""Start order of services: dependencies first, and services that can start in parallel in one wave."""

from __future__ import annotations

import graphlib
from collections.abc import Mapping

from argosy.config.service import ServiceSettings


def start_waves(services: Mapping[str, ServiceSettings]) -> list[list[str]]:
    """Return waves of service names. Each service comes after all services that it requires or wants.

    Services stop in the reverse order. `argosy.config.models.Fleet` refuses circles and unknown names.
    """
    sorter = graphlib.TopologicalSorter({name: {*s.requires, *s.wants} for name, s in services.items()})
    sorter.prepare()
    waves = []
    while sorter.is_active():
        wave = sorted(sorter.get_ready())
        waves.append(wave)
        sorter.done(*wave)
    return waves
