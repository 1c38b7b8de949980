"""Deleted content disappears from searches at once and from the disk within a minute, whatever process dies."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from argosy.contracts.documents import DocumentFault
from argosy.contracts.errors import CollectionNotFound, DocumentNotFound, StorageFull, UpstreamFailed
from argosy.contracts.request import RequestContext
from argosy.contracts.store import EnsureCollection, UpsertRequest
from argosy.services.documents.catalog.acceptance import Acceptance
from argosy.services.documents.catalog.clearing import Clearing
from argosy.services.documents.catalog.intake import document_id
from argosy.services.documents.catalog.upload_space import SpooledUpload, UploadSpace
from argosy.services.documents.catalog.uploads import Content, Incoming
from argosy.services.documents.jobs.heartbeat import Heartbeat
from argosy.services.documents.jobs.leases import Job, JobLeases, LeaseLost
from argosy.services.documents.jobs.shared_jobs import SharedJobs
from argosy.services.documents.records.blobs import BlobStore, content_hash
from argosy.services.documents.records.database import Database
from argosy.services.documents.records.schema import JobKind
from argosy.services.store import rebuild as rebuilding
from argosy.services.store.engine import StoreEngine
from argosy.services.store.publication import Publication
from argosy.services.store.rebuild import Rebuild
from argosy.services.store.shard import Shard
from argosy.services.store.shards import Shards
from tests.security.kit import Site, quick_folder
from tests.store_steps import begin_rebuild, finish_rebuild, rebuild, sweep

pytestmark = pytest.mark.security

WORDS = "Zqmarker"
TEXT = f"# {WORDS}Heading\n\nThe quay {WORDS}Text is long and made of oak."


@pytest.fixture
def site() -> Iterator[Site]:
    with quick_folder() as folder:
        site = Site(folder)
        yield site
        site.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as folder:
        yield folder


async def fill(site: Site, collection: str) -> str:
    """Add a document that has the marker in every part. Returns: its id."""
    source = f"{WORDS}Name.md"
    return await site.index(source, TEXT, collection, title=f"{WORDS}Title", port=f"{WORDS}Meta")


async def test_nothing_of_a_deleted_collection_is_left(site: Site) -> None:
    await fill(site, "maps")
    await site.index("kept.md", "The kept quay.")
    assert len(site.holding(WORDS)) > 4
    site.catalog.delete_collection("maps")
    await site.settle()
    assert site.holding(WORDS) == []
    assert [chunk.name for chunk in site.found("kept quay")] == ["kept.md"]
    with pytest.raises(CollectionNotFound):
        site.found("quay", "maps")


async def test_nothing_of_a_deleted_document_is_left_and_its_neighbours_stay(site: Site) -> None:
    key = await fill(site, "default")
    for number in range(5):
        await site.index(f"kept-{number}.md", f"The kept quay number {number}.")
    site.catalog.delete(key)
    await site.settle()
    assert site.holding(WORDS) == []
    assert len(site.found("kept quay")) == 5


async def test_nothing_of_a_replaced_version_is_left(site: Site) -> None:
    await site.index("a.md", TEXT)
    await site.index("a.md", "The other quay is short.")
    await site.settle()
    assert site.holding(WORDS) == []
    assert [chunk.version for chunk in site.found("quay")] == [2]


async def test_a_document_that_failed_leaves_nothing_either(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    key = site.upload("a.md", TEXT)

    async def broken(request: object, context: RequestContext) -> None:
        raise UpstreamFailed("The store broke.")

    with monkeypatch.context() as patched:
        patched.setattr(site.store, "publish", broken)
        with pytest.raises(UpstreamFailed):
            await site.work()
    site.catalog.delete(key)
    await site.settle()
    assert site.holding(WORDS) == []


async def test_content_that_another_document_has_too_stays_until_that_one_is_deleted(site: Site) -> None:
    first = await site.index("a.md", TEXT)
    second = await site.index("b.md", TEXT)
    site.catalog.delete(first)
    await site.settle()
    stored = site.catalog.text_hash(second)
    assert stored is not None
    assert site.blobs.get(stored).decode().strip() == TEXT
    assert site.blobs.has(content_hash(TEXT.encode()))
    site.catalog.delete(second)
    await site.settle()
    assert site.holding(WORDS) == []


async def test_forgetting_what_the_store_does_not_have_is_done(site: Site) -> None:
    key = await fill(site, "maps")
    site.catalog.delete(key)
    site.engine.delete_collection("maps", 2**60)
    await site.work()
    assert site.jobs.claim("w") is None
    site.now_s += 3600.0
    assert site.jobs.claim("w") is None, "it is not tried again"


STEPS: dict[str, tuple[object, str]] = {
    "before the store drops": (StoreEngine, "delete_collection"),
    "before the store records the drop": (Publication, "drop"),
    "before the store's folder is removed": (Shards, "remove_orphans"),
    "before the store's log is cleared": (Publication, "scrub"),
    "before the removal is recorded": (Clearing, "_removed"),
    "before contents are deleted": (BlobStore, "delete"),
    "before the catalog's log is cleared": (Database, "scrub"),
    "before points are swept": (Shard, "delete_up_to"),
    "before the sweep is recorded": (Publication, "record_swept"),
    "before the copy begins": (Rebuild, "copy"),
    "before the child has begun": (Shard, "create"),
    "amid the copy": (Shard, "copy_into"),
    "before the copy takes the place": (Publication, "move"),
    "before the job is done": (SharedJobs, "done"),
}


class Died(BaseException):
    """Stand-in for kill -9: no handler catches it and nothing is cleaned up."""


def _copy(before: Path, after: Path) -> None:
    """Copy a folder and keep holes as holes: a shard's files are larger than their content."""
    subprocess.run(["cp", "-r", "--sparse=always", before, after], check=True)


@pytest.mark.parametrize("step", STEPS)
async def test_a_deletion_that_is_killed_at_any_step_is_completed_after_the_restart(
    folder: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(folder / "before")
    await fill(site, "maps")
    key = await fill(site, "default")
    await site.index("kept.md", "The kept quay.")
    owner, name = STEPS[step]

    def die(*_: object, **__: object) -> None:
        raise Died

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, die)
        site.catalog.delete_collection("maps")
        site.catalog.delete(key)
        with pytest.raises(Died):
            await site.settle()
        # The process is dead and its files stay as they are: nothing of it can act on the copy any more.
        _copy(folder / "before", folder / "after")
    site.close()
    again = Site(folder / "after")
    again.now_s = site.now_s + 60.0
    await again.settle()
    assert again.holding(WORDS) == []
    assert [chunk.name for chunk in again.found("kept quay")] == ["kept.md"]
    again.close()


async def test_a_collection_made_again_shows_and_loses_nothing(site: Site) -> None:
    await fill(site, "maps")
    _, old = site.catalog.delete_collection("maps")
    await site.index("new.md", "The new quay.", "maps")
    assert [chunk.name for chunk in site.found("quay", "maps")] == ["new.md"]
    with pytest.raises(CollectionNotFound):
        site.engine.delete_collection(old.collection, old.generation)
    await site.settle()
    assert [chunk.name for chunk in site.found("quay", "maps")] == ["new.md"]
    assert [document.name for document in site.catalog.documents(collection="maps").documents] == ["new.md"]
    assert site.holding(WORDS) == []


async def test_the_same_document_in_a_collection_made_again_is_the_new_one(site: Site) -> None:
    key = await site.index("a.md", TEXT, "maps")
    site.catalog.delete_collection("maps")
    site.now_s += 5.0
    site.upload("a.md", "The new quay.", "maps")
    assert site.catalog.text_hash(key) is None, "the text of before must not be read meanwhile"
    assert site.catalog.document(key).created_at == site.now_s
    await site.settle()
    assert [chunk.text for chunk in site.found("quay", "maps")] == ["The new quay."]
    assert site.holding(WORDS) == []


@pytest.mark.parametrize("again", [False, True], ids=["and stays deleted", "and is made again"])
async def test_a_worker_that_was_only_slow_cannot_bring_a_deleted_collection_back(
    site: Site, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    site.upload("a.md", TEXT, "maps")
    upsert = site.store.upsert

    async def late(request: UpsertRequest, context: RequestContext) -> None:
        monkeypatch.setattr(site.store, "upsert", upsert)
        _, dropped = site.catalog.delete_collection("maps")
        with pytest.raises(CollectionNotFound):
            site.engine.delete_collection(dropped.collection, dropped.generation)
        if again:
            site.catalog.create_collection("maps")
            wanted = site.catalog.generation("maps")
            assert wanted is not None
            site.engine.ensure(wanted)
        await upsert(request, context)

    monkeypatch.setattr(site.store, "upsert", late)
    with pytest.raises(LeaseLost):
        await site.work()
    await site.settle()
    assert site.holding(WORDS) == []
    assert ("maps" in {held.collection for held in site.engine.stats()}) == again


async def test_a_worker_that_was_only_slow_cannot_bring_a_deleted_document_back(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = site.upload("a.md", TEXT, "maps")
    ensure = site.store.ensure

    async def late(request: EnsureCollection, context: RequestContext) -> None:
        monkeypatch.setattr(site.store, "ensure", ensure)
        site.catalog.delete(key)
        await site.work()
        await ensure(request, context)

    monkeypatch.setattr(site.store, "ensure", late)
    job = site.jobs.claim("slow")
    assert job is not None
    with pytest.raises(Exception, match="forgotten"):
        await site.pipeline.run(job)
    await site.settle()
    assert site.holding(WORDS) == []


async def test_a_document_that_is_deleted_while_it_is_tried_again_stays_deleted(site: Site) -> None:
    key = site.upload("a.md", TEXT)
    site.interventions.cancel_document(key)
    site.interventions.retry(key)
    job = site.jobs.claim("w")
    assert job is not None
    site.catalog.delete(key)
    with pytest.raises(LeaseLost):
        await site.pipeline.run(job)
    with pytest.raises(DocumentNotFound):
        site.interventions.retry(key)
    await site.settle()
    assert site.holding(WORDS) == []


async def test_an_upload_of_content_that_is_deleted_at_that_moment_keeps_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await site.index("a.md", TEXT)
    site.catalog.delete(key)
    acceptance = Acceptance(site.catalog, site.blobs)
    space = UploadSpace(site.folder / "uploads", 2**20)
    accept = site.catalog.accept

    def late(*given: Any) -> Any:
        while site.clearing.delete_some():
            pass
        assert not site.blobs.has(content_hash(TEXT.encode()))
        return accept(*given)

    monkeypatch.setattr(site.catalog, "accept", late)
    with SpooledUpload(space) as spooled:
        start, end = spooled.append(TEXT.encode())
        content = Content("b.md", "b.md", start, end, content_hash(TEXT.encode()), "text/markdown")
        acceptance.accept(Incoming("default", [content]), spooled)
    assert site.blobs.get(content_hash(TEXT.encode())).decode() == TEXT
    await site.work()
    assert [chunk.name for chunk in site.found("quay")] == ["b.md"]


def test_deletions_and_uploads_take_turns(site: Site) -> None:
    """Neither 2,000 deletions nor a stream of uploads delays the other."""
    texts = [site.upload(f"{number}.md", "text") for number in range(20)]
    while (job := site.jobs.claim("w")) is not None:
        site.jobs.fail(job, DocumentFault("no_text", "Nothing in it."), retryable=False)
    for key in texts:
        site.catalog.delete(key)
    kinds: list[JobKind] = []
    for number in range(12):
        site.upload(f"new-{number}.md", "text")
        kinds.append(claimed(site).kind)
    assert 5 <= kinds.count(JobKind.FORGET) <= 7
    assert all(JobKind.INDEX in kinds[at : at + 3] for at in range(0, 12, 3))


async def test_a_copy_that_cannot_be_finished_leaves_the_collection_whole(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await fill(site, "default")
    await site.index("kept.md", "The kept quay.")
    site.catalog.delete(key)
    await site.work()
    while sweep(site.engine, 200):
        pass

    def full(*_: object) -> None:
        raise StorageFull("The disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(Shard, "copy_into", full)
        assert rebuild(site.engine) is False, "it waits a little first"
        site.now_s += 10.0
        with pytest.raises(StorageFull):
            rebuild(site.engine)
    assert len(list((site.folder / "shards").iterdir())) == 1
    await site.index("more.md", "The kept quay has a sister.")
    assert {chunk.name for chunk in site.found("kept quay")} == {"kept.md", "more.md"}
    site.now_s += 120.0
    await site.settle()
    assert site.holding(WORDS) == []


async def test_a_copy_for_which_the_disk_has_no_room_is_not_begun(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.catalog.delete(await fill(site, "default"))
    await site.work()
    while sweep(site.engine, 200):
        pass
    assert not rebuild(site.engine)
    site.now_s += 10.0
    with monkeypatch.context() as patched:
        patched.setattr(rebuilding, "MARGIN_BYTES", 2**60)
        with pytest.raises(StorageFull, match="no room"):
            rebuild(site.engine)
    assert len(list((site.folder / "shards").iterdir())) == 1
    await site.settle()
    assert site.holding(WORDS) == []


async def half_copied(site: Site) -> Rebuild:
    """Add eight documents and begin a rebuild, whose copy of the folder holds all of them."""
    for number in range(8):
        await site.index(f"{number}.md", f"The old quay {number} {WORDS}Old.")
    site.catalog.delete(await fill(site, "default"))
    await site.work()
    while sweep(site.engine, 200):
        pass
    assert begin_rebuild(site.engine) is None, "it waits a little first"
    site.now_s += 10.0
    begun = begin_rebuild(site.engine)
    assert begun is not None
    return begun


async def test_what_changes_while_a_shard_is_copied_is_in_the_copy(site: Site) -> None:
    await half_copied(site)
    for number in range(8):
        await site.index(f"late-{number}.md", f"The late quay {number}.")
    for number in range(4):
        await site.index(f"{number}.md", f"The new quay {number}.")
    await site.settle()
    texts = sorted(
        [f"The old quay {n} {WORDS}Old." for n in range(4, 8)]
        + [f"The late quay {n}." for n in range(8)]
        + [f"The new quay {n}." for n in range(4)]
    )
    assert sorted(chunk.text for chunk in site.found("quay")) == texts
    site.reopen()
    assert sorted(chunk.text for chunk in site.found("quay")) == texts


async def test_what_is_deleted_while_a_shard_is_copied_goes_with_the_next_copy_also_after_a_restart(
    site: Site,
) -> None:
    begun = await half_copied(site)
    for number in range(8):
        site.catalog.delete(document_id("default", f"{number}.md"))
    await site.work()
    while sweep(site.engine, 200):
        pass
    finish_rebuild(site.engine, begun)
    assert [path.name for path in (site.folder / "shards").iterdir()] == [begun.folder]
    assert site.holding(WORDS), "the copy holds what was deleted after it was copied"
    site.reopen()
    await site.settle()
    assert site.holding(WORDS) == []


class Beats(JobLeases):
    """Job table that records which jobs' leases are renewed."""

    def __init__(self) -> None:
        self.beaten: list[tuple[int, int]] = []

    def heartbeat_several(self, several: Sequence[Job]) -> list[bool]:
        self.beaten += [job.lease for job in several]
        return [True] * len(several)


def test_a_job_that_is_claimed_again_by_the_same_process_keeps_its_heartbeat(site: Site) -> None:
    site.upload("a.md", "text")
    first = claimed(site)
    site.now_s += 31.0  # the machine was suspended
    second = claimed(site)
    assert first.id == second.id
    jobs = Beats()
    heartbeat = Heartbeat(jobs)
    with heartbeat.keeping(second, lambda: None):
        with heartbeat.keeping(first, lambda: None):
            pass
        heartbeat._beat(list(heartbeat._kept.values()))
    assert jobs.beaten == [second.lease]


def claimed(site: Site) -> Job:
    job = site.jobs.claim("w")
    assert job is not None
    return job
