from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.contracts.embedding import TextKind
from argosy.contracts.errors import (
    DeadlineExceeded,
    Internal,
    InvalidRequest,
    Overloaded,
    TooLarge,
    Unavailable,
)
from argosy.contracts.request import Deadline, Priority, RequestContext
from argosy.contracts.vectors import Vectors
from argosy.services.embedding.backends.fake import FakeEngine
from argosy.serving.batching.batcher import Batcher
from argosy.serving.batching.cost import BatchLimits, CostModel
from argosy.serving.batching.outcome import TextTooLong
from argosy.serving.batching.plan import plan_batches
from argosy.serving.batching.queue import Computed, EmbedResult

pytestmark = pytest.mark.unit

PASSAGE = TextKind.PASSAGE


@given(st.lists(st.integers(1, 300), max_size=80), st.integers(1, 1024))
def test_every_text_is_in_exactly_one_batch_within_the_budget(lengths: list[int], budget: int) -> None:
    batches = plan_batches(lengths, lambda length: budget // length)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or max(lengths[index] for index in batch) * len(batch) <= budget


@given(st.lists(st.integers(1, 300), max_size=80), st.integers(1, 1024))
def test_no_batch_mixes_lengths_that_another_batch_lies_between(lengths: list[int], budget: int) -> None:
    planned = [lengths[index] for batch in plan_batches(lengths, lambda length: budget // length) for index in batch]
    assert planned == sorted(lengths, reverse=True)


@given(st.lists(st.integers(1, 300), max_size=80), st.integers(1, 1024))
def test_a_batch_is_closed_only_when_it_is_full(lengths: list[int], budget: int) -> None:
    for batch in plan_batches(lengths, lambda length: budget // length)[:-1]:
        assert (len(batch) + 1) * max(lengths[index] for index in batch) > budget


class GatedEngine(FakeEngine):
    """Engine that runs a batch only when allowed. `poison` in a text fails the batch; `typo` is the caller's error."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(max_tokens=20)
        self.batches: list[list[str]] = []
        self.kinds: list[TextKind] = []
        self.threads: set[str] = set()
        self.started = threading.Semaphore(0)
        self.allowed = threading.Semaphore(0)
        self._clock = clock

    def full_lengths(self, texts: Sequence[str], kind: TextKind) -> list[int]:
        self.threads.add(threading.current_thread().name)
        if any("unreadable" in text for text in texts):
            raise InvalidRequest("not text")
        return super().full_lengths(texts, kind)

    def embed(self, texts: Sequence[str], kind: TextKind, deadline: Deadline | None = None) -> Vectors:
        self.threads.add(threading.current_thread().name)
        self.batches.append(list(texts))
        self.kinds.append(kind)
        self.started.release()
        assert self.allowed.acquire(timeout=20)
        self._clock.now_s += 0.5 * len(texts)
        if any("poison" in text for text in texts):
            raise RuntimeError("boom")
        if any("typo" in text for text in texts):
            raise InvalidRequest("a typo")
        return super().embed(texts, kind)

    def allow(self, batches: int = 1000) -> None:
        self.allowed.release(batches)

    async def running(self) -> None:
        """Wait until another batch has begun."""
        assert await asyncio.to_thread(self.started.acquire, timeout=20)


class FakeClock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def engine(clock: FakeClock) -> GatedEngine:
    return GatedEngine(clock)


@pytest.fixture
async def batcher(engine: GatedEngine, clock: FakeClock) -> AsyncIterator[Batcher]:
    batcher = Batcher(engine, limits=BatchLimits(tokens=20, seconds=inf), max_queue_texts=10, clock=clock)
    yield batcher
    engine.allow()
    await batcher.close()


Ask = Callable[..., "asyncio.Task[EmbedResult]"]


@pytest.fixture
def ask(batcher: Batcher, clock: FakeClock) -> Ask:
    """Return a function that starts a request, by default with a deadline of one minute."""

    def start(
        *texts: str,
        priority: Priority = Priority.INTERACTIVE,
        kind: TextKind = PASSAGE,
        within_s: float = 60.0,
        keyed: bool = False,
    ) -> asyncio.Task[EmbedResult]:
        context = RequestContext("r", Deadline.after(within_s, clock), priority)
        keys = [text.encode() for text in texts] if keyed else None
        return asyncio.create_task(batcher.embed(texts, kind, context, keys=keys))

    return start


async def settled(condition: Callable[[], bool]) -> None:
    """Run the event loop until the condition holds."""
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0)
    pytest.fail("the condition never held")


async def test_results_stand_in_the_order_of_the_texts(engine: GatedEngine, ask: Ask) -> None:
    engine.allow()
    texts = ["one two three four five six", "one", "three four " * 20, "", "seven " * 18]
    result = await ask(*texts)
    assert np.array_equal(result.vectors, FakeEngine(max_tokens=20).embed(texts, PASSAGE))
    assert result.tokens == [8, 3, 20, 2, 20]
    assert result.truncated == [False, False, True, False, False]


async def test_nothing_asked_is_nothing_run(engine: GatedEngine, ask: Ask) -> None:
    result = await ask()
    assert result.vectors.shape == (0, engine.info.dimensions)
    assert engine.batches == []


async def test_batches_stay_within_the_token_budget(engine: GatedEngine, ask: Ask) -> None:
    engine.allow()
    await ask("a b c", "a", "a b c d", "a b", "a b c", "a")
    for batch in engine.batches:
        lengths = FakeEngine().count_tokens(batch, PASSAGE)
        assert max(lengths) * len(lengths) <= 20


async def test_callers_that_wait_together_share_a_batch(engine: GatedEngine, ask: Ask, batcher: Batcher) -> None:
    first = ask("first")
    await engine.running()
    others = [ask("second"), ask("third")]
    await settled(lambda: batcher.queued == 2)
    engine.allow()
    await asyncio.gather(first, *others)
    assert sorted(map(sorted, engine.batches)) == [["first"], ["second", "third"]]


async def test_queries_and_passages_never_share_a_batch(engine: GatedEngine, ask: Ask, batcher: Batcher) -> None:
    first = ask("first")
    await engine.running()
    others = [ask("second", kind=TextKind.QUERY), ask("third"), ask("fourth", kind=TextKind.QUERY)]
    await settled(lambda: batcher.queued == 3)
    engine.allow()
    await asyncio.gather(first, *others)
    assert sorted(zip(engine.kinds, map(sorted, engine.batches), strict=True))[-1] == (
        TextKind.QUERY,
        ["fourth", "second"],
    )


async def test_a_query_waits_for_at_most_the_one_batch_that_runs(engine: GatedEngine, ask: Ask) -> None:
    bulk = ask(*(f"{number} " * 9 for number in range(8)), priority=Priority.BULK)
    await engine.running()
    query = ask("query")
    engine.allow(1)
    await engine.running()
    assert engine.batches[1] == ["query"]
    engine.allow(1)
    await query
    assert not bulk.done()
    engine.allow()
    assert (await bulk).vectors.shape[0] == 8


async def test_the_oldest_text_is_in_the_next_batch_however_short_it_is(
    engine: GatedEngine, ask: Ask, batcher: Batcher
) -> None:
    first = ask("first")
    await engine.running()
    short = ask("short")
    await settled(lambda: batcher.queued == 1)
    long = [ask(f"{number} " * 17) for number in range(4)]
    await settled(lambda: batcher.queued == 5)
    engine.allow()
    await asyncio.gather(first, short, *long)
    assert engine.batches[1] == ["short"]


async def test_the_engine_is_called_from_a_thread_of_its_own(engine: GatedEngine, ask: Ask) -> None:
    engine.allow()
    await asyncio.gather(*(ask(f"text {number}") for number in range(5)))
    assert engine.threads == {"engine_0"}


async def test_a_full_queue_refuses_and_says_when_to_come_back(engine: GatedEngine, ask: Ask, batcher: Batcher) -> None:
    running = ask("first")
    await engine.running()
    waiting = ask(*"abcdefgh")
    await settled(lambda: batcher.queued == 8)
    with pytest.raises(Overloaded) as caught:
        await ask("x", "y", "z")
    assert caught.value.retry_after_s == 1.0
    assert batcher.queued == 8
    engine.allow(1)
    await running
    await engine.running()
    more = ask(*"ijklmn")
    await settled(lambda: batcher.queued == 8)
    with pytest.raises(Overloaded) as caught:
        await ask(*"opqrst")
    assert caught.value.retry_after_s == pytest.approx(4 * 0.5)
    engine.allow()
    await asyncio.gather(waiting, more)
    assert batcher.queued == 0


async def test_bulk_work_that_fills_its_queue_shuts_no_query_out(
    engine: GatedEngine, ask: Ask, batcher: Batcher
) -> None:
    first = ask("first")
    await engine.running()
    bulk = ask(*"abcdefghij", priority=Priority.BULK)
    await settled(lambda: batcher.queued == 10)
    with pytest.raises(Overloaded):
        await ask("more", priority=Priority.BULK)
    query = ask("query")
    await settled(lambda: batcher.queued == 11)
    engine.allow()
    await asyncio.gather(first, bulk, query)


async def test_a_request_that_can_never_fit_is_not_told_to_come_back(ask: Ask) -> None:
    with pytest.raises(TooLarge, match="11 texts in one request; the limit is 10"):
        await ask(*"abcdefghijk")


async def test_work_whose_deadline_passed_is_dropped_before_it_costs(
    engine: GatedEngine, ask: Ask, clock: FakeClock
) -> None:
    first = ask("first")
    await engine.running()
    late = ask("late", within_s=0.25)
    with pytest.raises(DeadlineExceeded):
        await ask("too late", within_s=0)  # the request is refused at once although the engine is busy
    engine.allow()
    with pytest.raises(DeadlineExceeded):
        await late
    await first
    assert engine.batches == [["first"]]


async def test_work_whose_caller_left_is_dropped_before_it_costs(
    engine: GatedEngine, ask: Ask, batcher: Batcher
) -> None:
    first, gone, kept = ask("first"), ask("gone"), ask("kept")
    await engine.running()
    left = ask("left", priority=Priority.BULK)
    await settled(lambda: batcher.queued == 1)
    left.cancel()
    await asyncio.wait([left])
    assert batcher.queued == 0
    gone.cancel()
    engine.allow()
    await asyncio.gather(first, kept)
    assert len(engine.batches) == 1


async def test_the_rest_of_a_bulk_request_is_dropped_with_its_caller(engine: GatedEngine, ask: Ask) -> None:
    bulk = ask(*(f"{number} " * 17 for number in range(5)), priority=Priority.BULK)
    await engine.running()
    bulk.cancel()
    await asyncio.wait([bulk])
    engine.allow()
    await ask("next")
    assert [len(batch) for batch in engine.batches] == [1, 1]


@pytest.mark.parametrize(
    ("bad", "expected"), [("poison", Internal), ("typo", InvalidRequest), ("unreadable", InvalidRequest)]
)
async def test_a_bad_text_fails_alone(
    engine: GatedEngine, ask: Ask, batcher: Batcher, bad: str, expected: type[Exception]
) -> None:
    first = ask("first")
    await engine.running()
    good, poisoned, also_good = ask("good", "fine"), ask(bad), ask("better")
    await settled(lambda: batcher.queued == 4)
    engine.allow()
    with pytest.raises(expected) as caught:
        await poisoned
    assert "boom" not in str(caught.value)
    assert (await good).tokens == [3, 3]
    assert np.array_equal((await also_good).vectors, FakeEngine().embed(["better"], PASSAGE))
    await first


async def test_a_query_goes_before_the_retries_of_a_failed_bulk_batch(engine: GatedEngine, ask: Ask) -> None:
    bulk = ask("poison", "one", "two", priority=Priority.BULK)
    await engine.running()
    query = ask("query")
    engine.allow(2)
    await query
    assert engine.batches[1] == ["query"]
    engine.allow()
    with pytest.raises(Internal):
        await bulk


async def test_closing_lets_the_running_batch_end_and_refuses_the_rest(
    engine: GatedEngine, ask: Ask, batcher: Batcher
) -> None:
    first = ask("first")
    await engine.running()
    second = ask("second")
    await settled(lambda: batcher.queued == 1)
    closing = asyncio.create_task(batcher.close())
    with pytest.raises(Unavailable):
        await second
    engine.allow()
    await closing
    with pytest.raises(Unavailable):
        await first
    with pytest.raises(Unavailable):
        await ask("third")


async def test_an_engine_that_breaks_its_contract_hangs_nobody() -> None:
    class Short(FakeEngine):
        def embed(self, texts: Sequence[str], kind: TextKind, deadline: Deadline | None = None) -> Vectors:
            return super().embed(texts[:-1], kind)

    batcher = Batcher(Short(), max_queue_texts=10)
    with pytest.raises(Internal):
        await batcher.embed(["a", "b"], PASSAGE, RequestContext("r", Deadline.after(60)))
    await batcher.close()


async def test_as_many_batches_run_at_once_as_there_are_workers(engine: GatedEngine, clock: FakeClock) -> None:
    batcher = Batcher(engine, limits=BatchLimits(tokens=8, seconds=inf), max_queue_texts=100, workers=2, clock=clock)
    long = RequestContext("r", Deadline.after(60, clock), Priority.BULK)
    bulk = asyncio.create_task(batcher.embed(["a b c d e f"] * 3, PASSAGE, long))
    await engine.running()
    await engine.running()
    query = asyncio.create_task(batcher.embed(["who"], PASSAGE, RequestContext("q", Deadline.after(60, clock))))
    await settled(lambda: batcher.queued == 2)
    assert len(engine.batches) == 2
    engine.allow(1)
    await engine.running()
    assert engine.batches[2] == ["who"]
    engine.allow()
    assert (await query).tokens == [3]
    assert (await bulk).tokens == [8, 8, 8]
    assert len(engine.threads) >= 2
    await batcher.close()


async def measured(engine: GatedEngine, ask: Ask) -> None:
    """Run one batch, from which the batcher learns that a text of three tokens takes half a second."""
    engine.allow(1)
    await ask("measured")
    await engine.running()


async def test_a_text_that_two_ask_for_is_run_once_for_both(engine: GatedEngine, ask: Ask, batcher: Batcher) -> None:
    first = ask("first")
    await engine.running()
    one, other = ask("same", "a", keyed=True), ask("b", "same", keyed=True)
    await settled(lambda: batcher.queued == 3)
    engine.allow()
    both = await asyncio.gather(one, other)
    assert sorted(text for batch in engine.batches[1:] for text in batch) == ["a", "b", "same"]
    assert np.array_equal(both[0].vectors[0], both[1].vectors[1])
    await first


async def test_who_asks_while_it_runs_gets_what_comes(engine: GatedEngine, ask: Ask) -> None:
    one = ask("same", keyed=True)
    await engine.running()
    other = ask("same", keyed=True)
    await asyncio.sleep(0)
    engine.allow()
    assert np.array_equal((await one).vectors, (await other).vectors)
    assert engine.batches == [["same"]]


@pytest.mark.parametrize("running", [True, False])
async def test_the_one_who_leaves_takes_nothing_from_the_other(
    engine: GatedEngine, ask: Ask, batcher: Batcher, running: bool
) -> None:
    first = None if running else ask("first")
    if first is not None:
        await engine.running()
    one = ask("same", keyed=True)
    await settled(lambda: batcher.queued == 1)
    if running:
        await engine.running()
    other = ask("same", keyed=True)
    await asyncio.sleep(0)
    one.cancel()
    await asyncio.wait([one])
    engine.allow()
    assert (await other).tokens == [3]
    assert [text for batch in engine.batches for text in batch].count("same") == 1
    if first is not None:
        await first


async def test_the_deadline_of_one_is_not_the_others(
    engine: GatedEngine, ask: Ask, batcher: Batcher, clock: FakeClock
) -> None:
    first = ask("first")
    await engine.running()
    hurried, patient = ask("same", keyed=True, within_s=0.25), ask("same", keyed=True)
    await settled(lambda: batcher.queued == 1)
    engine.allow()
    with pytest.raises(DeadlineExceeded):
        await hurried
    assert (await patient).tokens == [3]
    await first


async def test_after_it_is_done_the_same_text_is_run_anew(engine: GatedEngine, ask: Ask) -> None:
    engine.allow()
    await ask("same", keyed=True)
    await ask("same", keyed=True)
    assert engine.batches == [["same"], ["same"]]


async def test_a_query_for_what_waits_as_bulk_work_takes_it_to_the_front(
    engine: GatedEngine, ask: Ask, batcher: Batcher
) -> None:
    first = ask("first")
    await engine.running()
    bulk = ask("w " * 17, "x " * 17, priority=Priority.BULK)
    await settled(lambda: batcher.queued == 2)
    shared = ask("same", priority=Priority.BULK, keyed=True)
    await settled(lambda: batcher.queued == 3)
    query = ask("same", keyed=True)
    engine.allow(2)
    await asyncio.gather(first, query, shared)
    assert engine.batches[1] == ["same"]
    engine.allow()
    await bulk


async def test_results_are_told_even_when_nobody_waits_for_them(engine: GatedEngine, clock: FakeClock) -> None:
    told: list[Computed] = []
    batcher = Batcher(engine, max_queue_texts=10, clock=clock, computed=told.extend)
    context = RequestContext("r", Deadline.after(60, clock))
    asked = asyncio.create_task(batcher.embed(["text", "other"], PASSAGE, context, keys=[b"k", b"l"]))
    await engine.running()
    asked.cancel()
    await asyncio.wait([asked])
    engine.allow()
    await batcher.close()
    assert [(result.key, result.tokens, result.seconds) for result in told] == [(b"k", 3, 0.5), (b"l", 3, 0.5)]


async def test_queries_that_keep_the_engine_busy_leave_bulk_work_its_share(
    engine: GatedEngine, ask: Ask, batcher: Batcher
) -> None:
    waiting = [ask("first query")]
    await engine.running()
    bulk = ask(*(f"{n} " * 17 for n in range(3)), priority=Priority.BULK)
    waiting += [ask(f"query {n}") for n in range(3)]
    await settled(lambda: batcher.queued == 6)
    for n in range(3, 90):
        engine.allow(1)
        await engine.running()
        waiting.append(ask(f"query {n}"))
        await asyncio.sleep(0)
    kinds = ["bulk" if "query" not in batch[0] else "query" for batch in engine.batches[1:]]
    assert 2 <= kinds.count("bulk") <= len(kinds) / 5
    engine.allow()
    await bulk
    await asyncio.gather(*waiting)


async def test_a_text_that_can_no_longer_be_done_in_time_is_dropped_before_it_costs(
    engine: GatedEngine, ask: Ask, batcher: Batcher, clock: FakeClock
) -> None:
    await measured(engine, ask)
    first = ask("first")
    await engine.running()
    hopeless, fine = ask("hopeless", within_s=0.6), ask("fine", within_s=10.0)
    await settled(lambda: batcher.queued == 2)
    engine.allow()
    with pytest.raises(DeadlineExceeded):
        await hopeless
    await asyncio.gather(first, fine)
    assert ["hopeless"] not in engine.batches
    assert ["fine"] in engine.batches


async def test_what_the_queue_cannot_reach_in_time_is_refused_at_once(
    engine: GatedEngine, ask: Ask, batcher: Batcher
) -> None:
    await measured(engine, ask)
    running = ask("first")
    await engine.running()
    waiting = ask(*"abcdefgh")
    await settled(lambda: batcher.queued == 8)
    with pytest.raises(DeadlineExceeded) as caught:
        await ask("late", within_s=3.0)
    assert caught.value.retry_after_s == pytest.approx(8 * 0.5)
    engine.allow()
    await asyncio.gather(running, waiting)


async def test_a_long_text_is_refused_without_being_run_where_it_is_to_be(
    engine: GatedEngine, clock: FakeClock
) -> None:
    batcher = Batcher(engine, max_queue_texts=10, refuse_long=True, clock=clock)
    engine.allow()
    context = RequestContext("r", Deadline.after(60, clock))
    result = await batcher.embed(["fits", "a " * 30], PASSAGE, context, partial=True)
    assert isinstance(result.errors[1], TextTooLong)
    assert "32 tokens, the limit is 20" in str(result.errors[1])
    assert engine.batches == [["fits"]]
    await batcher.close()


async def test_an_engine_that_cannot_be_reached_fails_all_at_once(clock: FakeClock) -> None:
    class Away(FakeEngine):
        calls = 0

        def embed(self, texts: Sequence[str], kind: TextKind, deadline: Deadline | None = None) -> Vectors:
            self.calls += 1
            raise Overloaded("too many", retry_after_s=7)

    engine = Away()
    batcher = Batcher(engine, max_queue_texts=10, clock=clock)
    with pytest.raises(Overloaded) as caught:
        await batcher.embed(["a", "b", "c"], PASSAGE, RequestContext("r", Deadline.after(60, clock)), partial=True)
    assert caught.value.retry_after_s == 7
    assert engine.calls == 1
    await batcher.close()


async def test_who_joined_late_is_served_when_the_engine_gave_up_for_the_first(clock: FakeClock) -> None:
    """The engine gets the deadline of the callers that waited when its call began."""
    began, go_on = threading.Event(), threading.Event()

    class Remote(FakeEngine):
        def embed(self, texts: Sequence[str], kind: TextKind, deadline: Deadline | None = None) -> Vectors:
            began.set()
            assert go_on.wait(20)
            if deadline is not None and deadline.remaining_s() <= 0:
                raise DeadlineExceeded("gave up")
            return super().embed(texts, kind)

    batcher = Batcher(Remote(), max_queue_texts=10, clock=clock)

    def ask(within_s: float) -> asyncio.Task[EmbedResult]:
        context = RequestContext("r", Deadline.after(within_s, clock))
        return asyncio.create_task(batcher.embed(["same"], PASSAGE, context, keys=[b"same"]))

    hurried = ask(1.0)
    assert await asyncio.to_thread(began.wait, 20)
    patient = ask(60.0)
    await asyncio.sleep(0)
    clock.now_s += 2.0
    go_on.set()
    with pytest.raises(DeadlineExceeded):
        await hurried
    assert (await patient).vectors.shape == (1, 64)
    await batcher.close()


@given(
    per_token_s=st.floats(1e-5, 1e-2),
    per_square_s=st.floats(0, 1e-5),
    batches=st.lists(st.tuples(st.integers(1, 32), st.integers(3, 512)), min_size=20, max_size=60),
)
def test_the_size_of_a_batch_follows_from_what_batches_cost(
    per_token_s: float, per_square_s: float, batches: list[tuple[int, int]]
) -> None:
    limits = BatchLimits(tokens=4096, texts=32, seconds=0.1)
    model = CostModel(limits)

    def cost(texts: int, longest: int) -> float:
        return texts * (per_token_s * longest + per_square_s * longest**2)

    for texts, longest in batches:
        model.learn(texts, longest, cost(texts, longest))
    for longest in {longest for _, longest in batches[-1:]}:
        taken = model.capacity(longest)
        assert 1 <= taken <= 32
        assert taken == 1 or taken * longest <= 4096
        assert taken == 1 or cost(taken, longest) <= 0.1 * 1.25
        assert taken == 32 or (taken + 1) * longest > 4096 or cost(taken + 1, longest) > 0.1 / 1.25


def test_the_first_batches_are_as_large_as_the_settings_allow() -> None:
    model = CostModel(BatchLimits(tokens=512, texts=16, seconds=0.1))
    assert [model.capacity(length) for length in (4, 64, 512, 1000)] == [16, 8, 1, 1]


def test_one_batch_that_the_host_held_up_does_not_shrink_those_after_it() -> None:
    model = CostModel(BatchLimits(tokens=4096, texts=32, seconds=0.1))
    for _ in range(20):
        model.learn(4, 100, 0.04)
    before = model.capacity(100)
    model.learn(4, 100, 30.0)
    assert model.capacity(100) >= before / 2
    for _ in range(60):
        model.learn(4, 100, 0.4)  # a host that stays slow is no outlier
    assert model.capacity(100) == 1


def test_work_that_is_done_elsewhere_is_bounded_by_count_alone() -> None:
    model = CostModel(BatchLimits(tokens=100_000, texts=32, seconds=inf))
    model.learn(32, 100, 5.0)
    assert model.capacity(100) == 32


async def test_a_bug_that_shows_at_every_look_leaves_the_event_loop_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0

    def broken(self: object) -> Priority:
        nonlocal looks
        looks += 1
        raise KeyError

    monkeypatch.setattr("argosy.serving.batching.queue.WorkQueue.turn", broken)
    batcher = Batcher(FakeEngine(), max_queue_texts=8)
    context = RequestContext("test", Deadline.after(30), Priority.BULK)
    with pytest.raises(Internal):
        await batcher.embed(["tide"], PASSAGE, context)
    for _ in range(200):
        await asyncio.sleep(0)
    assert looks < 10
    with pytest.raises(Internal):
        await batcher.embed(["tide"], PASSAGE, context)
    await batcher.close()
