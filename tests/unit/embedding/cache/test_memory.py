from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from argosy.contracts.embedding import TextKind
from argosy.services.embedding.cache.keys import Keys
from argosy.services.embedding.cache.memory import SKETCH_BYTES, MemoryLevel, size_of
from argosy.services.embedding.cache.sketch import FrequencySketch
from tests.unit.embedding.cache.vectors import DIMENSIONS, INFO, cached, is_of

pytestmark = pytest.mark.unit

FOREVER = float("inf")
_keys = Keys(INFO, policy="truncate")


def key(text: str) -> bytes:
    return _keys.key(text, TextKind.PASSAGE)


def level(entries: int) -> MemoryLevel:
    return MemoryLevel(entries * size_of(DIMENSIONS), dimensions=DIMENSIONS)


def put(memory: MemoryLevel, text: str, *, ends_s: float = FOREVER, now_s: float = 0.0) -> None:
    memory.put(key(text), cached(text), ends_s=ends_s, now_s=now_s)


def test_one_pass_over_many_texts_does_not_push_out_what_is_asked_for_often() -> None:
    memory = level(100)
    popular = [f"popular {n}" for n in range(90)]
    for _ in range(6):
        for text in popular:
            if memory.get(key(text), 0.0) is None:
                put(memory, text)
    for n in range(600):
        if memory.get(key(f"passage {n}"), 0.0) is None:
            put(memory, f"passage {n}")
    assert sum(memory.get(key(text), 0.0) is not None for text in popular) >= 86


def test_what_was_popular_once_makes_room_for_what_is_now() -> None:
    memory = level(50)
    for generation in ("old", "new"):
        for _ in range(40):
            for n in range(50):
                if memory.get(key(f"{generation} {n}"), 0.0) is None:
                    put(memory, f"{generation} {n}")
    assert sum(memory.get(key(f"new {n}"), 0.0) is not None for n in range(50)) >= 40


def test_an_entry_ends_with_its_time() -> None:
    memory = level(10)
    put(memory, "sea", ends_s=5.0)
    assert memory.get(key("sea"), 4.9) is not None
    assert memory.get(key("sea"), 5.0) is None
    assert (len(memory), memory.bytes_used) == (0, 0)


def test_an_entry_that_is_larger_than_the_level_is_not_kept() -> None:
    memory = MemoryLevel(100, dimensions=DIMENSIONS)
    put(memory, "sea")
    assert (len(memory), memory.evictions) == (0, 1)


def test_the_bytes_counted_are_those_that_python_takes() -> None:
    entries, dimensions = 4000, 384
    texts = [f"passage {n}" for n in range(entries)]
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        memory = MemoryLevel(2 * entries * size_of(dimensions), dimensions=dimensions)
        empty = tracemalloc.get_traced_memory()[0] - before
        for text in texts:
            memory.put(key(text), cached(text, dimensions=dimensions), ends_s=FOREVER, now_s=0.0)
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(memory) == entries
    assert memory.bytes_used == pytest.approx(taken, rel=0.05)
    assert empty <= 2 * entries * SKETCH_BYTES + 4096


def test_counts_do_not_fall_short_and_are_halved_in_time() -> None:
    sketch = FrequencySketch(16)
    for _ in range(9):
        sketch.count(key("sea"))
    assert sketch.estimate(key("sea")) >= 9
    for n in range(400):
        sketch.count(key(f"wave {n}"))
    assert sketch.estimate(key("sea")) < 9


ANY_TEXT = st.sampled_from([f"text {n}" for n in range(8)])


class Memory(RuleBasedStateMachine):
    """State machine: the level never exceeds its bytes and never returns another text's or an expired vector."""

    @initialize(entries=st.integers(1, 10))
    def begin(self, entries: int) -> None:
        self.limit = entries * size_of(DIMENSIONS)
        self.memory = level(entries)
        self.now_s = 0.0
        self.ends: dict[str, float] = {}

    @rule(text=ANY_TEXT, ttl_s=st.integers(0, 5))
    def put(self, text: str, ttl_s: int) -> None:
        self.ends[text] = self.now_s + ttl_s
        put(self.memory, text, ends_s=self.ends[text], now_s=self.now_s)

    @rule(text=ANY_TEXT)
    def get(self, text: str) -> None:
        found = self.memory.get(key(text), self.now_s)
        if found is not None:
            assert is_of(found, text)
            assert self.ends[text] > self.now_s

    @rule(seconds=st.integers(1, 3))
    def wait(self, seconds: int) -> None:
        self.now_s += seconds

    @rule(text=ANY_TEXT)
    def discard(self, text: str) -> None:
        self.memory.discard(key(text))
        assert self.memory.get(key(text), self.now_s) is None

    @invariant()
    def bounded(self) -> None:
        assert self.memory.bytes_used <= self.limit
        assert self.memory.bytes_used == len(self.memory) * size_of(DIMENSIONS)


TestMemory = Memory.TestCase
TestMemory.settings = settings(max_examples=40, deadline=None)
