"""Rebuild of one shard: a new shard without deleted points, and with an index when it is large, takes its place.

Qdrant Edge marks a deleted point but keeps its bytes in the segment and in the log; only a new shard is free of them.
Edge also holds the interpreter's lock while it builds an index. The new shard is therefore written by a child process
from a copy of the folder. The shard keeps serving meanwhile, and remembers which points change; these are carried over
before the new shard takes its place. If anything is killed on the way, the old shard is still the collection's shard,
and the unfinished folders are removed at the next start.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from argosy.contracts.errors import ArgosyError, Internal, StorageFull, Unavailable
from argosy.services.store.index_plan import IndexPlan
from argosy.services.store.rebuild_child import RebuildJob, RebuildProgress, Tell, build_in_child
from argosy.services.store.shard import Shard
from argosy.serving.sparse_copy import allocated_bytes, copy_folder

MARGIN_BYTES = 64 * 2**20
"""Disk space and memory that a rebuild leaves free, for updates that arrive meanwhile."""
COPIES = 2
"""Folders of the shard's size that a rebuild needs: the copy that the child reads, and the new shard."""
GRAPH_BYTES = 512
"""Memory for each point of a graph while it is built, beside its vector."""

Builder = Callable[[RebuildJob, Tell, Callable[[subprocess.Popen[bytes]], None]], None]


class Rebuild:
    """Rebuild of the shard of one collection.

    `copy` and `build` block for long and run on a thread of their own; no update of the shard and no flush may run
    during `copy`. The other methods run on the engine's thread.
    """

    def __init__(
        self, name: str, source: Shard, folder: Path, dimensions: int, plan: IndexPlan, began_s: float
    ) -> None:
        """Begin to rebuild the shard in `folder`; the new folders are beside it.

        Raises: StorageFull when the disk has too little room; Unavailable when the machine has too little memory.
        """
        self.points = source.points()
        require_room(folder, self.points, dimensions, plan)
        self.name = name
        self.source = source
        self.began_s = began_s
        self.progress = RebuildProgress("waiting")
        self.plan = plan
        self.reclaims = False
        """Whether the files of the shard contain deleted points."""
        self._original = folder
        self._copy = folder.parent / uuid4().hex
        self._new = folder.parent / uuid4().hex
        self._dimensions = dimensions
        self._child: subprocess.Popen[bytes] | None = None
        self._abandoned = False
        self.target: Shard | None = None
        source.note_changes()

    @property
    def folders(self) -> list[str]:
        """Names of the folders that belong to this rebuild."""
        return [self._copy.name, self._new.name]

    @property
    def folder(self) -> str:
        """Name of the folder of the new shard."""
        return self._new.name

    def copy(self) -> None:
        """Copy the shard's folder. The copy is what a kill of the process would leave, so the child can open it.

        Raises: StorageFull when the disk is full; Internal when it fails.
        """
        self.progress = RebuildProgress("copying files")
        try:
            copy_folder(self._original, self._copy)
        except OSError as error:
            if shutil.disk_usage(self._original.parent).free < MARGIN_BYTES:
                raise StorageFull("The disk is full, so a collection's index cannot be rewritten.") from error
            raise Internal("The disk failed, so a collection's index cannot be rewritten.") from error

    def build(self, builder: Builder = build_in_child) -> None:
        """Let the child write the new shard. Raises: Internal when the child fails or the rebuild was abandoned."""
        builder(RebuildJob(str(self._copy), str(self._new), self._dimensions, self.plan), self._tell, self._started)
        shutil.rmtree(self._copy, ignore_errors=True)

    def open(self) -> None:
        """Open the new shard. Raises: Internal when it cannot be used or the rebuild was abandoned."""
        if self._abandoned:
            raise Internal("The rebuild of the collection's index was abandoned.")
        self.progress = RebuildProgress("carrying over")
        with self.source.calls.marked("open"):
            self.target = Shard.open(self._new, self._dimensions, self.source.calls)

    def carry_over(self, limit: int) -> int:
        """Carry up to `limit` changes over to the new shard. Returns: the number of changes that are left."""
        if self.target is None:
            raise Internal("The rebuild of the collection's index was abandoned.")
        require_disk(self._new.parent, 0)
        self.source.carry_over(self.target, limit)
        return self.source.changes

    def abandon(self) -> None:
        """Kill the child and close the new shard. The folders are orphans then."""
        self.kill()
        self.source.forget_changes()
        if self.target is not None:
            with contextlib.suppress(ArgosyError):
                self.target.close()
            self.target = None

    def kill(self) -> None:
        """End the child, if it runs, so that `build` fails. Any thread may call this."""
        self._abandoned = True
        if self._child is not None:
            self._child.kill()

    def sync(self) -> None:
        """Make what was carried over survive a loss of power. Runs on the thread of `build`."""
        if self.target is not None:
            self.target.sync_log()

    def _tell(self, progress: RebuildProgress) -> None:
        self.progress = progress

    def _started(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child
        if self._abandoned:
            child.kill()


def require_room(folder: Path, points: int, dimensions: int, plan: IndexPlan) -> None:
    """Check the free disk space and memory for a rebuild.

    Raises: StorageFull when the disk has too little room; Unavailable when the machine has too little memory.
    """
    require_disk(folder.parent, COPIES * allocated_bytes(folder))
    needed = points * (dimensions * 4 + GRAPH_BYTES) + MARGIN_BYTES if plan.graph else MARGIN_BYTES
    free = free_memory_bytes()
    if free is not None and free < needed:
        raise Unavailable(
            f"The index of a collection needs {_mb(needed)} of memory to be rewritten, and the machine has {_mb(free)} "
            "free. Free memory, or raise services.store.flat_points."
        )


def require_disk(folder: Path, size_bytes: int) -> None:
    """Check the free disk space. A full disk would kill the process, because shards are written through memory maps.

    Raises: StorageFull when the space is not sufficient.
    """
    needed, free = size_bytes + MARGIN_BYTES, shutil.disk_usage(folder).free
    if free < needed:
        raise StorageFull(
            f"The disk has no room to rewrite a collection's index: that needs {_mb(needed)}, and {_mb(free)} are "
            "free. Free disk space."
        )


def free_memory_bytes() -> int | None:
    """Return the memory that processes can still get; None where the system does not tell."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(":")
            if name == "MemAvailable":
                return int(value.split()[0]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None


def _mb(size_bytes: int) -> str:
    return f"{-(-size_bytes // 2**20)} MB"
