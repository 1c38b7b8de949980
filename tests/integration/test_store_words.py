"""Lexical analysis in the store: re-analysis of existing collections, the vocabulary, phrases and exact scores."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
import qdrant_edge as edge

from argosy.contracts.store import EnsureCollection, ForgetRequest, StoreSearchRequest
from argosy.ranking.weighing import term_id
from argosy.services.store.engine import StoreEngine
from argosy.services.store.points import OLD_WORDS
from tests.integration.test_store_engine import DIMENSIONS, add, chunk, search, upsert

pytestmark = pytest.mark.integration


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[StoreEngine]:
    store = StoreEngine(tmp_path / "store")
    store.ensure(EnsureCollection("c"))
    yield store
    store.close()


def old_points(engine: StoreEngine, texts: Sequence[str]) -> None:
    """Add documents as an older release stored them: with its words, and without the terms of this release."""
    for number, text in enumerate(texts):
        add(engine, [chunk(f"old{number}", text=text)])
    inner = engine.shards.open["c"]._inner
    records, _ = inner.scroll(edge.ScrollRequest(limit=1000, with_payload=True, with_vector=True))
    points = []
    for record in records:
        payload, vectors = dict(record.payload or {}), record.vector
        assert isinstance(vectors, dict)
        del payload["analysed"]
        old = OLD_WORDS.embed_document(msgspec.json.decode(payload["chunk"])["text"])
        points.append(edge.Point(record.id, {"dense": vectors["dense"], "bm25": old}, payload))
    inner.update(edge.UpdateOperation.upsert_points(points))
    engine._publication.analysed("c", 0)
    engine.shards.open["c"].lexicon.rebuild()


def test_an_existing_collection_is_analysed_anew_and_answers_meanwhile(engine: StoreEngine) -> None:
    texts = [f"The harbour number {n} opens at six." for n in range(20)] + [
        "Die Häfen sind nicht offen, und das ist gut"
    ]
    old_points(engine, texts)
    before = {one.chunk_id: one.cosine for one in search(engine, vector=np.ones(DIMENSIONS), limit=50).candidates}
    steps = 0
    while engine.analysing.step(4):
        steps += 1
        assert len(search(engine, "harbour", limit=50).lexical) == 20
        assert engine.stats()[0].languages or steps == 1
    assert steps == 6
    assert engine.analysing.unfinished == []
    assert engine.shards.open["c"].lexicon.vocabulary.chunks == 21
    assert engine.stats()[0].languages == ["en", "de"]
    answer = search(engine, "Hafen und Häfen", limit=50)
    assert [answer.chunk(one.chunk_id).document_id for one in answer.lexical] == ["old20"]
    after = {one.chunk_id: one.cosine for one in search(engine, vector=np.ones(DIMENSIONS), limit=50).candidates}
    assert after == before  # vectors are not touched


def test_changes_during_the_analysis_are_counted_once(engine: StoreEngine) -> None:
    old_points(engine, [f"harbour {n}" for n in range(12)])
    engine.analysing.step(4)
    for number in range(30):
        add(engine, [chunk(f"new{number}", text="lighthouse")])
    for number in range(12):
        engine.forget(ForgetRequest("c", f"old{number}", 1))
    while engine.sweep.delete_stale(100).points:
        pass
    while engine.analysing.step(4):
        pass
    vocabulary = engine.shards.open["c"].lexicon.vocabulary
    assert vocabulary.chunks == engine.shards.points("c") == 30
    assert vocabulary.frequency(term_id("lighthous")) == 30
    assert vocabulary.frequency(term_id("harbour")) == 0


def test_a_kill_during_the_analysis_begins_it_again(tmp_path: Path) -> None:
    store = StoreEngine(tmp_path / "store")
    store.ensure(EnsureCollection("c"))
    old_points(store, [f"harbour {n}" for n in range(12)])
    store.analysing.step(4)
    copied = tmp_path / "killed"
    shutil.copytree(tmp_path / "store", copied)  # the files as a kill would leave them
    store.close()
    again = StoreEngine(copied)
    assert again.shards.open["c"].lexicon.vocabulary.chunks == 0
    assert len(search(again, "harbours").lexical) == 12
    while again.analysing.step(4):
        pass
    assert again.shards.open["c"].lexicon.vocabulary.chunks == 12
    assert len(search(again, "harbours").lexical) == 12
    again.close()
    third = StoreEngine(copied)
    assert not third.analysing.step(4)
    assert third.shards.open["c"].lexicon.vocabulary.chunks == 12
    third.close()


def test_a_vocabulary_that_lacks_changes_after_a_kill_is_counted_anew(tmp_path: Path) -> None:
    store = StoreEngine(tmp_path / "store")
    store.ensure(EnsureCollection("c"))
    add(store, [chunk("d", text="harbour")])
    store.shards.flush()
    add(store, [chunk("e", text="lighthouse")])
    copied = tmp_path / "killed"
    shutil.copytree(tmp_path / "store", copied)
    store.close()
    again = StoreEngine(copied)
    assert again.analysing.step(10)
    assert again.shards.open["c"].lexicon.vocabulary.chunks == 2
    assert not again.analysing.step(10)
    again.close()


def test_chunks_that_are_sent_again_are_counted_once_and_deleted_words_leave_the_file(tmp_path: Path) -> None:
    store = StoreEngine(tmp_path / "store")
    store.ensure(EnsureCollection("c"))
    sent = chunk("d", text="harbour secretword")
    upsert(store, [sent])
    add(store, [sent])
    vocabulary = store.shards.open["c"].lexicon.vocabulary
    assert vocabulary.chunks == 1
    store.shards.flush()
    files = [*(tmp_path / "store" / "vocabularies").iterdir()]
    assert b"secretword" in files[0].read_bytes()
    store.forget(ForgetRequest("c", "d", 1))
    store.sweep.delete_stale(10)
    store.shards.flush()
    assert vocabulary.chunks == 0
    assert b"secretword" not in files[0].read_bytes()
    store.delete_collection("c")
    assert not [*(tmp_path / "store" / "vocabularies").iterdir()]
    store.close()


def test_a_quoted_phrase_must_occur(engine: StoreEngine) -> None:
    texts = ["the open sea is wide", "the sea is open", "the Open\u00ad  Sea", "a port"]
    for number, text in enumerate(texts):
        add(engine, [chunk(f"d{number}", text=text)])
    answer = search(engine, 'where is the "open sea"?', np.ones(DIMENSIONS))
    assert {answer.chunk(one.chunk_id).document_id for one in answer.candidates} == {"d0", "d2"}
    assert search(engine, '"closed sea"', np.ones(DIMENSIONS)).candidates == []


def test_both_scores_are_exact_for_a_candidate_of_one_list(engine: StoreEngine) -> None:
    near = np.eye(DIMENSIONS, dtype="<f4")
    add(engine, [chunk("near", text="a port")], near[:1])
    add(engine, [chunk("said", text="harbour")], (near[:1] + near[1:2]) / 2**0.5)
    answer = engine.search(StoreSearchRequest("c", 10, near[0].tobytes(), "harbour", depth=10))
    by_document = {answer.chunk(one.chunk_id).document_id: one for one in answer.candidates}
    assert by_document["said"].cosine == pytest.approx(2**-0.5, abs=1e-5)
    assert by_document["said"].words > 0.0
    assert by_document["near"].cosine == pytest.approx(1.0, abs=1e-5)
    assert by_document["near"].words == 0.0


def test_words_count_more_for_a_language_that_the_model_does_not_know(engine: StoreEngine) -> None:
    add(engine, [chunk("d", text="Die Häfen sind nicht offen")])
    english = StoreSearchRequest(
        "c", 10, np.ones(DIMENSIONS, "<f4").tobytes(), "Was ist mit den Häfen?", languages=["en"]
    )
    known = msgspec.structs.replace(english, languages=[])
    assert engine.search(english).share < engine.search(known).share
    analysis = engine.search(english).analysis
    assert analysis is not None
    assert (analysis.language, analysis.chunks) == ("de", 1)
    assert [(term.stem, term.frequency) for term in analysis.terms] == [("haf", 1)]
