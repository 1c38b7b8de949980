"""The store over the real Qdrant Edge: exact search, atomic change of versions, no loss of acknowledged data."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
import qdrant_edge as edge
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from argosy.contracts.errors import CollectionNotFound, Conflict, InvalidRequest, StorageFull, Unavailable
from argosy.contracts.store import (
    Chunk,
    EnsureCollection,
    ForgetRequest,
    Metadata,
    PublishRequest,
    StoreSearchRequest,
    StoreSearchResponse,
    UpsertRequest,
)
from argosy.services.store.engine import StoreEngine
from argosy.services.store.points import OLD_WORDS
from argosy.services.store.shard import Shard
from tests.store_steps import sweep

pytestmark = pytest.mark.integration

DIMENSIONS = 8
SPACE = uuid.UUID(int=7)


def chunk_id(document: str, version: int, ordinal: int) -> str:
    return str(uuid.uuid5(SPACE, f"{document}/{version}/{ordinal}"))


def chunk(
    document: str, version: int = 1, ordinal: int = 0, text: str = "ships", metadata: Metadata | None = None
) -> Chunk:
    return Chunk(
        chunk_id=chunk_id(document, version, ordinal),
        document_id=document,
        version=version,
        ordinal=ordinal,
        name=f"{document}.md",
        source=f"file:///{document}.md",
        text=text,
        start=0,
        end=len(text),
        title=f"About {document}",
        page=3,
        last_page=4,
        heading_path=["Top", "Below"],
        metadata=metadata or {},
    )


def upsert(engine: StoreEngine, chunks: list[Chunk], vectors: np.ndarray | None = None, model: str = "m") -> None:
    rows = np.ones((len(chunks), DIMENSIONS), "<f4") if vectors is None else vectors.astype("<f4")
    engine.upsert(UpsertRequest("c", model, rows.shape[1], chunks, rows.tobytes()))


def add(engine: StoreEngine, chunks: list[Chunk], vectors: np.ndarray | None = None) -> None:
    upsert(engine, chunks, vectors)
    for document, version in sorted({(c.document_id, c.version) for c in chunks}):
        own = [c for c in chunks if (c.document_id, c.version) == (document, version)]
        engine.publish(PublishRequest("c", document, version, len(own)))


def search(
    engine: StoreEngine,
    text: str | None = None,
    vector: np.ndarray | None = None,
    limit: int = 50,
    filters: Metadata | None = None,
) -> StoreSearchResponse:
    raw = None if vector is None else vector.astype("<f4").tobytes()
    return engine.search(StoreSearchRequest("c", limit, raw, text, filters or {}))


def found(engine: StoreEngine, text: str = "ships", filters: Metadata | None = None) -> set[tuple[str, int]]:
    """Return document and version of all hits of a lexical and a dense search; both must agree."""
    answer = search(engine, text, np.ones(DIMENSIONS), 200, filters)
    assert {r.chunk_id for r in answer.dense} == {r.chunk_id for r in answer.lexical} == set(answer.chunks)
    return {(c.document_id, c.version) for c in map(answer.chunk, answer.chunks)}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[StoreEngine]:
    store = StoreEngine(tmp_path / "store")
    store.ensure(EnsureCollection("c"))
    yield store
    store.close()


def test_a_chunk_comes_back_as_it_was_sent_and_only_once_for_both_lists(engine: StoreEngine) -> None:
    sent = chunk("d", text="The harbour opens at six.", metadata={"n": 3, "f": 1.5, "b": True, "none": None, "s": "é"})
    add(engine, [sent])
    answer = search(engine, "harbour", np.ones(DIMENSIONS))
    assert [answer.chunk(chunk_id) for chunk_id in answer.chunks] == [sent]
    assert [r.chunk_id for r in answer.dense] == [r.chunk_id for r in answer.lexical] == [sent.chunk_id]
    assert answer.dense[0].score == pytest.approx(1.0, abs=1e-5)
    assert answer.lexical[0].score > 0.0


def test_a_chunk_that_was_stored_before_its_last_page_was_kept_is_still_read() -> None:
    stored = (
        '{"chunk_id":"c","document_id":"d","version":1,"ordinal":0,"name":"d.md","source":"d.md","text":"ships",'
        '"start":0,"end":5,"page":3}'
    )
    old = StoreSearchResponse({"c": stored}).chunk("c")
    assert (old.page, old.last_page) == (3, None)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 450), limit=st.integers(1, 200))
def test_dense_search_equals_brute_force(
    tmp_path_factory: pytest.TempPathFactory, seed: int, count: int, limit: int
) -> None:
    random = np.random.default_rng(seed)
    vectors = random.standard_normal((count, 24)).astype("<f4") * random.uniform(0.01, 100.0, (count, 1)).astype("<f4")
    question = random.standard_normal(24).astype("<f4")
    chunks = [chunk("d", ordinal=i) for i in range(count)]
    engine = StoreEngine(tmp_path_factory.mktemp("store"))
    engine.ensure(EnsureCollection("c"))
    add(engine, chunks, vectors)
    dense = search(engine, vector=question, limit=limit).dense
    cosines = vectors @ question / (np.linalg.norm(vectors, axis=1) * np.linalg.norm(question))
    best = np.argsort(-cosines)[:limit]
    assert [r.score for r in dense] == pytest.approx(cosines[best].tolist(), abs=1e-5)
    by_id = {c.chunk_id: float(cosine) for c, cosine in zip(chunks, cosines, strict=True)}
    assert [by_id[r.chunk_id] for r in dense] == pytest.approx([r.score for r in dense], abs=1e-5)
    engine.close()


def test_lexical_search_prefers_rare_words_and_stems_them(engine: StoreEngine) -> None:
    texts = ["ships pay tolls", "ships sail", "ships wait", "the lighthouses shine on ships"]
    add(engine, [chunk("d", ordinal=i, text=text) for i, text in enumerate(texts)])
    answer = search(engine, "lighthouse for a ship")
    assert answer.chunk(answer.lexical[0].chunk_id).text == texts[3]
    assert len(answer.lexical) == 4
    assert answer.dense == []


@pytest.mark.parametrize("text", ["the of and", "", "zebra"])
def test_words_that_are_nowhere_find_nothing(engine: StoreEngine, text: str) -> None:
    add(engine, [chunk("d")])
    answer = search(engine, text)
    assert (answer.chunks, answer.candidates) == ({}, [])


def test_a_version_is_invisible_until_it_is_published_and_then_replaces_the_old_one_whole(engine: StoreEngine) -> None:
    add(engine, [chunk("d", 1, i) for i in range(3)])
    upsert(engine, [chunk("d", 2, i) for i in range(3)])
    assert found(engine) == {("d", 1)}
    engine.publish(PublishRequest("c", "d", 2, 3))
    assert found(engine) == {("d", 2)}


def test_hits_of_unpublished_versions_do_not_take_the_place_of_visible_ones(engine: StoreEngine) -> None:
    near = np.eye(1, DIMENSIONS)
    add(engine, [chunk("seen", ordinal=i) for i in range(10)], np.repeat(near + 0.5, 10, axis=0))
    upsert(engine, [chunk("hidden", ordinal=i) for i in range(190)], np.repeat(near, 190, axis=0))
    upsert(engine, [chunk("other", ordinal=i) for i in range(190)], np.repeat(near, 190, axis=0))
    answer = search(engine, "ships", near[0], limit=10)
    assert len(answer.dense) == len(answer.lexical) == 10
    assert {c.document_id for c in map(answer.chunk, answer.chunks)} == {"seen"}


def test_publishing_with_chunks_missing_is_refused_and_the_old_version_stays(engine: StoreEngine) -> None:
    add(engine, [chunk("d", 1)])
    upsert(engine, [chunk("d", 2, i) for i in range(2)])
    with pytest.raises(Conflict, match="has 2 of 3 chunks"):
        engine.publish(PublishRequest("c", "d", 2, 3))
    assert found(engine) == {("d", 1)}


def test_sending_and_publishing_the_same_version_twice_changes_nothing(engine: StoreEngine) -> None:
    for _ in range(2):
        add(engine, [chunk("d", 1, i) for i in range(3)])
    assert engine.stats()[0].points == 3
    assert found(engine) == {("d", 1)}


def test_an_outdated_version_is_refused_before_its_chunks_are_written(engine: StoreEngine) -> None:
    add(engine, [chunk("d", 2)])
    with pytest.raises(Conflict, match="not newer"):
        upsert(engine, [chunk("d", 1)])
    assert engine.stats()[0].points == 1


def test_a_chunk_id_of_another_version_is_refused(engine: StoreEngine) -> None:
    add(engine, [chunk("d", 1)])
    thief = chunk("d", 2)
    thief.chunk_id = chunk_id("d", 1, 0)
    with pytest.raises(Conflict, match=r"chunks\[0\]"):
        upsert(engine, [thief])
    assert found(engine) == {("d", 1)}


def test_a_forgotten_document_disappears_at_once_and_its_points_later(engine: StoreEngine) -> None:
    add(engine, [chunk("d", 1, i) for i in range(5)])
    add(engine, [chunk("e", 1, i) for i in range(5)])
    engine.forget(ForgetRequest("c", "d", 1))
    assert found(engine) == {("e", 1)}
    assert engine.stats()[0].points == 10
    assert [sweep(engine, 3), sweep(engine, 3), sweep(engine, 3)] == [3, 2, 0]
    assert engine.stats()[0].points == 5
    assert found(engine) == {("e", 1)}


def test_sweeping_spares_the_visible_version_and_one_that_is_still_coming_in(engine: StoreEngine) -> None:
    for version in (1, 2):
        add(engine, [chunk("d", version, i) for i in range(4)])
    upsert(engine, [chunk("d", 3, i) for i in range(4)])
    assert sweep(engine, 200) == 4
    assert sweep(engine, 200) == 0
    assert found(engine) == {("d", 2)}
    engine.publish(PublishRequest("c", "d", 3, 4))
    assert found(engine) == {("d", 3)}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"document_id": "a"}, {"a"}),
        ({"source": "file:///b.md"}, {"b"}),
        ({"name": "b.md"}, {"b"}),
        ({"title": "About a"}, {"a"}),
        ({"year": 2020}, {"a"}),
        ({"year": 2020.0}, {"a"}),
        ({"ok": True}, {"a"}),
        ({"ok": 1}, {"b"}),
        ({"ratio": 0.5}, {"b"}),
        ({"none": None}, {"a"}),
        ({'we"ird. [k]': "x"}, {"b"}),
        ({"year": 2021, "document_id": "a"}, set()),
        ({"lang": "en"}, {"a", "b"}),
        ({"lang": "EN"}, set()),
        ({"nowhere": "x"}, set()),
        ({"document_id": 5}, set()),
    ],
)
def test_filters_are_exact_equality_on_a_field_or_metadata_key(
    engine: StoreEngine, filters: Metadata, expected: set[str]
) -> None:
    add(engine, [chunk("a", metadata={"year": 2020, "ok": True, "none": None, "lang": "en"})])
    add(engine, [chunk("b", metadata={"year": 2021, "ok": 1, "ratio": 0.5, 'we"ird. [k]': "x", "lang": "en"})])
    assert {document for document, _ in found(engine, filters=filters)} == expected


def test_an_unknown_collection_is_named_with_the_remedy(engine: StoreEngine) -> None:
    with pytest.raises(CollectionNotFound, match=r"'nope'.*argosy collections create nope"):
        engine.search(StoreSearchRequest("nope", text="x"))
    with pytest.raises(CollectionNotFound):
        engine.delete_collection("nope")


def test_a_collection_without_chunks_answers_empty_lists(engine: StoreEngine) -> None:
    assert search(engine, "ships", np.ones(3)) == StoreSearchResponse(chunks={})
    stats = engine.stats()[0]
    assert (stats.points, stats.documents, stats.model, stats.dimensions) == (0, 0, None, None)


def test_another_model_or_dimension_is_refused_with_the_remedy(engine: StoreEngine) -> None:
    add(engine, [chunk("d")])
    with pytest.raises(Conflict, match="Embed with that model"):
        upsert(engine, [chunk("e")], model="other")
    with pytest.raises(Conflict, match=r"m \(8 dimensions\), not of m \(4\)"):
        upsert(engine, [chunk("e")], np.ones((1, 4)))
    with pytest.raises(Conflict, match="the question's has 4"):
        search(engine, vector=np.ones(4))


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_a_vector_without_a_direction_is_refused_and_named(engine: StoreEngine, value: float) -> None:
    rows = np.ones((3, DIMENSIONS))
    rows[1] = value
    with pytest.raises(InvalidRequest, match=r"vectors\[1\]"):
        upsert(engine, [chunk("d", ordinal=i) for i in range(3)], rows)
    with pytest.raises(InvalidRequest, match="no direction"):
        search(engine, vector=rows[1])
    assert engine.stats()[0].points == 0


@pytest.mark.parametrize("scale", [1e-38, 1e38])
def test_very_short_and_very_long_vectors_keep_their_direction(engine: StoreEngine, scale: float) -> None:
    add(engine, [chunk("d")], np.full((1, DIMENSIONS), scale))
    assert search(engine, vector=np.full(DIMENSIONS, scale)).dense[0].score == pytest.approx(1.0, abs=1e-5)


def test_malformed_requests_are_refused(engine: StoreEngine) -> None:
    with pytest.raises(InvalidRequest, match="limit"):
        search(engine, "x", limit=0)
    with pytest.raises(InvalidRequest, match="limit"):
        search(engine, "x", limit=201)
    with pytest.raises(InvalidRequest, match="vector, a text"):
        search(engine)
    with pytest.raises(InvalidRequest, match="four bytes"):
        engine.search(StoreSearchRequest("c", vector=b"abc"))
    with pytest.raises(InvalidRequest, match="3 bytes"):
        engine.upsert(UpsertRequest("c", "m", DIMENSIONS, [chunk("d")], b"abc"))
    with pytest.raises(InvalidRequest, match="dimension"):
        engine.upsert(UpsertRequest("c", "m", 0, [chunk("d")], b""))
    named = chunk("d")
    named.chunk_id = "not-a-uuid"
    with pytest.raises(InvalidRequest, match=r"chunks\[1\].*UUID"):
        upsert(engine, [chunk("d"), named])
    with pytest.raises(InvalidRequest, match=r"chunks\[1\].*twice"):
        upsert(engine, [chunk("d"), chunk("d")])
    with pytest.raises(InvalidRequest, match="name"):
        engine.ensure(EnsureCollection(""))


def test_a_deleted_collection_is_gone_and_its_name_can_be_used_with_another_model(
    engine: StoreEngine, tmp_path: Path
) -> None:
    add(engine, [chunk("d")])
    engine.delete_collection("c")
    assert list((tmp_path / "store" / "shards").iterdir()) == []
    engine.ensure(EnsureCollection("c"))
    upsert(engine, [chunk("d")], np.ones((1, 4)), model="other")
    engine.publish(PublishRequest("c", "d", 1, 1))
    assert (engine.stats()[0].model, engine.stats()[0].points) == ("other", 1)


def test_a_reopened_store_knows_everything(tmp_path: Path) -> None:
    first = StoreEngine(tmp_path)
    first.ensure(EnsureCollection("c"))
    add(first, [chunk("a")])
    add(first, [chunk("b", 1)])
    add(first, [chunk("b", 2)])
    upsert(first, [chunk("x")])
    first.forget(ForgetRequest("c", "a", 1))
    first.close()
    again = StoreEngine(tmp_path)
    assert found(again) == {("b", 2)}
    assert sweep(again, 200) == 2
    assert again.stats()[0].points == 2
    again.close()


def test_only_the_owner_can_enter_the_folder_and_only_one_process_at_a_time(
    engine: StoreEngine, tmp_path: Path
) -> None:
    assert stat.S_IMODE((tmp_path / "store").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "store" / "shards").stat().st_mode) == 0o700
    with pytest.raises(Unavailable):
        StoreEngine(tmp_path / "store", lock_wait_s=0.0)


def test_a_damaged_shard_does_not_stop_the_other_collections(tmp_path: Path) -> None:
    first = StoreEngine(tmp_path)
    for name in ("c", "other"):
        first.ensure(EnsureCollection(name))
    add(first, [chunk("d")])
    one = np.ones((1, 4), "<f4").tobytes()
    first.upsert(UpsertRequest("other", "m", 4, [chunk("o")], one))
    first.publish(PublishRequest("other", "o", 1, 1))
    first.close()
    folders = {path: path.stat().st_ctime_ns for path in (tmp_path / "shards").iterdir()}
    min(folders, key=lambda path: folders[path]).joinpath("edge_config.json").write_text("{")
    again = StoreEngine(tmp_path)
    assert len(again.shards.broken) == 1
    broken = next(iter(again.shards.broken))
    with pytest.raises(Unavailable, match="cannot be opened"):
        again.search(StoreSearchRequest(broken, text="ships"))
    healthy = ({"c", "other"} - {broken}).pop()
    assert len(again.search(StoreSearchRequest(healthy, text="ships")).lexical) == 1
    again.close()


def lose_power(folder: Path, flushed: Path, draw: random.Random) -> None:
    """Leave the disk as after a power cut: table pages are old or new, appended data is lost, the synced log is whole.

    `flushed` is the store as it was at its last flush. Data that was not synced since then was only in the page cache,
    of which the kernel may have written back any part.
    """
    page = 4096
    for now in sorted((folder / "shards").rglob("*")):
        before = flushed / now.relative_to(folder)
        if not now.is_file() or now.parent.name == "wal":
            continue
        if not before.exists():
            now.unlink()
            continue
        new, old = now.read_bytes(), before.read_bytes()
        mixed = b"".join(
            (new if draw.random() < 0.5 else old)[at : at + page] for at in range(0, min(len(new), len(old)), page)
        )
        now.write_bytes(mixed)


@pytest.mark.parametrize("seed", range(3))
def test_what_was_published_survives_a_loss_of_power_without_a_flush(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(seed)
    engine = StoreEngine(tmp_path / "store")
    engine.ensure(EnsureCollection("c"))
    add(engine, [chunk("flushed", 1, i) for i in range(20)])
    for written in engine.shards.unflushed(1):
        written.flush()
    shutil.copytree(tmp_path / "store", tmp_path / "flushed")
    monkeypatch.setattr(Shard, "flush", lambda shard: pytest.fail("publishing flushed the tables"))
    for number in range(30):
        add(engine, [chunk(f"d{number}", 1, i, f"ships of fleet {number}") for i in range(draw.randint(1, 5))])
    expected = engine.search(StoreSearchRequest("c", 200, text="fleet"))
    shutil.copytree(tmp_path / "store", tmp_path / "lost")
    monkeypatch.undo()
    engine.close()

    lose_power(tmp_path / "lost", tmp_path / "flushed", draw)
    again = StoreEngine(tmp_path / "lost")
    assert again.shards.broken == {}
    assert {document for document, _ in found(again)} == {"flushed"} | {f"d{number}" for number in range(30)}
    answer = again.search(StoreSearchRequest("c", 200, text="fleet"))
    assert answer.chunks == expected.chunks
    again.close()


def test_the_log_is_synced_whole_when_it_goes_on_in_another_file(
    engine: StoreEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Check durability at the switch: Edge closes a log file at 32 MB, and its content must be durable then too."""
    synced: set[str] = set()
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        synced.add(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    upsert(engine, [chunk("big", 1, 0, "ships")])
    log = next(iter((engine.shards.open["c"]._log._folder,)))
    number = 1
    while not any(name.startswith("closed-") for name in os.listdir(log)):
        upsert(engine, [chunk("big", 1, number, "ships " * 400_000)])
        number += 1
    engine.publish(PublishRequest("c", "big", 1, number))
    names = {name for name in os.listdir(log) if name.startswith(("open-", "closed-"))}
    assert names <= synced
    assert "wal" in synced, "the names are durable, too"
    synced.clear()
    add(engine, [chunk("small")])
    assert not any(name.startswith("closed-") for name in synced), "nothing more is written to a closed one"


def test_a_group_of_changes_is_recorded_at_once_and_what_is_wrong_fails_alone(engine: StoreEngine) -> None:
    for document in "abc":
        upsert(engine, [chunk(document)])
    add(engine, [chunk("gone")])
    changes: list[PublishRequest | ForgetRequest] = [
        PublishRequest("c", "a", 1, 1),
        PublishRequest("c", "b", 1, 2),
        PublishRequest("nowhere", "a", 1, 1),
        PublishRequest("c", "a", 2**70, 1),
        ForgetRequest("c", "gone", 1),
        PublishRequest("c", "c", 1, 1),
        PublishRequest("c", "c", 1, 1),
    ]
    decided = engine.changes.decide(changes)
    engine.changes.record(decided)
    assert found(engine) == {("gone", 1)}, "nothing is visible before it is applied"
    engine.changes.apply(decided)
    errors = [type(one.error).__name__ for one in decided]
    assert [errors[0], *errors[4:]] == ["NoneType"] * 4
    assert errors[1:3] == ["Conflict", "CollectionNotFound"]
    assert errors[3] != "NoneType"
    assert found(engine) == {("a", 1), ("c", 1)}


def test_chunks_of_a_version_that_is_being_replaced_are_refused_while_its_successor_is_recorded(
    engine: StoreEngine,
) -> None:
    """Refuse such chunks, because they would arrive after the sweep of stale chunks and stay for ever."""
    upsert(engine, [chunk("d", 2)])
    decided = engine.changes.decide([PublishRequest("c", "d", 2, 1)])
    with pytest.raises(Conflict, match="not newer"):
        upsert(engine, [chunk("d", 1)])
    engine.changes.record(decided)
    engine.changes.apply(decided)
    assert found(engine) == {("d", 2)}


def test_a_group_that_cannot_be_recorded_changes_nothing(engine: StoreEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    for document in "ab":
        upsert(engine, [chunk(document)])
    decided = engine.changes.decide([PublishRequest("c", document, 1, 1) for document in "ab"])
    with monkeypatch.context() as patch:
        full = StorageFull("The disk is full.")
        patch.setattr(Shard, "sync_log", lambda shard: (_ for _ in ()).throw(full))
        engine.changes.record(decided)
    engine.changes.apply(decided)
    assert [one.error for one in decided] == [full, full]
    assert found(engine) == set()
    add(engine, [chunk("a")])
    assert found(engine) == {("a", 1)}


def test_several_upserts_in_one_call_are_taken_or_refused_each_by_itself(engine: StoreEngine) -> None:
    def asked(collection: str, document: str) -> UpsertRequest:
        return UpsertRequest(collection, "m", DIMENSIONS, [chunk(document)], np.ones((1, DIMENSIONS), "<f4").tobytes())

    errors = engine.upsert_many([asked("c", "a"), asked("nowhere", "b"), asked("c", "d")])
    assert [None if error is None else error.code for error in errors] == [None, "collection_not_found", None]
    assert engine.stats()[0].points == 2


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["publish", "forget", "upsert"]), st.sampled_from("abc"), st.integers(1, 3))))
def test_what_is_counted_as_visible_is_what_is_visible(steps: list[tuple[str, str, int]]) -> None:
    """Check the count by which a search fetches extra points; it is maintained rather than summed for each search."""
    with tempfile.TemporaryDirectory() as folder:
        engine = StoreEngine(Path(folder))
        engine.ensure(EnsureCollection("c"))
        for step, document, version in steps:
            with contextlib.suppress(Conflict):
                if step == "forget":
                    engine.forget(ForgetRequest("c", document, version))
                else:
                    upsert(engine, [chunk(document, version, i) for i in range(version)])
                if step == "publish":
                    engine.publish(PublishRequest("c", document, version, version))

        def check(store: StoreEngine) -> None:
            visible = [d for d in store._publication.decisions("c").values() if d.visible]
            shown = store._publication.shown("c")
            assert (shown.documents, shown.points) == (len(visible), sum(d.chunks for d in visible))

        check(engine)
        engine.close()
        again = StoreEngine(Path(folder))
        check(again)
        again.close()


WRITER = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
import test_store_engine as t
engine = t.StoreEngine(Path({folder!r}))
engine.ensure(t.EnsureCollection("c"))
for version in range(1, 100_000):
    chunks = [t.chunk("d", version, i) for i in range(20)]
    t.upsert(engine, chunks)
    print("upserted", version, flush=True)
    if version % 3 == 0:
        engine.publish(t.PublishRequest("c", "d", version, 20))
        print("published", version, flush=True)
"""


@pytest.mark.parametrize("acknowledgements", [1, 2, 25, 60])
def test_nothing_acknowledged_is_lost_when_the_process_is_killed(tmp_path: Path, acknowledgements: int) -> None:
    code = WRITER.format(tests=str(Path(__file__).parent), folder=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(acknowledgements)]
        os.kill(writer.pid, signal.SIGKILL)
        lines += writer.stdout.readlines()
    assert len(lines) >= acknowledgements, "the writer died by itself"
    done = [(word, int(version)) for word, version in (line.split() for line in lines if line.endswith("\n"))]
    upserted = max(version for word, version in done if word == "upserted")
    published = max((version for word, version in done if word == "published"), default=0)

    engine = StoreEngine(tmp_path)
    assert engine.shards.broken == {}
    assert engine.stats()[0].points >= upserted * 20
    visible = {version for _, version in found(engine)}
    assert visible in (({published} if published else set()), {published + 3})
    for version in range(max(visible, default=0) + 1, upserted + 1):
        engine.publish(PublishRequest("c", "d", version, 20))
    assert found(engine) == {("d", max(upserted, *visible, 0))}
    engine.close()


def test_points_of_an_older_release_are_found_filtered_and_published_again(engine: StoreEngine) -> None:
    """Read points of an older release: they have no ordinal, carry the document's fields and index long terms."""
    sent = chunk("old")
    sent.source = "file:///" + "deep/" * 40 + "old.md"
    upsert(engine, [chunk("new")])
    engine._publication.analysed("c", 0)
    terms = [f'["source","{sent.source}"]', '["name","old.md"]']
    payload = {"document_id": "old", "version": 1, "terms": terms, "chunk": msgspec.json.encode(sent).decode()}
    vectors: dict[str, list[float] | edge.SparseVector | list[list[float]]] = {
        "dense": [1.0] * DIMENSIONS,
        "bm25": OLD_WORDS.embed_document("ships"),
    }
    engine.shards.open["c"]._inner.update(
        edge.UpdateOperation.upsert_points([edge.Point(sent.chunk_id, vectors, payload)])
    )
    for _ in range(2):
        engine.publish(PublishRequest("c", "old", 1, 1))
        answer = search(engine, "ships", filters={"source": sent.source})
        assert [answer.chunk(key) for key in answer.chunks] == [sent]
    with pytest.raises(Conflict, match="has 1 of 2 chunks"):
        engine.publish(PublishRequest("c", "old", 1, 2))
