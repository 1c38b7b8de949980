"""`argosy balance explain` against an admin API that answers what the test says."""

from __future__ import annotations

import json

import msgspec
import pytest

from argosy.contracts.balance import (
    BalanceExplanation,
    BalanceView,
    CallerBalance,
    Offer,
    ReplicaExplanation,
    SilentCaller,
)
from argosy.contracts.errors import NotFound
from argosy.contracts.fleet import Health
from tests.integration.cli.conftest import FakeFleet, Invoke

pytestmark = pytest.mark.integration

GOOD = ReplicaExplanation("embedding-1", "in", "", 1.0, 2, 0.875, 70, 0, {"latency_ms": 12.34}, 0.25)
OUT = ReplicaExplanation("embedding-2", "out", "fails (refused), lately 15% of its requests", 0, 0, 0.125, 10, 3, {})
IDLE = ReplicaExplanation("embedding-1", "in", "", 1.0, 0, 0.0, 0, 0, {})
VIEW = BalanceView(
    service="embedding",
    strategy="adaptive",
    replicas=[
        Offer("embedding-1", True, 1.0, Health.HEALTHY, ""),
        Offer("embedding-3", False, 0.0, Health.UNHEALTHY, "no answer within 2 s"),
    ],
    callers=[
        CallerBalance(
            "retrieval-1", 0.1, BalanceExplanation("embedding", "adaptive", "response times", True, 80, [GOOD, OUT])
        ),
        CallerBalance("store-1", 3.2, BalanceExplanation("embedding", "adaptive", "", False, 0, [IDLE])),
    ],
    silent=[SilentCaller("documents-1", "no answer within 2 s")],
)
PATH = "/v1/services/embedding/balance"


def test_it_shows_what_each_caller_knows_and_what_it_is_not_offered(fleet: FakeFleet, argosy: Invoke) -> None:
    fleet.answer("GET", PATH, msgspec.to_builtins(VIEW))
    shown = argosy("balance", "explain", "embedding")
    assert shown.exit_code == 0
    rows = {line.split()[0]: line for line in shown.stdout.splitlines() if line.startswith("embedding-")}
    assert "no answer within 2 s" in rows["embedding-3"]
    assert "fails (refused), lately 15% of its requests" in rows["embedding-2"]
    [said] = [line for line in shown.stdout.splitlines() if "latency_ms=12.34" in line]
    assert said.split()[:7] == ["embedding-1", "in", "1", "2", "87.5%", "70", "0"]
    assert "0.2 s ago" in said
    assert "retrieval-1 by adaptive: 80 picks in the last minute\n" in shown.stdout
    assert "The strategy lacks response times." in shown.stdout
    assert "Panic" in shown.stdout
    assert "Not called by store-1." in shown.stdout
    assert "No report from documents-1: no answer within 2 s." in shown.stdout


def test_its_json_is_the_answer(fleet: FakeFleet, argosy: Invoke) -> None:
    fleet.answer("GET", PATH, msgspec.to_builtins(VIEW))
    assert json.loads(argosy("balance", "explain", "embedding", "--json").stdout) == msgspec.to_builtins(VIEW)


def test_an_unknown_service_is_one_sentence(fleet: FakeFleet, argosy: Invoke) -> None:
    fleet.answer("GET", "/v1/services/nobody/balance", NotFound('There is no service "nobody".'))
    refused = argosy("balance", "explain", "nobody")
    assert refused.exit_code == 1
    assert 'There is no service "nobody".' in refused.stderr
