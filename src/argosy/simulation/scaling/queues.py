"""Queues before all replicas, first come, first served: simulated request by request, or as a flow of work."""

from __future__ import annotations

from typing import Protocol

from argosy.simulation.loads.arrivals import FloatArray
from argosy.simulation.scaling.flow_queue import FlowQueue
from argosy.simulation.scaling.ledger import Ledger
from argosy.simulation.scaling.load import Flow, Load
from argosy.simulation.scaling.request_queue import RequestQueue
from argosy.simulation.scaling.service import SimulatedService


class ReplicaGroup(Protocol):
    """Replicas that serve a queue. They join and leave between seconds."""

    def add(self, replica: int, at: int) -> None:
        """Add a replica that serves from second `at` on."""
        ...

    def drain(self, replica: int, at: int) -> float:
        """Stop sending requests to a replica from second `at` on. Return when it has finished its requests."""
        ...


class Queue(ReplicaGroup, Protocol):
    ledger: Ledger

    def advance(self, since: int, until: int) -> None: ...

    def left(self) -> int:
        """Return the requests that have no slot at the end and are or will be late with the present replicas."""
        ...

    def waiting(self) -> float:
        """Return the requests that have no slot at the end."""
        ...

    def responses_s(self) -> tuple[FloatArray, FloatArray]:
        """Return the response times of the requests that had one, in seconds, and the weight of each time."""
        ...


def queue(load: Load, service: SimulatedService) -> Queue:
    return FlowQueue(load, service) if isinstance(load, Flow) else RequestQueue(load, service)
