"""Contract of filters: the real store finds the documents that the reference of the tests finds."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from argosy.contracts.codec import decode, encode
from argosy.contracts.filters import Between, Condition, Every, Exists, Filters, Not, OneOf, Scalar, Some, instant
from argosy.contracts.store import (
    Chunk,
    DocumentFields,
    EnsureCollection,
    ForgetRequest,
    PublishRequest,
    StoreSearchRequest,
    UpsertRequest,
)
from argosy.services.store.engine import StoreEngine
from tests.filter_reference import matches

pytestmark = pytest.mark.contract

LONG = "k" * 120
DOCUMENTS: list[dict[str, Scalar]] = [
    {"year": 2019, "when": "2024-05-01", "ok": True, "lang": "en"},
    {"year": 2020, "when": "2024-05-01T00:00:00Z", "ok": False, "none": None},
    {"year": 2020.5, "when": "2024-05-01T01:30:00+02:00", "ok": 1, LONG: 7},
    {"year": "2020", "when": "2024-04-30T23:30:00", "ok": "true", 'we"ird. [k]': -1.5},
    {"year": -3, "when": "last spring", "lang": "en" * 100, LONG: "2023-01-01"},
    {"year": True, "when": "2024-13-01", "and": "x", "title": "not this"},
    {},
]
KEYS = ["year", "when", "ok", "lang", "none", LONG, 'we"ird. [k]', "and", "title", "name", "document_id", "absent"]
VALUES: list[Scalar] = [2019, 2020, 2020.0, True, False, 1, None, "en", "en" * 100, "x", "About 1", "d2", "2024-05-01"]
NUMBERS: list[int | float] = [-3, -1.5, 1, 7, 2019, 2020, 2020.25, 2020.5, 10**9]
MOMENTS = [instant(text) or 0 for text in ("2023-01-01", "2024-04-30T23:30:00Z", "2024-05-01", "2024-05-02")]


def bounds(places: list[int | float], *, dates: bool) -> st.SearchStrategy[Condition]:
    place = st.none() | st.sampled_from(places)
    return st.builds(Between, st.sampled_from(KEYS), place, place, place, place, st.just(dates))


LEAVES: st.SearchStrategy[Condition] = (
    st.builds(OneOf, st.sampled_from(KEYS), st.lists(st.sampled_from(VALUES), min_size=1, max_size=3))
    | st.builds(Exists, st.sampled_from(KEYS))
    | bounds(NUMBERS, dates=False)
    | bounds([*MOMENTS], dates=True)
)


def _combined(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    some = st.lists(inner, min_size=1, max_size=3)
    return st.builds(Every, some) | st.builds(Some, some) | st.builds(Not, inner)


FILTERS: st.SearchStrategy[Filters] = st.recursive(LEAVES, _combined, max_leaves=6) | st.dictionaries(
    st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=2
)


class Filled:
    """Store with the documents, whose fields stand once for each document or, as in older releases, in each chunk."""

    def __init__(self, folder: Path, *, shared: bool) -> None:
        self.engine = StoreEngine(folder)
        self.engine.ensure(EnsureCollection("c"))
        self.chunks: list[Chunk] = []
        self._shared = shared
        for number, metadata in enumerate(DOCUMENTS):
            self.add(f"d{number}", metadata)

    def add(self, document: str, metadata: dict[str, Scalar]) -> None:
        title = f"About {len(self.chunks)}" if len(self.chunks) % 2 else None
        whole = Chunk(
            str(uuid.uuid5(uuid.NAMESPACE_OID, document)), document, 1, 0, f"{document}.md", "s", "ships", 0, 5, title
        )
        whole.metadata = metadata
        self.chunks.append(whole)
        fields = DocumentFields(whole.name, whole.source, title, metadata) if self._shared else None
        sent = Chunk(whole.chunk_id, document, 1, 0, "", "", "ships", 0, 5) if self._shared else whole
        vector = np.ones(2, "<f4").tobytes()
        self.engine.upsert(UpsertRequest("c", "m", 2, [sent], vector, fields=fields))
        self.engine.publish(PublishRequest("c", document, 1, 1, fields))

    def found(self, filters: Filters) -> set[str]:
        request = StoreSearchRequest("c", 50, np.ones(2, "<f4").tobytes(), "ships", filters)
        answer = self.engine.search(decode(encode(request), StoreSearchRequest))
        return {answer.chunk(chunk_id).document_id for chunk_id in answer.chunks}

    def expected(self, filters: Filters) -> set[str]:
        return {chunk.document_id for chunk in self.chunks if matches(filters, chunk)}


@pytest.fixture(scope="module", params=["shared fields", "own fields"])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    store = Filled(tmp_path_factory.mktemp("store"), shared=request.param == "shared fields")
    yield store
    store.engine.close()


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(filters=FILTERS)
def test_the_store_finds_what_the_reference_finds(filled: Filled, filters: Filters) -> None:
    assert filled.found(filters) == filled.expected(filters)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Between("year", gte=2020), {"d1", "d2"}),
        (Between("year", gt=2019, lt=2020.5), {"d1"}),
        (Between("year", lt=0), {"d4"}),
        (Between("when", gte=instant("2024-05-01"), dates=True), {"d0", "d1"}),
        (Between("when", lt=instant("2024-05-01"), dates=True), {"d2", "d3"}),
        (Between(LONG, gte=0), {"d2"}),
        (Exists("none"), set()),
        (Exists("title"), {"d1", "d3", "d5"}),
        (OneOf("document_id", ["d1", "d6", 5]), {"d1", "d6"}),
        (Every([Exists("year"), Not(OneOf("year", [2019, 2020]))]), {"d2", "d3", "d4", "d5"}),
        (Some([OneOf("lang", ["en"]), Between("year", lt=0)]), {"d0", "d4"}),
        (Not(Exists("year")), {"d6"}),
    ],
)
def test_filters_mean_what_the_guide_says(filled: Filled, filters: Filters, expected: set[str]) -> None:
    assert filled.found(filters) == expected == filled.expected(filters)


@pytest.mark.parametrize("shared", [True, False])
def test_values_of_later_publications_are_found(tmp_path: Path, shared: bool) -> None:
    store = Filled(tmp_path, shared=shared)
    new = Between("year", gt=3000)
    assert store.found(new) == set()
    store.add("late", {"year": 3001})
    assert store.found(new) == {"late"}
    store.engine.forget(ForgetRequest("c", "late", 1))
    assert store.found(new) == set()
    store.engine.close()
