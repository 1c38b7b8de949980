"""Table of the policies that are compared. A new policy needs one file and one line here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from argosy.contracts.errors import ConfigError
from argosy.simulation.scaling import own
from argosy.simulation.scaling.autoscaler import Autoscaler, Contender, World
from argosy.simulation.scaling.fixed import FixedReplicas
from argosy.simulation.scaling.oracle import Oracle
from argosy.simulation.scaling.peers.hpa import Hpa
from argosy.simulation.scaling.peers.keda import Keda
from argosy.simulation.scaling.peers.kpa import Kpa
from argosy.simulation.scaling.peers.ray_serve import RayServe

FILLED = (0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95)
"""Targets of utilisation: shares of the slots."""
CROWDED = (0.15, 0.25, 0.35, 0.45, 0.55, 0.7, 0.85, 1.0, 1.3)
"""Targets of requests in flight per slot. Above 1, some requests wait."""
CPU_UP = (0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
USUAL = 0.7
MAY_BE_LATE = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.003, 0.0007, 0.0001)
USUALLY_LATE = 0.01
ORACLE_SCALES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5)
FIXED_COUNT = 12


def _fixed(world: World) -> tuple[float, ...]:
    """Return counts from the one that the mean load fills to the one that the busiest seconds need."""
    load = world.load.offered / world.service.slots
    least = max(world.min_replicas, math.ceil(float(load.mean())))
    most = min(world.max_replicas, max(least + 1, math.ceil(1.5 * float(np.quantile(load, 0.999)))))
    return tuple(float(n) for n in sorted({round(n) for n in np.linspace(least, most, FIXED_COUNT)}))


def _enough(world: World) -> float:
    """Return the count at which the mean load uses the usual share of the slots."""
    mean = float(world.load.offered.mean()) / world.service.slots
    return float(max(world.min_replicas, min(world.max_replicas, math.ceil(mean / USUAL))))


def _by_share(name: str, about: str, target: str, make: Callable[[World, float], Autoscaler]) -> Contender:
    return Contender(name, about, target, lambda world: FILLED, lambda world: USUAL, make)


def _by_replica(name: str, about: str, make: Callable[[World, float], Autoscaler], usual: float = USUAL) -> Contender:
    return Contender(
        name,
        about,
        "in flight a replica",
        lambda world: tuple(share * world.service.slots for share in CROWDED),
        lambda world: usual * world.service.slots,
        make,
    )


CONTENDERS: Mapping[str, Contender] = {
    contender.name: contender
    for contender in (
        Contender(
            "predictive",
            "Argosy's default",
            "share late",
            lambda world: MAY_BE_LATE,
            lambda world: USUALLY_LATE,
            own.predictive,
        ),
        _by_replica("target", "Argosy's target tracking", own.target),
        Contender(
            "threshold", "Argosy's fixed limits", "up.cpu", lambda world: CPU_UP, lambda world: USUAL, own.threshold
        ),
        _by_share("hpa_cpu", "Kubernetes HPA on CPU, re-implemented", "cpu", lambda world, share: Hpa(share, cpu=True)),
        _by_replica(
            "hpa_inflight", "Kubernetes HPA on in-flight, re-implemented", lambda world, load: Hpa(load, cpu=False)
        ),
        _by_replica("keda", "KEDA, re-implemented", lambda world, load: Keda(load)),
        _by_replica("kpa", "Knative KPA, re-implemented", lambda world, load: Kpa(load)),
        _by_replica("ray", "Ray Serve, re-implemented", lambda world, load: RayServe(load), usual=0.5),
        Contender(
            "static",
            "a fixed number",
            "replicas",
            _fixed,
            _enough,
            lambda world, count: FixedReplicas(count),
            first=lambda world, count: round(count),
            counted=False,
        ),
        Contender(
            "oracle",
            "knows the future: a bound",
            "scale of the load",
            lambda world: ORACLE_SCALES,
            lambda world: 1.0,
            Oracle,
            first=lambda world, scale: Oracle(world, scale).first,
            counted=False,
        ),
    )
}


def contenders(names: str) -> list[Contender]:
    """Return the contenders with the given names, separated by commas; `all` returns all.

    Raises: ConfigError when a name is unknown; the message lists the known names.
    """
    if names.strip() == "all":
        return list(CONTENDERS.values())
    found = []
    for name in dict.fromkeys(part.strip() for part in names.split(",")):
        if name not in CONTENDERS:
            raise ConfigError(
                f"There is no scaling policy {name!r}; choose from {', '.join(CONTENDERS)}.", param="policy"
            )
        found.append(CONTENDERS[name])
    return found
