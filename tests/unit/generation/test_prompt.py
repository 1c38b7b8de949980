from __future__ import annotations

import pytest

from argosy.contracts.generation import GenerateRequest
from argosy.contracts.retrieval import Passage
from argosy.contracts.store import Chunk
from argosy.services.generation.prompt import messages

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("page", "last_page", "told"),
    [(None, None, "tides.md\n"), (3, None, ", page 3\n"), (3, 3, ", page 3\n"), (3, 4, ", pages 3–4\n")],
)
def test_a_model_is_told_the_pages_of_a_passage(page: int | None, last_page: int | None, told: str) -> None:
    chunk = Chunk("c", "d", 1, 0, "tides.md", "file:tides.md", "High water.", 0, 11, page=page, last_page=last_page)
    system, _ = messages(GenerateRequest("When?", [Passage(chunk, 1.0)]))
    assert f"{told}High water." in system["content"]
