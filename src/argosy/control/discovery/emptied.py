"""Which services have no endpoint on purpose: callers keep what they knew of any other that is suddenly empty. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from argosy.contracts.fleet import Endpoint


def emptied(services: Mapping[str, Sequence[Endpoint]], leaving: Collection[str], before: Collection[str]) -> list[str]:
    """Services that are empty because their last replicas were told to leave, by name.

    Args:
        leaving: services of which a replica drains, is being ended, or was stopped for good.
        before: what the last set called emptied. A service stays so until somebody serves it: a follower may see only
            the latest set.
    """
    return sorted(name for name in {*leaving, *before} if not services.get(name))
