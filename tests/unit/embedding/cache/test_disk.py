"""Tests of level 2 with a real file in a temporary folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from argosy.contracts.embedding import TextKind
from argosy.services.embedding.cache import file as file_module
from argosy.services.embedding.cache.disk import LOG_BYTES, USE_FLUSH_S, USE_STEP_S, DiskLevel
from argosy.services.embedding.cache.keys import Keys
from argosy.services.embedding.cache.rows import Precision
from argosy.services.embedding.cache.session import RETRY_S
from argosy.services.embedding.cache.statistics import DiskState
from tests.unit.embedding.cache.vectors import INFO, cached, is_nearly_of, is_of

pytestmark = pytest.mark.unit

FOREVER = float("inf")
TEXTS = [f"text {n}" for n in range(300)]
_keys = Keys(INFO, policy="truncate")


class Clock:
    def __init__(self, now_s: float) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


def key(text: str) -> bytes:
    return _keys.key(text, TextKind.PASSAGE)


@contextlib.contextmanager
def level(
    folder: Path,
    *,
    limit_bytes: int = 64 * 2**20,
    precision: Precision = "float32",
    ttl_s: float = FOREVER,
    wall: Callable[[], float] | None = None,
    monotonic: Callable[[], float] | None = None,
) -> Iterator[DiskLevel]:
    clocks: dict[str, Any] = {"wall": wall, "monotonic": monotonic}
    disk = DiskLevel(
        folder / "cache.db",
        limit_bytes=limit_bytes,
        precision=precision,
        ttl_s=ttl_s,
        **{name: clock for name, clock in clocks.items() if clock is not None},
    )
    with contextlib.closing(disk):
        yield disk


def write(disk: DiskLevel, texts: list[str]) -> None:
    disk.write([(key(text), cached(text)) for text in texts])
    assert disk.flush(30.0)


def read(disk: DiskLevel, texts: list[str]) -> set[str]:
    """Return the texts found. Fail when a vector belongs to another text."""
    found = disk.read_now([key(text) for text in texts])
    by_key = {key(text): text for text in texts}
    assert all(is_of(row.value, by_key[name]) for name, row in found.items())
    return {by_key[name] for name in found}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder as `kill -9` leaves it: some rows in the file, some in its log."""
    live, copied = tmp_path_factory.mktemp("live"), tmp_path_factory.mktemp("copied") / "data"
    with level(live) as disk:
        write(disk, TEXTS[:200])
    with level(live) as disk:
        write(disk, TEXTS[200:])
        shutil.copytree(live, copied, symlinks=True)
    assert (copied / "cache.db.1-wal").stat().st_size > 0
    return copied


def test_vectors_outlive_the_process_and_come_from_the_log_as_well(filled: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(filled, tmp_path / "data", symlinks=True)
    with level(folder) as disk:
        assert read(disk, [*TEXTS, "never seen"]) == set(TEXTS)


def test_float16_comes_back_renormalised(tmp_path: Path) -> None:
    with level(tmp_path, precision="float16") as disk:
        write(disk, TEXTS)
        found = disk.read_now([key(text) for text in TEXTS])
        assert all(is_nearly_of(found[key(text)].value, text) for text in TEXTS)


def test_the_files_are_the_owners_alone(tmp_path: Path) -> None:
    with level(tmp_path) as disk:
        write(disk, TEXTS)
        assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_two_replicas_write_and_each_finds_what_the_other_wrote(tmp_path: Path) -> None:
    with level(tmp_path) as one, level(tmp_path) as other:
        for start in range(0, 300, 20):
            one.write([(key(text), cached(text)) for text in TEXTS[start : start + 12]])
            other.write([(key(text), cached(text)) for text in TEXTS[start + 8 : start + 20]])
        assert one.flush(30.0)
        assert other.flush(30.0)
        assert read(one, TEXTS) == read(other, TEXTS) == set(TEXTS)


def test_the_file_stays_within_its_bytes_and_keeps_what_was_used_last(tmp_path: Path) -> None:
    limit_bytes, wall, monotonic = 2 * 2**20, Clock(1e9), Clock(0.0)
    with level(tmp_path, limit_bytes=limit_bytes, wall=wall, monotonic=monotonic) as disk:
        for batch in range(20):
            wall.now_s += USE_STEP_S + 1
            monotonic.now_s += USE_FLUSH_S
            disk.touch(key("0 0"))
            write(disk, [f"{batch} {n}" for n in range(250)])
            assert read(disk, ["0 0"]) == {"0 0"}
        counts = disk.counts()
        assert counts.evictions > 1000
        assert counts.bytes_used <= limit_bytes * 1.2
        assert len(read(disk, [f"19 {n}" for n in range(250)])) == 250
        assert read(disk, [f"1 {n}" for n in range(250)]) == set()
    assert sum(path.stat().st_size for path in tmp_path.iterdir() if not path.is_symlink()) <= limit_bytes


def test_a_lower_limit_shrinks_the_file(tmp_path: Path) -> None:
    texts = [f"text {n}" for n in range(4000)]
    with level(tmp_path) as disk:
        write(disk, texts)
    before = (tmp_path / "cache.db").stat().st_size
    limit_bytes = before // 2
    with level(tmp_path, limit_bytes=limit_bytes) as disk:
        write(disk, ["one more"])
        for n in range(8):
            write(disk, [f"and {n}"])
    assert (tmp_path / "cache.db").stat().st_size <= limit_bytes


def test_a_vector_ends_with_its_time(tmp_path: Path) -> None:
    wall = Clock(1e9)
    with level(tmp_path, ttl_s=100.0, wall=wall) as disk:
        write(disk, TEXTS)
        wall.now_s += 99
        assert read(disk, TEXTS) == set(TEXTS)
        wall.now_s += 1
        assert read(disk, TEXTS) == set()
        assert disk.flush(30.0)
        wall.now_s -= 50
        assert read(disk, TEXTS) == set()


def test_a_clock_that_goes_back_makes_nothing_older_and_nothing_wrong(tmp_path: Path) -> None:
    wall = Clock(1e9)
    with level(tmp_path, ttl_s=100.0, wall=wall) as disk:
        write(disk, TEXTS)
        wall.now_s -= 1e6
        assert read(disk, TEXTS) == set(TEXTS)
        write(disk, ["later"])
        assert read(disk, ["later"]) == {"later"}


def target(folder: Path) -> Path:
    return (folder / "cache.db").resolve()


def assert_up(disk: DiskLevel) -> None:
    """Assert that the level works: it stores rows again, whatever it lost."""
    for _ in range(3):
        write(disk, ["new"])
        if read(disk, ["new"]):
            return
    raise AssertionError("nothing that is written is found")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.data(),
    name=st.sampled_from(["cache.db.1", "cache.db.1", "cache.db.1-wal"]),
    how=st.sampled_from(["byte", "truncate", "block", "header"]),
    running=st.booleans(),
)
def test_damage_anywhere_never_lets_a_wrong_vector_out(
    filled: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, name: str, how: str, running: bool
) -> None:
    folder = shutil.copytree(filled, tmp_path_factory.mktemp("damage") / "data", symlinks=True)

    def damage() -> None:
        path = folder / name
        if not path.exists():
            return
        size = path.stat().st_size
        at = data.draw(st.integers(0, 99 if how == "header" else max(0, size - 1)), label="at")
        if how == "truncate":
            os.truncate(path, at)
            return
        content = data.draw(st.binary(min_size=1, max_size=1 if how in ("byte", "header") else 5000), label="content")
        with path.open("r+b") as opened:
            opened.seek(at)
            opened.write(content)

    if not running:
        damage()
    with level(folder) as disk:
        if running:
            read(disk, TEXTS[:50])
            damage()
        read(disk, TEXTS)
        write(disk, TEXTS[:40])
        read(disk, TEXTS)
        assert_up(disk)
    with level(folder) as disk:
        read(disk, TEXTS)
        assert_up(disk)
    shutil.rmtree(folder)


def not_a_database(path: Path) -> None:
    path.write_bytes(b"This is a text and not a database.\n" * 500)


def of_another_version(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version=99")


def without_its_table(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE vectors")
        connection.commit()


@pytest.mark.parametrize("damage", [not_a_database, of_another_version, without_its_table])
def test_a_file_that_is_no_cache_is_set_aside_and_one_of_them_is_kept(
    filled: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    folder = shutil.copytree(filled, tmp_path / "data", symlinks=True)
    for _ in range(3):
        damage(target(folder))
        with level(folder) as disk:
            assert read(disk, TEXTS) == set()
            assert_up(disk)
            assert disk.counts().damaged_files == 1
            assert disk.counts().state is DiskState.READY
    assert len(list(folder.glob("cache.db.*.damaged"))) == 1


def test_damage_under_two_replicas_is_set_aside_once_and_both_go_on(filled: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(filled, tmp_path / "data", symlinks=True)
    with level(folder) as one, level(folder) as other:
        assert read(one, TEXTS) == read(other, TEXTS) == set(TEXTS)
        path = target(folder)
        path.write_bytes(b"\xa5" * path.stat().st_size)
        for disk in (one, other):
            read(disk, TEXTS)
            assert_up(disk)
        write(one, TEXTS)
        assert read(other, TEXTS) == set(TEXTS)
        assert one.counts().damaged_files + other.counts().damaged_files == 1
    with level(folder) as disk:
        assert read(disk, TEXTS) == set(TEXTS)


def test_a_file_that_is_deleted_while_in_use_is_begun_anew(filled: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(filled, tmp_path / "data", symlinks=True)
    with level(folder) as disk:
        assert read(disk, TEXTS) == set(TEXTS)
        for path in folder.iterdir():
            path.unlink()
        assert_up(disk)
    assert (folder / "cache.db").exists()


def test_a_copy_without_its_link_is_taken_over(filled: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(filled, tmp_path / "data", symlinks=False)
    with level(folder) as disk:
        assert set(TEXTS[:200]) <= read(disk, TEXTS)
    assert (folder / "cache.db").is_symlink()


def test_a_row_with_a_wrong_checksum_is_a_miss_and_deleted(tmp_path: Path) -> None:
    with level(tmp_path) as disk:
        write(disk, TEXTS)
        with contextlib.closing(sqlite3.connect(tmp_path / "cache.db")) as connection:
            connection.execute(
                "UPDATE vectors SET value = (SELECT value FROM vectors WHERE key = ?) WHERE key = ?",
                (key("text 1"), key("text 0")),
            )
            connection.commit()
        assert read(disk, TEXTS) == set(TEXTS[1:])
        assert disk.flush(30.0)
        assert disk.counts().damaged_values == 1
        read(disk, TEXTS)
        assert disk.counts().damaged_values == 1


def test_a_full_disk_pauses_writing_and_space_mends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, clock, full = file_module._open, Clock(0.0), [True]

    def small(path: Path, log_bytes: int) -> sqlite3.Connection:
        connection = real(path, log_bytes)
        if full[0]:
            connection.execute("PRAGMA max_page_count=40")
        return connection

    monkeypatch.setattr(file_module, "_open", small)
    with level(tmp_path, monotonic=clock) as disk:
        write(disk, TEXTS[:100])
        write(disk, [f"more {n}" for n in range(2000)])
        assert disk.counts().state is DiskState.PAUSED
        assert disk.counts().dropped_writes >= 256
        full[0] = False
        clock.now_s += RETRY_S
        write(disk, ["later"])
        assert disk.counts().state is DiskState.READY
        assert read(disk, [*TEXTS[:100], "later"]) == {*TEXTS[:100], "later"}


def test_a_folder_that_nobody_can_write_to_is_a_pause(tmp_path: Path) -> None:
    with level(tmp_path / "not there") as disk:
        write(disk, TEXTS)
        assert read(disk, TEXTS) == set()
        assert disk.counts().state is DiskState.PAUSED
        assert disk.counts().dropped_writes == len(TEXTS)


def test_what_the_writer_has_no_room_for_is_dropped_and_counted(tmp_path: Path) -> None:
    with level(tmp_path) as disk:
        value = cached("sea")
        disk.write([(n.to_bytes(16, "little"), value) for n in range(20_000)])
        assert disk.flush(30.0)
        assert disk.counts().dropped_writes >= 20_000 - 8192 - 256
        assert disk.counts().bytes_used <= 64 * 2**20 + LOG_BYTES
