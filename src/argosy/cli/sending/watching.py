"""Detection of changes below some paths."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

DEBOUNCE_MS = 500
"""Time within which changes count as one: an editor writes a file in several steps."""
TICK_MS = 500


def changes(paths: Sequence[Path], follow_symlinks: bool = False) -> Iterator[bool]:
    """Yield whether anything changed, every TICK_MS and after each change, until Ctrl-C.

    The first value comes once the watch is active, so later changes are not missed. A path that disappears and comes
    back, like a mount, is watched again. The library follows symbolic links out of a folder that it watches
    recursively; without `follow_symlinks` each subfolder is therefore watched separately.
    """
    from watchfiles import Change, watch

    missed = False
    while True:
        before = _identities(paths)
        there = [path for path in paths if before[path] is not None]
        if not there:
            time.sleep(TICK_MS / 1000)
            yield missed
            missed = _identities(paths) != before
            continue
        roots = {Path(os.path.abspath(path)) for path in there}
        for seen in watch(
            *(there if follow_symlinks else _folders(there)),
            debounce=DEBOUNCE_MS,
            rust_timeout=TICK_MS,
            yield_on_timeout=True,
            watch_filter=None,
            recursive=follow_symlinks,
        ):
            told = {Path(os.path.abspath(path)) for _, path in seen}
            moved = bool(told & roots) or _identities(paths) != before
            if not follow_symlinks:
                added = {Path(os.path.abspath(path)) for change, path in seen if change is Change.added}
                moved = moved or any(_is_folder(path) and _counts(path, roots) for path in added)
            yield missed or moved or any(_counts(path, roots) for path in told)
            missed = moved  # changes until the next round of the outer loop would be missed
            if moved:
                break


def _folders(paths: Sequence[Path]) -> list[Path]:
    """Return the paths and all folders below them that are neither hidden nor links."""
    found = list(paths)
    for path in paths:
        for parent, folders, _ in os.walk(path):
            folders[:] = [name for name in folders if not name.startswith(".") and _is_folder(Path(parent, name))]
            found += [Path(parent, name) for name in folders]
    return found


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _identities(paths: Sequence[Path]) -> dict[Path, tuple[int, int] | None]:
    """Return device and inode of each path; None when the path does not exist."""
    found: dict[Path, tuple[int, int] | None] = {}
    for path in paths:
        try:
            stat = path.stat()
        except OSError:
            found[path] = None
        else:
            found[path] = (stat.st_dev, stat.st_ino)
    return found


def _counts(path: Path, roots: Collection[Path]) -> bool:
    """Return whether a change of the path matters. Hidden paths below a root do not: they are never sent."""
    for root in roots:
        if path.is_relative_to(root):
            return not any(part.startswith(".") for part in path.relative_to(root).parts)
    return True
