from __future__ import annotations

import pytest

from argosy.text.rarity import idf

pytestmark = pytest.mark.unit


def test_a_rarer_term_weighs_more_and_every_weight_is_positive() -> None:
    assert idf(1, 3) > idf(3, 3) > 0
