"""Tests of the visible version across restarts, retries and late messages."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.contracts.errors import Conflict, Internal, Unavailable
from argosy.services.store.decisions import Decision
from argosy.services.store.publication import Publication
from tests.store_steps import clear, forget, publish

pytestmark = pytest.mark.unit


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "published.db"


@pytest.fixture
def published(path: Path) -> Iterator[Publication]:
    publication = Publication(path)
    publication.ensure("c")
    yield publication
    publication.close()


def test_a_newer_version_replaces_the_visible_one(published: Publication) -> None:
    publish(published, "d", 1, chunks=3, stale=False)
    publish(published, "d", 4, chunks=5, stale=True)
    assert published.decisions("c")["d"] == Decision(4, True, 5, True)


def test_an_older_version_than_the_published_one_is_refused_and_changes_nothing(published: Publication) -> None:
    publish(published, "d", 4, chunks=5, stale=False)
    with pytest.raises(Conflict, match="published as version 4; version 3 is not newer"):
        publish(published, "d", 3, chunks=1, stale=False)
    assert published.decisions("c")["d"] == Decision(4, True, 5, False)


def test_publishing_the_published_version_again_is_harmless(published: Publication) -> None:
    publish(published, "d", 2, chunks=5, stale=False)
    publish(published, "d", 2, chunks=5, stale=True)
    assert published.decisions("c")["d"] == Decision(2, True, 5, False)


@pytest.mark.parametrize("version", [1, 2])
def test_a_forgotten_version_and_older_ones_never_come_back_even_after_a_restart(path: Path, version: int) -> None:
    first = Publication(path)
    first.ensure("c")
    publish(first, "d", 2, chunks=1, stale=False)
    forget(first, "d", 2, stale=True)
    first.close()
    again = Publication(path)
    with pytest.raises(Conflict, match="forgotten at version 2"):
        publish(again, "d", version, chunks=1, stale=False)
    publish(again, "d", 3, chunks=1, stale=False)
    assert again.decisions("c")["d"] == Decision(3, True, 1, True)
    again.close()


def test_forgetting_a_document_that_was_never_published_leaves_a_tombstone(published: Publication) -> None:
    forget(published, "d", 7, stale=False)
    with pytest.raises(Conflict):
        published.admit("c", "d", 7)
    published.admit("c", "d", 8)


def test_a_late_forget_does_not_hide_a_newer_version(published: Publication) -> None:
    publish(published, "d", 5, chunks=1, stale=False)
    forget(published, "d", 4, stale=True)
    assert published.decisions("c")["d"].visible


def test_everything_is_read_back_after_a_restart(path: Path) -> None:
    first = Publication(path)
    made = first.ensure("c")
    first.ensure("empty")
    pinned = first.pin("c", "minilm", 384)
    publish(first, "d", 1, chunks=2, stale=True)
    first.close()
    again = Publication(path)
    assert again.ensure("c") == pinned
    assert (pinned.folder, pinned.model, pinned.dimensions) == (made.folder, "minilm", 384)
    assert again.collections["empty"].model is None
    assert again.decisions("c") == {"d": Decision(1, True, 2, True)}
    assert again.stale(10) == [("c", "d", Decision(1, True, 2, True))]
    again.close()


def test_stale_documents_are_listed_until_they_are_swept(published: Publication) -> None:
    for name in ("a", "b", "d"):
        publish(published, name, 1, chunks=1, stale=True)
    assert [document for _, document, _ in published.stale(2)] == ["a", "b"]
    assert published.stale(2, without={"c"}) == []
    clear(published, ["a", "b"])
    assert [document for _, document, _ in published.stale(2)] == ["d"]


def test_a_dropped_collection_takes_its_tombstones_along_and_its_folder_is_not_reused(published: Publication) -> None:
    folder = published.collections["c"].folder
    forget(published, "d", 9, stale=True)
    published.drop("c")
    assert published.stale(1) == []
    assert published.ensure("c").folder != folder
    publish(published, "d", 1, chunks=1, stale=False)


def test_only_the_owner_can_read_the_file(path: Path, published: Publication) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_second_process_is_turned_away(path: Path, published: Publication) -> None:
    with pytest.raises(Unavailable, match="Another store process"):
        Publication(path, lock_wait_s=0.0)


def test_a_damaged_file_is_an_internal_error(path: Path) -> None:
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(Internal):
        Publication(path)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 6)), max_size=12))
def test_the_decided_version_never_falls_and_the_copy_equals_the_file(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[bool, int]]
) -> None:
    path = tmp_path_factory.mktemp("publication") / "published.db"
    publication = Publication(path)
    publication.ensure("c")
    highest = 0
    forgotten = 0
    for publishes, version in steps:
        try:
            if publishes:
                publish(publication, "d", version, chunks=version, stale=False)
                assert version > forgotten
            else:
                forget(publication, "d", version, stale=False)
                forgotten = max(forgotten, version)
        except Conflict:
            assert version <= highest
        highest = max(highest, version)
        assert publication.decisions("c")["d"].version == highest
    kept = dict(publication.decisions("c"))
    publication.close()
    again = Publication(path)
    assert again.decisions("c") == kept
    again.close()


def test_a_file_of_an_older_release_is_taken_over(path: Path) -> None:
    old = sqlite3.connect(path)
    old.executescript(
        """
        CREATE TABLE collections (name TEXT PRIMARY KEY, folder TEXT NOT NULL UNIQUE, model TEXT, dimensions INTEGER)
        STRICT;
        CREATE TABLE documents (
            collection TEXT NOT NULL REFERENCES collections (name) ON DELETE CASCADE,
            document_id TEXT NOT NULL, version INTEGER NOT NULL, visible INTEGER NOT NULL,
            chunks INTEGER NOT NULL, stale INTEGER NOT NULL,
            PRIMARY KEY (collection, document_id)
        ) STRICT, WITHOUT ROWID;
        INSERT INTO collections VALUES ('c', 'folder', 'minilm', 384);
        INSERT INTO documents VALUES ('c', 'd', 3, 1, 2, 0);
        """
    )
    old.close()
    taken = Publication(path)
    assert taken.decisions("c") == {"d": Decision(3, True, 2, False)}
    assert taken.ensure("c").generation == 0
    publish(taken, "d", 4, chunks=1, stale=True, fields='{"name":"d"}')
    taken.soil("c")
    taken.close()
    again = Publication(path)
    assert again.decisions("c")["d"].fields == '{"name":"d"}'
    assert again.rewritable == {"c"}
    again.close()


def test_a_file_of_a_newer_release_is_refused(path: Path) -> None:
    Publication(path).close()
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 99")
    with pytest.raises(Internal, match=r"published\.db was written by a newer release of Argosy"):
        Publication(path)


def test_each_visible_change_gives_the_collection_a_new_version_and_leaves_the_others(
    published: Publication, path: Path
) -> None:
    published.ensure("other")
    seen = [published.versions.of("c")]
    other = published.versions.of("other")
    publish(published, "d", 1, chunks=1, stale=False)
    seen.append(published.versions.of("c"))
    publish(published, "d", 2, chunks=1, stale=True)
    seen.append(published.versions.of("c"))
    forget(published, "d", 2, stale=True)
    seen.append(published.versions.of("c"))
    published.drop("c")
    published.ensure("c")
    seen.append(published.versions.of("c"))

    assert len(set(seen)) == len(seen)
    assert published.versions.of("other") == other


def test_a_version_is_never_given_again_after_a_restart(path: Path) -> None:
    versions = []
    for _ in range(2):
        with closing(Publication(path)) as opened:
            opened.ensure("c")
            versions.append(opened.versions.of("c"))

    assert versions[0] != versions[1]
