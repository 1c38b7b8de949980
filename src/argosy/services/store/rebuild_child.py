"""Child process that writes a shard anew: without deleted points, and with a vector index when it is large.

It is started as `python -m argosy.services.store.rebuild_child JOB`, with the job as JSON. It reads a copy of the
shard, runs at low priority, dies with its parent, and prints its progress as one JSON line for each step. Only its exit
status 0 means that the new shard is complete and on disk.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from argosy.contracts.errors import Internal
from argosy.services.store.index_plan import BuiltIndex, IndexPlan, write_built
from argosy.services.store.shard import Shard
from argosy.serving.child_process import die_with_parent

RECALL_SAMPLES = 100
NICENESS = 5
"""Priority of the child: below that of processes that serve, and enough to finish on a busy machine."""
TELL_POINTS = 2000


class RebuildJob(msgspec.Struct, frozen=True):
    """Shard to write anew: `source` is a copy that nothing else uses, `target` the folder of the new shard."""

    source: str
    target: str
    dimensions: int
    plan: IndexPlan


class RebuildProgress(msgspec.Struct, frozen=True):
    """Progress of the child: its stage, and the number of points copied so far."""

    stage: str
    points: int = 0


Tell = Callable[[RebuildProgress], None]


def build(job: RebuildJob, tell: Tell) -> None:
    """Write the new shard and sync it. Blocks, and holds the interpreter's lock for minutes."""
    began_s = time.monotonic()
    source = Shard.open(Path(job.source), job.dimensions)
    target = Shard.create(Path(job.target), job.dimensions, plan=job.plan)

    def copied(points: int) -> None:
        if points % TELL_POINTS == 0:
            tell(RebuildProgress("copying", points))

    source.copy_into(target, copied)
    points = target.points()
    recall = None
    if job.plan.graph:
        tell(RebuildProgress("indexing", points))
        target.optimize()
        tell(RebuildProgress("measuring", points))
        recall = target.recall(RECALL_SAMPLES)
    target.flush()
    target.close()
    source.close()
    write_built(Path(job.target), BuiltIndex(job.plan, points, recall, time.monotonic() - began_s))
    target.write_back()
    _sync_folders(Path(job.target))


def build_in_child(job: RebuildJob, tell: Tell, started: Callable[[subprocess.Popen[bytes]], None]) -> None:
    """Run `build` in a child process and wait for it. `started` gets the process, so that it can be killed.

    Raises: Internal when the child fails or is killed.
    """
    command = [sys.executable, "-m", __name__, msgspec.json.encode(job).decode()]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as child:
        try:
            started(child)
            for line in child.stdout or ():
                tell(msgspec.json.decode(line, type=RebuildProgress))
        except BaseException:
            child.kill()
            raise
    if child.returncode != 0:
        raise Internal("The process that rewrites a collection's index failed; it is tried again later.")


def _sync_folders(top: Path) -> None:
    for folder in (top.parent, top, *(path for path in top.rglob("*") if path.is_dir())):
        handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _tell(progress: RebuildProgress) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(progress) + b"\n")
    sys.stdout.buffer.flush()


def main() -> None:
    """Do the job of the first argument."""
    die_with_parent()
    os.nice(NICENESS)
    build(msgspec.json.decode(sys.argv[1], type=RebuildJob), _tell)


if __name__ == "__main__":
    main()
