from __future__ import annotations

import msgspec
import pytest

from argosy.contracts.errors import TooLarge, UpstreamFailed
from argosy.contracts.generation import ChatTurn, GenerateRequest
from argosy.contracts.retrieval import Passage
from argosy.contracts.store import Chunk
from argosy.services.generation.packing import pack
from argosy.services.generation.prompts import Prompts
from argosy.services.generation.token_count import EstimatedTokens, estimate

pytestmark = pytest.mark.unit

PROMPTS = Prompts.load()
RULES = estimate(PROMPTS.answer.text)


def passage(n: int, words: int = 60, page: int | None = None, last_page: int | None = None) -> Passage:
    text = " ".join([f"word{n}"] * words)
    return Passage(
        Chunk(f"c{n}", "d", 1, n, "tides.md", "file:tides.md", text, 0, len(text), page=page, last_page=last_page), 1.0
    )


@pytest.mark.parametrize(
    ("page", "last_page", "told"),
    [(None, None, "tides.md\n"), (3, None, ", page 3\n"), (3, 3, ", page 3\n"), (3, 4, ", pages 3–4\n")],
)
async def test_a_model_is_told_the_pages_of_a_passage(page: int | None, last_page: int | None, told: str) -> None:
    packed = await pack(
        PROMPTS, GenerateRequest("When?", [passage(1, page=page, last_page=last_page)]), EstimatedTokens(), 4000
    )

    assert f"{told}word1" in packed.messages[0]["content"]


async def test_passages_that_do_not_fit_are_left_out_whole_from_the_end_of_the_list() -> None:
    request = GenerateRequest("When?", [passage(n) for n in range(1, 9)])

    packed = await pack(PROMPTS, request, EstimatedTokens(), RULES + 500)

    told = packed.messages[0]["content"]
    assert 1 <= len(packed.passages) < 8
    assert packed.passages == request.passages[: len(packed.passages)]
    assert packed.left_out == 8 - len(packed.passages)
    assert all(p.chunk.text in told for p in packed.passages)
    assert f"word{len(packed.passages) + 1}" not in told
    assert sum(estimate(message["content"]) for message in packed.messages) <= RULES + 500


async def test_the_oldest_turns_are_left_out_first_and_instructions_stay() -> None:
    turns = [ChatTurn("developer", "Be kind."), *(ChatTurn("user", f"question{n} " * 30) for n in range(9))]

    packed = await pack(PROMPTS, GenerateRequest("When?", [passage(1)], turns), EstimatedTokens(), RULES + 900)

    told = [message["content"] for message in packed.messages[1:-1]]
    assert told[0] == "Be kind."
    assert "question8" in told[-1]
    assert not any("question0" in content for content in told)


async def test_earlier_turns_make_room_for_the_first_passage() -> None:
    request = GenerateRequest("When?", [passage(1)], [ChatTurn("user", "a long story " * 30)])

    packed = await pack(PROMPTS, request, EstimatedTokens(), RULES + estimate(passage(1).chunk.text) + 50)

    assert [message["role"] for message in packed.messages] == ["system", "user"]
    assert len(packed.passages) == 1


async def test_a_question_over_the_window_is_refused_and_a_passage_over_it_is_a_failure() -> None:
    with pytest.raises(TooLarge, match="context_tokens"):
        await pack(PROMPTS, GenerateRequest("when " * 4000, []), EstimatedTokens(), 1000)
    with pytest.raises(UpstreamFailed, match="context_tokens"):
        await pack(PROMPTS, GenerateRequest("When?", [passage(1, 4000)]), EstimatedTokens(), 1000)


async def test_a_placeholder_in_a_passage_stays_text() -> None:
    odd = passage(1)
    odd.chunk.text = "Write {passages} here."

    packed = await pack(PROMPTS, GenerateRequest("When?", [odd]), EstimatedTokens(), 4000)

    assert "Write {passages} here." in packed.messages[0]["content"]


def neighbours() -> list[Passage]:
    """Return two touching chunks of one section, of which the second was found first."""
    first, second = passage(1), passage(2)
    end = first.chunk.end
    second.chunk = msgspec.structs.replace(second.chunk, start=end, end=end + len(second.chunk.text))
    return [second, first]


async def test_neighbouring_chunks_are_one_passage_with_exact_offsets() -> None:
    second, first = neighbours()
    packed = await pack(PROMPTS, GenerateRequest("When?", [second, first]), EstimatedTokens(), 4000)

    [joined] = packed.passages
    assert joined.chunk.text == first.chunk.text + second.chunk.text
    assert (joined.chunk.start, joined.chunk.end) == (first.chunk.start, second.chunk.end)
    assert joined.chunk.text in packed.messages[0]["content"]


async def test_neighbours_stay_apart_when_they_do_not_fit_together() -> None:
    passages = neighbours()
    packed = await pack(PROMPTS, GenerateRequest("When?", passages), EstimatedTokens(), RULES + 200)

    assert packed.passages == passages[:1]
    assert packed.left_out == 1
