"""Difference between local files and the fleet's documents: files to send and documents to delete."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from argosy.cli.sending.collect import Outgoing
from argosy.contracts.errors import InvalidRequest

Stamp = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class MirrorPlan:
    """Files to send and documents to delete.

    Documents are deleted after the sent files are indexed. A file that moved is then not embedded again, and searches
    find it all the while.
    """

    send: list[Outgoing]
    forget: list[Held]


@dataclass(frozen=True, slots=True)
class Held:
    """A document that the fleet holds."""

    id: str
    source: str


@dataclass(frozen=True, slots=True)
class Settled:
    """File that was sent before: its stamp at that time, and whether the fleet accepted it."""

    stamp: Stamp | None
    taken: bool


def stamp(one: Outgoing) -> Stamp | None:
    """Return a value that changes when the file is replaced, written or made readable; None when it does not exist."""
    try:
        found = None if one.path is None else one.path.stat()
    except OSError:
        found = None
    if found is None:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def roots(paths: Sequence[Path]) -> dict[Path, str]:
    """Return the source prefix of each path: all sources below a folder, or the source of the file itself."""
    return {path: _uri(path) + ("/" if path.is_dir() else "") for path in paths}


def within(source: str, prefixes: Iterable[str]) -> bool:
    return any(source.startswith(prefix) if prefix.endswith("/") else source == prefix for prefix in prefixes)


def plan(
    local: Mapping[str, tuple[Outgoing, Stamp | None]],
    held: Iterable[Held],
    prefixes: Collection[str],
    settled: Mapping[str, Settled],
) -> MirrorPlan:
    """Return the files to send and the documents to delete so that the fleet matches the local files.

    Only documents whose source lies below one of the prefixes are ever deleted.

    Args:
        local: files by source, each with its stamp.
        settled: files sent in earlier rounds, by source. When it is empty, all files are sent, and the fleet reports
            which are unchanged. A file that was refused or unreadable is sent again only after it has changed.
    """
    known = {one.source: one for one in held if within(one.source, prefixes)}
    send = []
    for source, (one, seen) in local.items():
        before = settled.get(source)
        if before is None or before.stamp != seen or (before.taken and source not in known):
            send.append(one)
    return MirrorPlan(send, [one for source, one in known.items() if source not in local])


def refuse_sudden_emptiness(local: Collection[str], forget: Collection[Held], prefixes: Mapping[Path, str]) -> None:
    """Check that no folder has become empty, which mostly means that it is not mounted.

    Raises: InvalidRequest when all documents of a path would be deleted.
    """
    for path, prefix in prefixes.items():
        lost = sum(within(one.source, [prefix]) for one in forget)
        if lost and not any(within(source, [prefix]) for source in local):
            raise InvalidRequest(
                f"{path} holds nothing now, but {lost} {'document is' if lost == 1 else 'documents are'} indexed from "
                "there; nothing was deleted. To delete them, add --empty."
            )


def _uri(path: Path) -> str:
    return Path(os.path.abspath(path)).as_uri()
