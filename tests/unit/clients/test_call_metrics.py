"""Test that the counts of calls are on `/metrics` by called service."""

from __future__ import annotations

from unittest.mock import Mock

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from argosy.balancing.outcome import OutcomeKind
from argosy.clients.call_metrics import CallMetrics
from argosy.clients.directory import Directory
from argosy.clients.transport import Transport
from argosy.config.models import Services
from argosy.config.services import EmbeddingSettings
from argosy.contracts.fleet import Endpoint, EndpointSet

pytestmark = pytest.mark.unit


def test_picks_replicas_out_and_what_protection_did_are_counted_by_service() -> None:
    directory = Directory(Services(embedding=EmbeddingSettings(balancing="resource_usage")))
    transport = Transport(directory, Mock(), "token")
    calling: list[tuple[Directory, Transport]] = []
    registry = CollectorRegistry()
    registry.register(CallMetrics(lambda: calling[0] if calling else None))
    assert generate_latest(registry) == b""
    calling.append((directory, transport))
    directory.apply(EndpointSet("1.1", {"embedding": [Endpoint(f"e{n}", f"http://e{n}") for n in range(3)]}))
    balancer = directory.balancer("embedding")
    picks = 0
    while not balancer.out:
        lease = balancer.pick()
        picks += 1
        lease.end(OutcomeKind.ERROR if lease.endpoint.id == "e0" else OutcomeKind.OK)
    guard = transport.guards["embedding"]
    guard.retries_refused, guard.hedges_sent, guard.hedges_won = 7, 6, 5
    guard.throttled, guard.bulkhead_refused, guard.in_work = 4, 3, 2
    lines = generate_latest(registry).decode().splitlines()
    assert f'argosy_balancing_lacking_picks_total{{to="embedding"}} {float(picks)}' in lines
    assert 'argosy_balancing_replicas_out{to="embedding"} 1.0' in lines
    assert 'argosy_balancing_replicas_out{to="store"} 0.0' in lines
    counts = [f"{name}_total" for name in ("retries_refused", "hedges_sent", "hedges_won")]
    counts += ["calls_throttled_total", "bulkhead_refused_total", "calls_in_work"]
    for value, name in zip((7.0, 6.0, 5.0, 4.0, 3.0, 2.0), counts, strict=True):
        assert f'argosy_{name}{{to="embedding"}} {value}' in lines
