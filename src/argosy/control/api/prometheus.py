"""Targets for Prometheus' HTTP service discovery."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

import msgspec

from argosy.control.platforms.platform import Replica

JOB = "argosy"


class TargetGroup(msgspec.Struct):
    """Group of addresses with the labels that Prometheus adds to all their metrics."""

    targets: list[str]
    labels: dict[str, str]


def target_groups(replicas: Iterable[Replica], controller: str) -> list[TargetGroup]:
    """Return a group for the controller, at the address `controller`, and one for each replica.

    Programs that are not built from Argosy's kit are left out, because their metrics are unknown.
    """
    groups = [TargetGroup([controller], {"job": JOB, "service": "controller", "replica": "controller"})]
    for replica in replicas:
        if replica.url is not None:
            labels = {"job": JOB, "service": replica.service, "replica": replica.id}
            groups.append(TargetGroup([urlsplit(replica.url).netloc], labels))
    return groups
