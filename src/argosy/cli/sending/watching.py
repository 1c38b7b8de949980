"""When something below some paths changes, for as long as anybody wants to know."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

DEBOUNCE_MS = 500
"""Changes this close together are one: an editor writes a file in several steps."""
TICK_MS = 500


def changes(paths: Sequence[Path], follow_symlinks: bool = False) -> Iterator[bool]:
    """Whether anything changed, every TICK_MS and whenever something did; ends with Ctrl-C.

    The first answer comes once it watches: what is done after it is not missed. A path that goes away and comes back,
    as a mounted one does, is watched again. The library follows symbolic links out of a folder that it watches as a
    whole, so without `follow_symlinks` it is given each folder below by itself.
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
            missed = moved  # nobody watched from then until the next round of the outer loop
            if moved:
                break


def _folders(paths: Sequence[Path]) -> list[Path]:
    """The paths, and every folder below them that is neither hidden nor a link."""
    found = list(paths)
    for path in paths:
        for parent, folders, _ in os.walk(path):
            folders[:] = [name for name in folders if not name.startswith(".") and _is_folder(Path(parent, name))]
            found += [Path(parent, name) for name in folders]
    return found


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _identities(paths: Sequence[Path]) -> dict[Path, tuple[int, int] | None]:
    """Which folder or file each path is now; None where there is none."""
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
    """Not what is hidden below a root: nobody sends it, and version control writes a lot of it."""
    for root in roots:
        if path.is_relative_to(root):
            return not any(part.startswith(".") for part in path.relative_to(root).parts)
    return True
