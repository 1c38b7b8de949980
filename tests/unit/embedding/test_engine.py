from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace
from math import inf

import numpy as np
import pytest

from argosy.contracts.embedding import MAX_TEXT_CHARS, EmbedRequest, EmbedResponse, Spans, TextKind
from argosy.contracts.errors import Internal, InvalidRequest
from argosy.contracts.request import Deadline, RequestContext
from argosy.contracts.vectors import Vectors, matrix
from argosy.services.embedding.backends.fake import FakeEngine
from argosy.services.embedding.cache.entry import CachedVector, Hit, Level
from argosy.services.embedding.engine import Embedder, LongTexts, keep_in
from argosy.serving.batching.batcher import Batcher
from argosy.serving.batching.cost import BatchLimits

pytestmark = pytest.mark.unit

PASSAGE = TextKind.PASSAGE


class Remembering:
    """Cache without bounds."""

    def __init__(self) -> None:
        self.held: dict[bytes, CachedVector] = {}

    def key(self, text: str, kind: TextKind, spans: Spans = ()) -> bytes:
        return (f"{kind}:{text}" + (f":{[*spans]}" if spans else "")).encode()

    async def lookup(self, keys: Sequence[bytes]) -> list[Hit | None]:
        return [Hit(self.held[key], Level.MEMORY) if key in self.held else None for key in keys]

    def store(self, items: Iterable[tuple[bytes, CachedVector]]) -> None:
        self.held.update((key, replace(value, vector=value.vector.copy())) for key, value in items)


class Counting(FakeEngine):
    """Engine that fails on texts with `poison` and gives unusable vectors for `void` and `wild`."""

    def __init__(self) -> None:
        super().__init__(max_tokens=10)
        self.embedded: list[str] = []

    def embed(self, texts: Sequence[str], kind: TextKind, deadline: Deadline | None = None) -> Vectors:
        self.embedded.extend(texts)
        if any("poison" in text for text in texts):
            raise RuntimeError("boom")
        vectors = super().embed(texts, kind)
        for row, text in enumerate(texts):
            if "void" in text:
                vectors[row] = 0
            if "wild" in text:
                vectors[row, 0] = np.nan
        return vectors


class Rig:
    def __init__(self, long_texts: LongTexts) -> None:
        self.engine = Counting()
        self.cache = Remembering()
        self.batcher = Batcher(
            self.engine,
            limits=BatchLimits(tokens=100, seconds=inf),
            max_queue_texts=100,
            refuse_long=long_texts != "truncate",
            computed=keep_in(self.cache),
        )
        self.embedder = Embedder(self.engine, self.batcher, self.cache, long_texts)

    async def embed(self, *texts: str, partial: bool = False, kind: TextKind = PASSAGE) -> Answer:
        response = await self.embedder.embed(
            EmbedRequest(list(texts), kind, partial), RequestContext("r", Deadline.after(20))
        )
        failures = {failure.index: failure.message for failure in response.failures}
        return Answer(matrix(response), response.tokens, response.truncated, response.hits, failures)


class Answer:
    def __init__(
        self, vectors: Vectors, tokens: list[int], truncated: list[bool], hits: int, failures: dict[int, str]
    ) -> None:
        self.vectors, self.tokens, self.truncated, self.hits, self.failures = vectors, tokens, truncated, hits, failures


@pytest.fixture
async def make_rig() -> AsyncIterator[type[Rig]]:
    made: list[Rig] = []

    class Tracked(Rig):
        def __init__(self, long_texts: LongTexts = "truncate") -> None:
            super().__init__(long_texts)
            made.append(self)

    yield Tracked
    for rig in made:
        await rig.batcher.close()


@pytest.fixture
def rig(make_rig: type[Rig]) -> Rig:
    return make_rig("truncate")


def plain(*texts: str) -> Vectors:
    return FakeEngine(max_tokens=10).embed(texts, PASSAGE)


async def test_what_was_embedded_once_is_not_embedded_again(rig: Rig) -> None:
    first = await rig.embed("low tide", "high tide")
    second = await rig.embed("high tide", "new", "low tide")
    assert (first.hits, second.hits) == (0, 2)
    assert sorted(rig.engine.embedded) == ["high tide", "low tide", "new"]
    assert np.array_equal(second.vectors, plain("high tide", "new", "low tide"))
    assert second.tokens == [4, 3, 4]


async def test_queries_and_passages_do_not_share_what_is_kept(rig: Rig) -> None:
    await rig.embed("tide")
    assert (await rig.embed("tide", kind=TextKind.QUERY)).hits == 0


async def test_a_hit_says_what_the_miss_said(rig: Rig) -> None:
    missed = await rig.embed("a " * 30)
    hit = await rig.embed("a " * 30)
    assert hit.hits == 1
    assert (hit.tokens, hit.truncated) == (missed.tokens, missed.truncated) == ([10], [True])


async def test_a_text_that_stands_twice_in_a_request_is_embedded_once(rig: Rig) -> None:
    answer = await rig.embed("same", "other", "same")
    assert sorted(rig.engine.embedded) == ["other", "same"]
    assert np.array_equal(answer.vectors, plain("same", "other", "same"))


async def test_callers_that_ask_for_the_same_at_once_share_one_computation(rig: Rig) -> None:
    answers = await asyncio.gather(*(rig.embed("same", "same too") for _ in range(10)))
    assert sorted(rig.engine.embedded) == ["same", "same too"]
    assert all(np.array_equal(answer.vectors, plain("same", "same too")) for answer in answers)


async def test_a_bad_text_names_its_place_among_the_texts_of_the_request(rig: Rig) -> None:
    await rig.embed("known")
    with pytest.raises(Internal, match="text at position 2 ") as caught:
        await rig.embed("known", "good", "poison", "fine")
    assert caught.value.param == "texts[2]"
    assert (await rig.embed("good", "fine")).hits == 2  # the work was not lost with the request


async def test_of_a_request_that_takes_parts_only_the_bad_text_fails(rig: Rig) -> None:
    await rig.embed("known")
    answer = await rig.embed("poison", "known", "good", partial=True)
    assert list(answer.failures) == [0]
    assert np.array_equal(answer.vectors, plain("known", "good"))
    assert answer.tokens == [0, 3, 3]
    assert "boom" not in answer.failures[0]


@pytest.mark.parametrize("bad", ["void", "wild"])
async def test_what_is_no_vector_never_leaves_and_is_never_kept(rig: Rig, bad: str) -> None:
    answer = await rig.embed("good", bad, partial=True)
    assert "no usable vector" in answer.failures[1]
    assert np.array_equal(answer.vectors, plain("good"))
    for _ in range(2):
        with pytest.raises(Internal, match="position 0"):
            await rig.embed(bad)
    assert list(rig.cache.held) == [b"passage:good"]


async def test_long_texts_are_refused_where_they_are_to_be(make_rig: type[Rig]) -> None:
    rig = make_rig("refuse")
    with pytest.raises(InvalidRequest, match=r"position 1 .* has 14 tokens, the limit is 10") as caught:
        await rig.embed("short", "a b c d e f g h i j k l")
    assert caught.value.param == "texts[1]"
    assert rig.engine.embedded == ["short"]


async def test_what_was_kept_of_a_cut_text_is_refused_as_well(make_rig: type[Rig]) -> None:
    rig = make_rig("refuse")
    rig.cache.held[rig.cache.key("long", PASSAGE)] = CachedVector(plain("long")[0], 10, truncated=True)
    with pytest.raises(InvalidRequest, match=r"position 1 .* limit of 10 tokens"):
        await rig.embed("short", "long")


async def test_long_texts_are_split_and_their_parts_averaged_by_tokens(make_rig: type[Rig]) -> None:
    rig = make_rig("split")
    long = "a b c d e f g h i j k l"
    answer = await rig.embed("short", long)
    windows = rig.engine.windows(long, PASSAGE)
    assert [len(window.split()) for window in windows] == [8, 4]
    mean = np.average(plain(*windows), axis=0, weights=[10, 6])
    np.testing.assert_allclose(answer.vectors[1], mean / np.linalg.norm(mean), atol=1e-6)
    assert answer.tokens == [3, 16]
    assert answer.truncated == [False, False]
    embedded = len(rig.engine.embedded)
    again = await rig.embed(long)
    assert (again.hits, len(rig.engine.embedded)) == (1, embedded)
    assert np.array_equal(again.vectors[0], answer.vectors[1])


async def test_a_long_text_with_a_bad_part_fails_and_others_do_not(make_rig: type[Rig]) -> None:
    rig = make_rig("split")
    bad, good = "a b c d e f g h poison", "z y x w v u t s r q"
    answer = await rig.embed(bad, good, "short", partial=True)
    assert list(answer.failures) == [0]
    assert answer.vectors.shape[0] == 2
    assert np.array_equal(answer.vectors[1:], plain("short"))


@pytest.mark.parametrize(
    ("texts", "param", "says"),
    [
        ([], "texts", "at least one"),
        (["a"] * 2049, "texts", "2048"),
        (["a", " \n"], "texts[1]", "empty"),
        (["a" * (MAX_TEXT_CHARS + 1)], "texts[0]", "200000"),
    ],
)
async def test_what_cannot_be_embedded_is_refused_before_anything_is(
    rig: Rig, texts: list[str], param: str, says: str
) -> None:
    with pytest.raises(InvalidRequest, match=says) as caught:
        await rig.embed(*texts)
    assert caught.value.param == param
    assert rig.engine.embedded == []


SPANS = [[(0, 3), (4, 8)], []]


async def spans_of(rig: Rig, texts: list[str], spans: list[list[tuple[int, int]]]) -> EmbedResponse:
    request = EmbedRequest(texts, PASSAGE, spans=spans)
    return await rig.embedder.embed(request, RequestContext("r", Deadline.after(20)))


def rows(packed: bytes) -> Vectors:
    found = np.frombuffer(packed, np.int8).reshape(-1, FakeEngine().info.dimensions).astype(np.float32)
    unit: Vectors = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)
    return unit


async def test_parts_of_texts_have_their_own_vectors_also_from_the_cache(rig: Rig) -> None:
    first = await spans_of(rig, ["low tide", "gate"], SPANS)
    again = await spans_of(rig, ["low tide", "gate"], SPANS)
    assert (first.hits, again.hits) == (0, 2)
    for response in (first, again):
        assert np.allclose(matrix(response), plain("low tide", "gate"), atol=1e-6)
        assert response.spans[1] == b""
        assert np.allclose(rows(response.spans[0]), plain("low", "tide"), atol=0.01)


async def test_a_text_with_parts_and_the_same_text_alone_are_two_entries(rig: Rig) -> None:
    await rig.embed("low tide")
    parted = await spans_of(rig, ["low tide"], [[(0, 3)]])
    assert (parted.hits, len(rows(parted.spans[0]))) == (0, 1)
    other = await spans_of(rig, ["low tide"], [[(4, 8)]])
    assert other.hits == 0
    assert np.allclose(rows(other.spans[0]), plain("tide"), atol=0.01)
    alone = await rig.embed("low tide")
    assert alone.hits == 1
    assert np.array_equal(alone.vectors, plain("low tide"))


async def test_a_split_text_has_a_vector_and_none_of_its_parts(make_rig: Callable[[LongTexts], Rig]) -> None:
    rig = make_rig("split")
    long = "tide " * 40
    for _ in range(2):
        response = await spans_of(rig, [long], [[(0, 4)]])
        assert response.vectors
        assert not any(response.spans[0])


@pytest.mark.parametrize(
    ("spans", "param"),
    [([[]], "spans"), ([[], [(0, 5)]], "spans[1]"), ([[(-1, 2)], []], "spans[0]"), ([[(2, 1)], []], "spans[0]")],
)
async def test_wrong_parts_are_refused_by_name(rig: Rig, spans: list[list[tuple[int, int]]], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await spans_of(rig, ["tide", "gate"], spans)
    assert refused.value.param == param
