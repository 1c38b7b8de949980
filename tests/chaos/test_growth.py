"""kill -9 during rebuilds, backups and restorations: nothing is lost, and nothing half done looks whole."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from argosy.cli.snapshot.verify import verify_backup
from argosy.contracts.store import StoreSearchRequest
from argosy.services.store.engine import StoreEngine
from tests.security.kit import Site, quick_folder

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

ROUNDS = 6
STORE = """
import sys, uuid, numpy as np
from pathlib import Path
from argosy.contracts.store import Chunk, EnsureCollection, PublishRequest, UpsertRequest
from argosy.services.store.engine import StoreEngine
from argosy.services.store.rebuild_child import build_in_child
from tests.store_steps import begin_rebuild, finish_rebuild, sweep
folder, first = Path(sys.argv[1]), int(sys.argv[2])
now_s = 0.0
engine = StoreEngine(folder, lambda: now_s, flat_points=100)
engine.ensure(EnsureCollection("c"))
def add(n):
    key = str(uuid.UUID(int=n + 1))
    row = np.random.default_rng(n).standard_normal(8).astype("<f4").tobytes()
    engine.upsert(UpsertRequest("c", "m", 8, [Chunk(key, f"d{n}", 1, 0, "", "", f"ship{n}", 0, 1)], row))
    engine.publish(PublishRequest("c", f"d{n}", 1, 1))
    print(n, flush=True)
n = first
for _ in range(150):
    add(n); n += 1
while True:
    now_s += 1000.0
    engine._publication.soil("c")
    begun = begin_rebuild(engine)
    for _ in range(5):
        add(n); n += 1
    if begun is not None:
        print("building", flush=True)
        finish_rebuild(engine, begun, build_in_child)
"""


def test_a_store_that_is_killed_during_rebuilds_keeps_every_published_document(tmp_path: Path) -> None:
    randomness, published = random.Random(5), set[int]()
    for _ in range(ROUNDS):
        first = max(published, default=-1) + 1
        with subprocess.Popen(
            [sys.executable, "-c", STORE, str(tmp_path), str(first)], stdout=subprocess.PIPE, text=True
        ) as store:
            assert store.stdout is not None
            building = False
            for line in store.stdout:
                if line.strip().isdigit():
                    published.add(int(line))
                else:
                    building = True
                if building:
                    break
            time.sleep(randomness.uniform(0.0, 1.5))
            store.send_signal(signal.SIGKILL)
            rest = store.stdout.read().split()
            published.update(int(word) for word in rest if word.isdigit())
        assert building
        engine = StoreEngine(tmp_path)
        found = {d for d, decision in engine._publication.decisions("c").items() if decision.visible}
        assert {f"d{n}" for n in published} <= found
        for n in randomness.sample(sorted(published), 20):
            answer = engine.search(StoreSearchRequest("c", 1, text=f"ship{n}"))
            assert len(answer.chunks) == 1
        assert len(list((tmp_path / "shards").iterdir())) == 1
        engine.close()


def _run_and_kill(arguments: list[str], after_s: float | None) -> bool:
    """Run a command and kill it after a time, unless that is None. Returns: whether it had ended before."""
    with subprocess.Popen(
        [sys.executable, "-m", "argosy.cli", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as command:
        try:
            command.wait(after_s)
        except subprocess.TimeoutExpired:
            command.kill()
            return False
        assert command.returncode == 0
        return True


async def test_a_killed_backup_or_restoration_never_looks_whole() -> None:
    randomness = random.Random(9)
    with quick_folder() as folder:
        site = Site(folder / "data")
        for number in range(30):
            await site.index(f"{number}.md", f"The quay {number} has ships. " * 50)
        site.close()
        whole, backup, again = folder / "whole", folder / "copy", folder / "again"
        began_s = time.monotonic()
        assert _run_and_kill(["state", "backup", str(whole), "--data-dir", str(folder / "data")], None)
        took_s = time.monotonic() - began_s
        for _ in range(ROUNDS):
            after_s = randomness.uniform(0.4, 1.1) * took_s
            ended = _run_and_kill(["state", "backup", str(backup), "--data-dir", str(folder / "data")], after_s)
            assert not ended or _exists(backup)
            if _exists(backup):
                assert verify_backup(backup, lambda stage: None) == []
            after_s = randomness.uniform(0.4, 1.1) * took_s
            restored = _run_and_kill(["state", "restore", str(whole), "--data-dir", str(again)], after_s)
            assert not restored or _exists(again)
            if _exists(again):
                copy = Site(again)
                assert [stats.documents for stats in copy.engine.stats()] == [30]
                assert copy.found("quay")
                copy.close()
            _remove(backup, again)
        assert _run_and_kill(["state", "backup", str(backup), "--data-dir", str(folder / "data")], None)
        assert _run_and_kill(["state", "restore", str(backup), "--data-dir", str(again)], None)
        assert _names(folder) == ["again", "copy", "data", "whole"], "remains of killed commands are removed"


def _exists(folder: Path) -> bool:
    return folder.exists()


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _remove(*folders: Path) -> None:
    subprocess.run(["rm", "-rf", *map(os.fspath, folders)], check=True)
