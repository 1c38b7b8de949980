"""Processes that share the cache's file are killed while they write, and the file is damaged while they use it.

The test runs three rounds, fifty when ARGOSY_SOAK is set. A writer is this file, run as a program.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from argosy.contracts.embedding import TextKind
from argosy.services.embedding.cache.disk import DiskLevel
from argosy.services.embedding.cache.entry import CachedVector
from argosy.services.embedding.cache.keys import Keys
from argosy.services.embedding.cache.rows import Precision
from tests.unit.embedding.cache.vectors import INFO, cached, is_nearly_of, is_of

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

ROUNDS = 50 if os.environ.get("ARGOSY_SOAK") else 3
ROOT = Path(__file__).resolve().parents[2]
UNIVERSE = 6000
LIMIT_BYTES = 2 * 2**20
WRONG_VECTOR = 3

_keys = Keys(INFO, policy="truncate")
TEXTS = [f"text {n}" for n in range(UNIVERSE)]
KEYS = [_keys.key(text, TextKind.PASSAGE) for text in TEXTS]


def opened(folder: Path, precision: Precision) -> DiskLevel:
    return DiskLevel(folder / "cache.db", limit_bytes=LIMIT_BYTES, precision=precision, ttl_s=float("inf"))


def right(value: CachedVector, text: str, precision: Precision) -> bool:
    return is_of(value, text) if precision == "float32" else is_nearly_of(value, text)


def all_right(disk: DiskLevel, precision: Precision) -> tuple[bool, int]:
    """Return whether every vector found belongs to its text, and how many are found."""
    found = disk.read_now(KEYS)
    text_of = dict(zip(KEYS, TEXTS, strict=True))
    return all(right(row.value, text_of[key], precision) for key, row in found.items()), len(found)


def write_until_killed(folder: Path, precision: Precision, seed: int) -> None:
    """Write batches and print a line for each. The file is small, so that evictions happen all the time."""
    rng, disk = random.Random(seed), opened(folder, precision)
    while True:
        chosen = rng.sample(range(UNIVERSE), 100)
        disk.write([(KEYS[n], cached(TEXTS[n])) for n in chosen])
        found = disk.read_now([KEYS[n] for n in chosen])
        if not all(right(found[KEYS[n]].value, TEXTS[n], precision) for n in chosen if KEYS[n] in found):
            os._exit(WRONG_VECTOR)
        sys.stdout.write(f"{len(found)}\n")
        sys.stdout.flush()


@contextlib.contextmanager
def writer(folder: Path, precision: Precision, seed: int) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.test_cache_writes", folder, precision, str(seed)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))},
        stdout=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(process: subprocess.Popen[bytes], batches: int) -> None:
    assert process.stdout is not None
    for _ in range(batches):
        assert process.stdout.readline(), f"the writer ended with {process.wait()}"


def test_kill_during_writes_never_lets_a_wrong_vector_out(tmp_path: Path) -> None:
    rng = random.Random(ROUNDS)
    for turn in range(ROUNDS):
        precision: Precision = "float16" if turn % 2 else "float32"
        folder = tmp_path / precision
        folder.mkdir(exist_ok=True)
        with writer(folder, precision, turn) as one, writer(folder, precision, -1 - turn) as other:
            wait_for(one, rng.randint(2, 20))
            one.kill()
            wait_for(other, rng.randint(2, 20))
            other.kill()
        with contextlib.closing(opened(folder, precision)) as disk:
            fine, found = all_right(disk, precision)
            assert fine
            assert found > 100
            counts = disk.counts()
            assert (counts.damaged_values, counts.damaged_files) == (0, 0)


def test_damage_under_running_processes_never_lets_a_wrong_vector_out(tmp_path: Path) -> None:
    rng = random.Random(ROUNDS)
    with writer(tmp_path, "float32", 1) as one, writer(tmp_path, "float32", 2) as other:
        for _ in range(ROUNDS):
            for process in (one, other):
                wait_for(process, 8)
            target = (tmp_path / "cache.db").resolve()
            with contextlib.suppress(FileNotFoundError), target.open("r+b") as file:
                file.seek(rng.randrange(target.stat().st_size or 1))
                file.write(rng.randbytes(20_000))
            for process in (one, other):
                wait_for(process, 8)
        assert one.poll() is None
        assert other.poll() is None
    with contextlib.closing(opened(tmp_path, "float32")) as disk:
        assert all_right(disk, "float32")[0]
        disk.write([(KEYS[0], cached(TEXTS[0]))])
        assert disk.flush(30.0)
        disk.write([(KEYS[0], cached(TEXTS[0]))])
        assert disk.flush(30.0)
        assert KEYS[0] in disk.read_now([KEYS[0]])


if __name__ == "__main__":
    _, _folder, _precision, _seed = sys.argv
    write_until_killed(Path(_folder), "float16" if _precision == "float16" else "float32", int(_seed))
