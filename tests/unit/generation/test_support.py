from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from argosy.contracts.embedding import EmbedResponse, TextKind
from argosy.contracts.errors import Unavailable
from argosy.contracts.generation import ChatTurn, GenerateRequest
from argosy.contracts.request import RequestContext
from argosy.contracts.retrieval import Passage
from argosy.contracts.store import Chunk
from argosy.services.generation.support import SupportCheck
from tests.kits import context

pytestmark = pytest.mark.unit

TEXT = "The ferry to Ystad costs 1,200 euros a year. Children under six travel free of charge. Order part AX-100-C."
PASSAGE = Passage(Chunk("c", "d", 1, 0, "ferry.txt", "file:ferry.txt", TEXT, 0, len(TEXT), title="Prices"), 1.0)


class Embedding:
    """Fake whose statements are at the given cosine from every sentence of the passages."""

    def __init__(self, cosine: float | None) -> None:
        self._cosine = cosine
        self.asked: list[str] = []

    async def embed(self, texts: Sequence[str], kind: TextKind, context: RequestContext) -> EmbedResponse:
        if self._cosine is None:
            raise Unavailable("Away.")
        self.asked = list(texts)
        own = [self._cosine, float(np.sqrt(1 - self._cosine**2))]
        rows = np.array([[1.0, 0.0] if text in TEXT else own for text in texts], np.float32)
        return EmbedResponse("m", 2, rows.tobytes(), [3] * len(texts), [False] * len(texts))


async def unsupported(said: str, cosine: float | None = 0.0, question: str = "What does it cost?") -> list[str]:
    request = GenerateRequest(question, [PASSAGE], [ChatTurn("user", "I live in Malmo.")])
    return await SupportCheck(Embedding(cosine)).unsupported(said, [PASSAGE], request, context())


@pytest.mark.parametrize(
    "said",
    [
        "The ferry to Ystad costs 1200 euros a year [1].",
        "Children under six travel free [1].",
        "The documents do not tell.",
        "Unfortunately, no passage mentions the price of the night train to Berlin.",
        "Yes [1].",
        "Is there anything else about the harbour and its boats?",
        "From Malmo the ferry costs 1,200 euros a year [1].",
    ],
)
async def test_what_the_passages_say_is_supported(said: str) -> None:
    assert await unsupported(said) == []


@pytest.mark.parametrize(
    ("said", "cosine"),
    [
        ("The ferry to Ystad costs 1,300 euros a year.", 0.99),
        ("Order part AX-100-D for the ferry.", 0.99),
        ("The ferry to Rotterdam costs 1,200 euros a year.", 0.99),
        ("The harbour was painted green by volunteers.", 0.2),
        ("The harbour was painted green by volunteers.", None),
    ],
)
async def test_a_wrong_number_name_or_identifier_and_a_far_statement_are_named(said: str, cosine: float | None) -> None:
    assert await unsupported(f"Children under six travel free [1]. {said[:-1]} [1].", cosine) == [said]


async def test_a_rephrased_statement_is_supported_by_its_vector() -> None:
    said = "Small kids need not pay anything aboard [1]."

    assert await unsupported(said, 0.8) == []
    assert await unsupported(said, 0.3) == ["Small kids need not pay anything aboard."]


async def test_only_doubtful_statements_are_embedded() -> None:
    embedding = Embedding(0.9)
    request = GenerateRequest("What?", [PASSAGE])

    await SupportCheck(embedding).unsupported(
        "Children under six travel free of charge.", [PASSAGE], request, context()
    )

    assert embedding.asked == []
