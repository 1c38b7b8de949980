from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.contracts.errors import DeadlineExceeded, Internal, Overloaded
from argosy.contracts.request import Deadline, RequestContext
from argosy.models.pairs import PairTokens
from argosy.services.retrieval.reranking.local import LocalReranker, batches_of
from argosy.services.retrieval.reranking.reranker import BoundedReranker

pytestmark = pytest.mark.unit


class Model:
    """Fake model: a text's score is its number of words over 1000. It notes batches and the calls at once."""

    name = "fake"

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.threads: set[int] = set()
        self.release = threading.Event()
        self.release.set()
        self.begun = threading.Event()
        self.error: Exception | None = None
        self.at_once = 0
        self.most_at_once = 0
        self._lock = threading.Lock()

    def read(self, query: str, passages: Sequence[str]) -> list[PairTokens]:
        return [PairTokens([1] * len(passage.split()), [0] * len(passage.split()), False) for passage in passages]

    def scores(self, pairs: Sequence[PairTokens]) -> list[float]:
        with self._lock:
            self.batches.append([len(pair.ids) for pair in pairs])
            self.threads.add(threading.get_ident())
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        self.begun.set()
        self.release.wait(10)
        with self._lock:
            self.at_once -= 1
        if self.error is not None:
            raise self.error
        return [len(pair.ids) / 1000 for pair in pairs]


def context(seconds: float = 30.0) -> RequestContext:
    return RequestContext("r1", Deadline.after(seconds))


async def test_each_text_gets_its_score_in_the_order_of_the_texts() -> None:
    model = Model()
    reranker = LocalReranker(model, threads=2, max_batch_tokens=20)
    texts = ["w " * words for words in (3, 90, 1, 8, 7, 5, 12)]

    found = await reranker.scores("q", texts, context())
    await reranker.close()

    assert found.scores == [0.003, 0.09, 0.001, 0.008, 0.007, 0.005, 0.012]
    assert found.tokens == 126
    assert threading.get_ident() not in model.threads
    assert sorted(model.batches, reverse=True) == [[90], [12], [8, 7], [5, 3, 1]]


@given(st.lists(st.integers(1, 400), max_size=60), st.integers(16, 1024))
def test_batches_hold_every_text_once_within_the_budget(lengths: list[int], most: int) -> None:
    batches = list(batches_of(lengths, most))

    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert all(len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= most for batch in batches)
    longest = [lengths[batch[0]] for batch in batches]
    assert longest == sorted(longest, reverse=True)


async def test_no_more_batches_run_at_once_than_there_are_threads() -> None:
    model = Model()
    reranker = LocalReranker(model, threads=2, max_batch_tokens=16)

    await asyncio.gather(*(reranker.scores("q", ["w " * 16] * 8, context()) for _ in range(4)))
    await reranker.close()

    assert len(model.batches) == 32
    assert model.most_at_once <= 2
    assert len(model.threads) <= 2


async def test_the_event_loop_runs_while_the_model_computes() -> None:
    model = Model()
    model.release.clear()
    reranker = LocalReranker(model, threads=1, max_batch_tokens=16)
    asked = asyncio.create_task(reranker.scores("q", ["a b"], context()))

    assert await asyncio.to_thread(model.begun.wait, 10)
    assert not asked.done()
    model.release.set()

    assert (await asked).scores == [0.002]
    await reranker.close()


async def test_at_the_deadline_the_rest_is_not_computed_and_the_thread_is_free_again() -> None:
    model = Model()
    model.release.clear()
    reranker = LocalReranker(model, threads=1, max_batch_tokens=16)

    started_s = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        await reranker.scores("q", ["w " * 16] * 50, context(0.05))
    assert time.monotonic() - started_s < 5.0
    begun = len(model.batches)
    assert begun <= 1  # the batch that had begun, if there was time for one
    model.release.set()

    assert (await reranker.scores("q", ["a"], context())).scores == [0.001]
    assert len(model.batches) == begun + 1
    await reranker.close()


async def test_an_error_of_the_model_is_raised_and_the_next_request_is_served() -> None:
    model = Model()
    model.error = Internal("The cross-encoder failed.")
    reranker = LocalReranker(model, threads=2, max_batch_tokens=16)

    with pytest.raises(Internal):
        await reranker.scores("q", ["w " * 16] * 6, context())
    model.error = None

    assert (await reranker.scores("q", ["a"], context())).scores == [0.001]
    await reranker.close()


async def test_requests_over_the_limit_are_refused_at_once_and_places_return() -> None:
    model = Model()
    model.release.clear()
    reranker = BoundedReranker(LocalReranker(model, threads=1, max_batch_tokens=16), 2)
    asked = [asyncio.create_task(reranker.scores("q", ["a b"], context())) for _ in range(2)]
    assert await asyncio.to_thread(model.begun.wait, 10)

    with pytest.raises(Overloaded, match="max_queued"):
        await reranker.scores("q", ["a"], context())
    asked[1].cancel()
    await asyncio.gather(asked[1], return_exceptions=True)
    model.release.set()

    assert (await reranker.scores("q", ["a"], context())).scores == [0.001]
    await asked[0]
    await reranker.close()


async def test_a_short_request_overtakes_the_rest_of_a_long_one() -> None:
    model = Model()
    model.release.clear()
    reranker = LocalReranker(model, threads=1, max_batch_tokens=16)
    long = asyncio.create_task(reranker.scores("q", ["w " * 16] * 50, context()))
    assert await asyncio.to_thread(model.begun.wait, 10)
    short = asyncio.create_task(reranker.scores("q", ["a"], context()))
    await asyncio.sleep(0)  # the short request is in line
    model.release.set()

    await asyncio.gather(short, long)

    assert model.batches.index([1]) < 5
    assert len(model.batches) == 51
    await reranker.close()
