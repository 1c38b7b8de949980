from __future__ import annotations

from typing import Any

import pytest

from argosy.config.models import Fleet
from argosy.contracts.embedding import EmbedResponse, TextKind
from argosy.contracts.errors import Unavailable
from argosy.contracts.generation import AnswerDelta, AnswerDone
from argosy.contracts.request import RequestContext
from argosy.services.gateway.answer.cache import AnswerCache, CachedAnswer
from tests.asgi import Answer, call
from tests.unit.gateway.fakes import Embedding, Rig
from tests.unit.gateway.stream import events_of

pytestmark = pytest.mark.unit

QUESTION = "How often does the tide turn?"


def rig_with(mode: str, **generation: str) -> Rig:
    services = {"gateway": {"answer_cache": {"mode": mode}}, "generation": generation}
    return Rig(Fleet.model_validate({"services": services}))


async def ask(rig: Rig, question: str = QUESTION, /, **fields: object) -> Answer:
    messages: list[dict[str, Any]] = [{"role": "user", "content": question}]
    return await call(rig.app, "POST", "/v1/chat/completions", json={"model": "argosy", "messages": messages} | fields)


def cache_of(answer: Answer) -> tuple[str | None, object]:
    return answer.headers.get("x-argosy-cache"), answer.json()["cached"]


async def test_the_cache_is_off_by_default(rig: Rig) -> None:
    for _ in range(2):
        assert cache_of(await ask(rig)) == (None, "")
    assert len(rig.upstream.generation.asked) == 2


async def test_the_same_question_gets_the_same_answer_and_says_that_it_is_cached() -> None:
    rig = rig_with("exact")
    first, second = await ask(rig), await ask(rig, f"  {QUESTION} ")

    assert cache_of(first) == ("miss", "")
    assert cache_of(second) == ("exact", "exact")
    for field in ("choices", "citations", "usage", "query", "answered_by", "degraded"):
        assert first.json()[field] == second.json()[field]
    assert len(rig.upstream.retrieval.asked) == 1


async def test_a_stream_fills_the_cache_and_is_served_from_it() -> None:
    rig = rig_with("exact")
    first, second = await ask(rig, stream=True), await ask(rig, stream=True)

    said = [
        "".join(event["choices"][0]["delta"].get("content", "") for event in events_of(answer)[0])
        for answer in (first, second)
    ]
    assert said[0] == said[1] == "Twice a day [1]."
    assert events_of(second)[0][-1]["cached"] == "exact"
    assert second.headers["x-argosy-cache"] == "exact"


async def test_any_change_of_the_collection_drops_its_answers() -> None:
    rig = rig_with("exact")
    await ask(rig)
    rig.upstream.store.now = "e.2"

    assert cache_of(await ask(rig)) == ("miss", "")


async def test_an_answer_is_stored_under_the_version_from_before_the_search() -> None:
    rig = rig_with("exact")
    search = rig.upstream.retrieval.search

    async def changing(request: Any, context: RequestContext) -> Any:
        rig.upstream.store.now = "e.2"
        return await search(request, context)

    rig.upstream.retrieval.search = changing  # type: ignore[method-assign]
    await ask(rig)

    assert cache_of(await ask(rig)) == ("miss", "")


@pytest.mark.parametrize(
    "other",
    [
        {"filters": {"title": "T"}},
        {"filters": {"year": {"gte": 2020}}},
        {"filters": {"or": [{"year": 2020}, {"title": "T"}]}},
        {"top_k": 3},
        {"mode": "lexical"},
        {"temperature": 0.1},
        {"seed": 4},
        {"stop": ["x"]},
        {"max_tokens": 4},
    ],
)
async def test_other_options_are_another_answer(other: dict[str, object]) -> None:
    rig = rig_with("exact")
    await ask(rig)

    assert cache_of(await ask(rig, **other))[0] == "miss"


async def test_a_conversation_is_another_question() -> None:
    rig = rig_with("semantic")
    await ask(rig)
    messages = [{"role": "user", "content": "Hello"}, {"role": "user", "content": QUESTION}]

    assert cache_of(await ask(rig, messages=messages))[0] == "miss"
    assert cache_of(await ask(rig, messages=messages))[0] == "exact"


@pytest.mark.parametrize(
    "done",
    [AnswerDone([], degraded=["embedding"]), AnswerDone([], finish_reason="length"), AnswerDone([], prompt="other")],
)
async def test_degraded_cut_and_outdated_answers_are_not_kept(done: AnswerDone) -> None:
    rig = rig_with("exact")
    rig.upstream.generation.events = [AnswerDelta("So."), done]
    await ask(rig)

    assert cache_of(await ask(rig))[0] == "miss"


async def test_without_the_collections_version_nothing_is_cached() -> None:
    rig = rig_with("exact")
    rig.upstream.store.now = None

    for _ in range(2):
        assert cache_of(await ask(rig)) == (None, "")


class Alike(Embedding):
    """Fake that gives every text the same unit vector, so that words alone decide."""

    async def embed(self, texts: Any, kind: TextKind, context: RequestContext, *, partial: bool = False) -> Any:
        if self.errors:
            raise self.errors[0]
        made = await super().embed(texts, kind, context, partial=partial)
        return EmbedResponse("m", 2, b"\x00\x00\x80?\x00\x00\x00\x00" * len(texts), made.tokens, made.truncated)


async def test_a_question_that_reads_alike_gets_the_answer_and_one_about_another_thing_does_not() -> None:
    rig = rig_with("semantic")
    rig.upstream.embedding = Alike()
    await ask(rig, "How often does the AX-100 turn?")

    assert cache_of(await ask(rig, "How often does AX-100 turn")) == ("semantic", "semantic")
    assert cache_of(await ask(rig, "How often does AX-200 turn"))[0] == "miss"


async def test_without_vectors_only_the_same_question_hits() -> None:
    rig = rig_with("semantic")
    rig.upstream.embedding = Alike()
    rig.upstream.embedding.errors = [Unavailable("Away.")]
    await ask(rig)

    assert cache_of(await ask(rig, "How often does the tide turn"))[0] == "miss"
    assert cache_of(await ask(rig))[0] == "exact"


def entry(question: str, stored_s: float = 0.0, chars: int = 100) -> CachedAnswer:
    return CachedAnswer(question, "x" * chars, AnswerDone([]), question, "question", stored_s, [1.0, 0.0])


def test_the_cache_is_bounded_in_bytes_and_the_least_used_answer_goes_first() -> None:
    size = entry("q0").size_bytes
    cache = AnswerCache(3 * size, 100.0, 0.9, lambda: 0.0)
    for n in range(3):
        cache.put("s", f"q{n}", entry(f"q{n}"))
    cache.exact("s", "q0")
    cache.put("s", "q3", entry("q3"))

    assert [cache.exact("s", f"q{n}") is not None for n in range(4)] == [True, False, True, True]
    assert cache.size_bytes <= 3 * size
    cache.put("s", "large", entry("large", chars=10_000))
    assert (len(cache), cache.exact("s", "large")) == (3, None)


def test_an_old_answer_is_dropped() -> None:
    now = [0.0]
    cache = AnswerCache(10_000, 5.0, 0.9, lambda: now[0])
    cache.put("s", "q", entry("q"))
    now[0] = 6.0

    assert cache.alike("s", "q", [1.0, 0.0]) is None
    assert (len(cache), cache.size_bytes) == (0, 0)


def test_answers_of_another_scope_are_never_alike() -> None:
    cache = AnswerCache(10_000, 5.0, 0.9, lambda: 0.0)
    cache.put("s", "q", entry("q"))

    assert cache.alike("other", "q", [1.0, 0.0]) is None
    assert cache.alike("s", "q", [1.0, 0.0]) is not None
    assert cache.alike("s", "q", [0.0, 1.0]) is None
