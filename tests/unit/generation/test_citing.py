from __future__ import annotations

import pytest

from argosy.services.generation.citing import citation
from tests.unit.generation.fakes import LIGHTS, PASSAGES

pytestmark = pytest.mark.unit


def test_the_quote_is_the_passages_text_at_its_place() -> None:
    cited = citation(2, PASSAGES[1])

    assert cited.index == 2
    assert (cited.quote, cited.start, cited.end) == (LIGHTS, 1000, 1000 + len(LIGHTS))
