"""The public surface is the recorded one: a rename or a move must not change what callers rely on."""

from __future__ import annotations

import pytest

from tests.contract.surface import RECORDED, SURFACE

pytestmark = pytest.mark.contract


@pytest.mark.parametrize("name", SURFACE)
def test_the_public_surface_is_the_recorded_one(name: str) -> None:
    recorded = (RECORDED / name).read_text("utf-8").splitlines()
    present = SURFACE[name]().splitlines()
    lost = sorted(set(recorded) - set(present))
    added = sorted(set(present) - set(recorded))
    assert present == recorded, f"lost: {lost}; added: {added}; if this is intended, run: make surface"
