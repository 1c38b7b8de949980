"""Services without endpoints on purpose. Callers keep the endpoints of any other service that becomes empty. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from argosy.contracts.fleet import Endpoint


def emptied(services: Mapping[str, Sequence[Endpoint]], leaving: Collection[str], before: Collection[str]) -> list[str]:
    """Return the names of the services that are empty because their last replicas were told to leave, sorted.

    Args:
        leaving: services with a replica that drains or is being ended, and services removed from the fleet file.
        before: services that the previous set called emptied. They stay emptied until a replica serves them, because
            a follower may miss a set.
    """
    return sorted(name for name in {*leaving, *before} if not services.get(name))
