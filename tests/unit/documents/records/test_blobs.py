from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from argosy.contracts.errors import NotFound, StorageFull
from argosy.services.documents.records.blobs import BlobStore, content_hash

pytestmark = pytest.mark.unit


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def blobs(tmp_path: Path, clock: Clock) -> BlobStore:
    return BlobStore(tmp_path / "blobs", clock)


def test_what_was_put_can_be_got_by_its_hash(blobs: BlobStore, tmp_path: Path) -> None:
    key = blobs.put(b"log of the Halcyon Tern")
    assert key == content_hash(b"log of the Halcyon Tern")
    assert blobs.get(key) == b"log of the Halcyon Tern"
    path = tmp_path / "blobs" / key[:2] / key
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "blobs").stat().st_mode & 0o777 == 0o700


def test_the_same_content_is_kept_once(blobs: BlobStore) -> None:
    assert blobs.put(b"same") == blobs.put(b"same")
    assert list(blobs.keys()) == [content_hash(b"same")]


def test_deleting_spares_what_was_put_again_lately(blobs: BlobStore, clock: Clock) -> None:
    key = blobs.put(b"old")
    clock.now += 1000
    assert blobs.put(b"old") == key
    clock.now += 10
    assert not blobs.delete(key, min_age_s=600)
    assert blobs.get(key) == b"old"
    clock.now += 600
    assert blobs.delete(key, min_age_s=600)
    assert blobs.delete(key)
    with pytest.raises(NotFound):
        blobs.get(key)


@pytest.mark.parametrize("key", ["../../etc/passwd", "", "A" * 64, "0" * 63])
def test_a_key_that_is_no_hash_reaches_no_file(blobs: BlobStore, key: str) -> None:
    with pytest.raises(NotFound):
        blobs.get(key)


def test_a_full_disk_leaves_nothing_behind(blobs: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        if stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFull, match="disk is full"):
        blobs.put(b"too much")
    monkeypatch.undo()
    assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []


def test_an_interrupted_write_is_cleared_a_day_later(blobs: BlobStore, tmp_path: Path, clock: Clock) -> None:
    key = blobs.put(b"whole")
    left = tmp_path / "blobs" / key[:2] / ".writing-abc"
    left.write_bytes(b"ha")
    os.utime(left, (clock.now, clock.now))
    clock.now += 3600
    assert list(blobs.keys()) == [key]
    assert left.exists()
    clock.now += 90_000
    assert list(blobs.keys()) == [key]
    assert not left.exists()


def test_several_contents_are_put_at_once_each_under_its_own_hash(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path)
    contents = [b"one", b"two", b"one", b"three" * 10_000]
    keys = blobs.put_all(contents)
    assert keys == [content_hash(data) for data in contents]
    assert [blobs.get(key) for key in keys] == contents
    assert sorted(blobs.keys()) == sorted(set(keys))


def test_everything_durable_is_synced_before_put_returns_and_nothing_else_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []

    def note(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))

    monkeypatch.setattr(os, "fsync", note)
    blobs = BlobStore(tmp_path)
    blobs.put_all([b"may be lost", b"this too"], durable=False)
    assert synced == []
    keys = blobs.put_all([b"one", b"two"])
    files = [path for path in synced if ".writing-" in path]
    assert len(files) == 2
    assert {str(tmp_path / key[:2]) for key in keys} <= set(synced)


def test_content_that_a_power_cut_damaged_is_not_given_out_as_verified_and_can_be_put_again(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path)
    key = blobs.put(b"vectors", durable=False)
    for damaged in (b"", b"\0\0\0\0\0\0\0"):
        (tmp_path / key[:2] / key).write_bytes(damaged)
        with pytest.raises(NotFound):
            blobs.get(key, verified=True)
        assert blobs.put(b"vectors", durable=False) == key
        assert blobs.get(key, verified=True) == b"vectors"
    (tmp_path / key[:2] / key).write_bytes(b"")
    assert blobs.put(b"vectors") == key
    assert blobs.get(key) == b"vectors"
