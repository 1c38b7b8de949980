"""Backup, restoration and check of a data folder with the real database, blobs and store, without processes."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from argosy.cli.snapshot import backup as backups
from argosy.cli.snapshot.backup import back_up
from argosy.cli.snapshot.manifest import describe, read, write
from argosy.cli.snapshot.restore import restore
from argosy.cli.snapshot.verify import verify_backup, verify_fleet
from argosy.contracts.documents import DocumentStatus
from argosy.contracts.errors import Conflict, Internal, InvalidRequest, NotFound, StorageFull
from argosy.control.preflight import prepare_data_dir
from argosy.serving.hold import Hold, Work
from tests.security.kit import Site, quick_folder

pytestmark = pytest.mark.integration


class Died(BaseException):
    """Stand-in for kill -9."""


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as found:
        yield found


@pytest.fixture
def site(folder: Path) -> Iterator[Site]:
    made = Site(folder / "data")
    yield made
    made.close()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def quiet(stage: str) -> None:
    pass


async def filled(site: Site) -> list[str]:
    return [await site.index(f"{number}.md", f"The quay {number} has ships.") for number in range(5)]


def texts(site: Site) -> list[str]:
    return sorted(chunk.text for chunk in site.found("quay"))


async def test_a_restored_backup_has_the_same_documents_and_finds_the_same(site: Site, folder: Path) -> None:
    await filled(site)
    made = back_up(site.folder, folder / "copy", quiet)
    assert (made.documents, made.chunks) == (5, 5)
    assert verify_backup(folder / "copy", quiet) == []
    assert describe(folder / "copy") == made.files, "a check changes no file"
    restore(folder / "copy", folder / "again", quiet)
    prepare_data_dir(folder / "again")
    again = Site(folder / "again")
    assert texts(again) == texts(site)
    assert again.catalog.documents().documents == site.catalog.documents().documents
    again.close()


async def test_a_document_that_is_half_done_continues_after_the_restoration(
    site: Site, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(site)
    key = site.upload("late.md", "The late quay.")

    def die(*_: object) -> None:
        raise Died

    with monkeypatch.context() as patched:
        patched.setattr(site.store, "publish", die)
        with pytest.raises(Died):
            await site.work()
    made = back_up(site.folder, folder / "copy", quiet)
    assert made.chunks == 5, "the chunk without a publication is left out"
    assert verify_backup(folder / "copy", quiet) == []
    restore(folder / "copy", folder / "again", quiet)
    again = Site(folder / "again")
    assert "The late quay.\n" not in texts(again)
    again.now_s += 60.0
    await again.work()
    assert again.catalog.document(key).status is DocumentStatus.INDEXED
    assert len(texts(again)) == 6
    again.close()


async def test_what_happens_during_a_backup_is_in_it_whole_or_not_at_all(site: Site, folder: Path) -> None:
    keys = await filled(site)
    stages: list[str] = []

    def meanwhile(stage: str) -> None:
        """Delete a document and do all the work of it, between the snapshot and the copying of contents."""
        stages.append(stage)
        if "files" in stage:
            site.catalog.delete(keys[0])
            assert site.clearing.delete_some() == 0, "contents stay while they are copied"
            assert site.engine.shards.orphans() == []

    back_up(site.folder, folder / "copy", meanwhile)
    assert any("files" in stage for stage in stages)
    assert verify_backup(folder / "copy", quiet) == []
    restore(folder / "copy", folder / "again", quiet)
    again = Site(folder / "again")
    assert len(texts(again)) == 5
    again.close()
    await site.settle()
    assert len(texts(site)) == 4
    assert verify_fleet(site.folder, quiet) == []


async def test_a_deletion_at_the_moment_of_the_backup_is_completed_after_the_restoration(
    site: Site, folder: Path
) -> None:
    keys = await filled(site)
    site.catalog.delete(keys[0])  # the store does not know it yet
    back_up(site.folder, folder / "copy", quiet)
    assert verify_backup(folder / "copy", quiet) == []
    restore(folder / "copy", folder / "again", quiet)
    again = Site(folder / "again")
    await again.settle()
    assert len(texts(again)) == 4
    again.close()


def a_changed_byte(copy: Path) -> None:
    path = copy / "catalog.db"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def a_missing_file(copy: Path) -> None:
    next(path for path in (copy / "blobs").rglob("*") if path.is_file()).unlink()


def a_foreign_file(copy: Path) -> None:
    (copy / "shards" / "more").write_text("x")


@pytest.mark.parametrize(
    ("harm", "says"),
    [(a_changed_byte, "is damaged"), (a_missing_file, "is missing"), (a_foreign_file, "does not belong")],
)
async def test_a_damaged_backup_is_found(site: Site, folder: Path, harm: Callable[[Path], None], says: str) -> None:
    await filled(site)
    back_up(site.folder, folder / "copy", quiet)
    harm(folder / "copy")
    [problem] = verify_backup(folder / "copy", quiet)
    assert says in problem
    if says != "does not belong":
        with pytest.raises(Internal, match=says):
            restore(folder / "copy", folder / "again", quiet)
        assert names(folder) == ["copy", "data"], "nothing is left behind"


def a_lost_row(copy: Path) -> None:
    with closing(sqlite3.connect(copy / "published.db")) as db, db:
        db.execute("DELETE FROM documents WHERE document_id = (SELECT min(document_id) FROM documents)")


def a_wrong_count(copy: Path) -> None:
    with closing(sqlite3.connect(copy / "published.db")) as db, db:
        db.execute("UPDATE documents SET chunks = 3")


def an_unknown_document(copy: Path) -> None:
    with closing(sqlite3.connect(copy / "catalog.db")) as db, db:
        db.execute("DELETE FROM jobs")
        db.execute("DELETE FROM documents WHERE id = (SELECT min(id) FROM documents)")


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (a_lost_row, ["orphans", "not in the store"]),
        (a_wrong_count, ["has 1 of 3 chunks"]),
        (an_unknown_document, ["not in the catalog"]),
    ],
)
async def test_documents_and_chunks_that_do_not_belong_together_are_found(
    site: Site, folder: Path, harm: Callable[[Path], None], says: list[str]
) -> None:
    await filled(site)
    made = back_up(site.folder, folder / "copy", quiet)
    harm(folder / "copy")
    made.files = describe(folder / "copy")
    (folder / "copy" / "manifest.json").unlink()
    write(folder / "copy", made)
    problems = verify_backup(folder / "copy", quiet)
    assert problems
    for said in says:
        assert any(said in problem for problem in problems), problems


@pytest.mark.parametrize("step", ["_copy", "_settle", "put_in_place"])
@pytest.mark.parametrize("error", [Died, StorageFull])
async def test_an_interrupted_backup_leaves_nothing_that_looks_whole(
    site: Site, folder: Path, step: str, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(site)

    def fail(*_: object) -> None:
        raise error("stopped")

    def keep(path: Path, ignore_errors: bool = False) -> None:
        """Stand in for rmtree: nothing is cleaned up after kill -9."""

    with monkeypatch.context() as patched:
        patched.setattr(backups, step, fail)
        if error is Died:
            patched.setattr(shutil, "rmtree", keep)
        with pytest.raises(error):
            back_up(site.folder, folder / "copy", quiet)
    assert not (folder / "copy").exists()
    back_up(site.folder, folder / "copy", quiet)
    assert names(folder) == ["copy", "data"]
    assert verify_backup(folder / "copy", quiet) == []


async def test_a_folder_that_is_in_use_is_refused(site: Site, folder: Path) -> None:
    await filled(site)
    back_up(site.folder, folder / "copy", quiet)
    with pytest.raises(Conflict, match="not empty"):
        back_up(site.folder, folder / "copy", quiet)
    with pytest.raises(InvalidRequest, match="inside of the data folder"):
        back_up(site.folder, site.folder / "copy", quiet)
    with pytest.raises(Conflict, match="not empty"):
        restore(folder / "copy", site.folder, quiet)
    with pytest.raises(NotFound, match="--data-dir"):
        back_up(folder / "nothing", folder / "other", quiet)
    with pytest.raises(InvalidRequest, match="not a backup"):
        restore(site.folder, folder / "again", quiet)


async def test_a_manifest_cannot_name_files_outside_of_the_data_folder(site: Site, folder: Path) -> None:
    made = back_up(site.folder, folder / "copy", quiet)
    path = folder / "copy" / "manifest.json"
    path.write_text(path.read_text().replace(made.files[0].path, "../outside"))
    with pytest.raises(InvalidRequest, match="outside"):
        read(folder / "copy")


async def test_two_backups_at_a_time_are_refused(site: Site, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backups, "WAIT_S", 0.1)
    held = Hold(site.folder, Work.REMOVALS)
    with closing(held), held.taken(1.0), pytest.raises(Conflict, match="Another backup"):
        back_up(site.folder, folder / "copy", quiet)
