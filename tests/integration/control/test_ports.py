"""Ports that Argosy picks itself."""

from __future__ import annotations

import pytest

from argosy.control.preflight import UNASSIGNED_PORTS, free_port

pytestmark = pytest.mark.integration


def test_a_free_port_is_none_that_the_system_may_give_to_another_process() -> None:
    """Check the port's range, because the fleet listens on the port only seconds later."""
    assert {free_port("127.0.0.1", 0, "--port") in UNASSIGNED_PORTS for _ in range(20)} == {True}
