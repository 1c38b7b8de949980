from __future__ import annotations

import pytest

from tests.unit.gateway.fakes import Rig


@pytest.fixture
def rig() -> Rig:
    return Rig()
