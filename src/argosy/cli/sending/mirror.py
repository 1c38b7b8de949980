"""A folder and what the fleet holds of it: what has to be sent, and what has to be forgotten."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from argosy.cli.sending.collect import Outgoing
from argosy.contracts.errors import InvalidRequest

Stamp = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Plan:
    """`forget` holds documents. They go after what is sent is indexed: a file that moved is then known already, and is
    found all the while."""

    send: list[Outgoing]
    forget: list[Held]


@dataclass(frozen=True, slots=True)
class Held:
    """A document that the fleet holds."""

    id: str
    source: str


@dataclass(frozen=True, slots=True)
class Settled:
    """A file that was sent before: its stamp then, and whether the fleet took it."""

    stamp: Stamp | None
    taken: bool


def stamp(one: Outgoing) -> Stamp | None:
    """Differs when the file was replaced, written, or made readable. None when it is not there."""
    try:
        found = None if one.path is None else one.path.stat()
    except OSError:
        found = None
    if found is None:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def roots(paths: Sequence[Path]) -> dict[Path, str]:
    """The source prefixes that a mirror of these paths answers for: below a folder, or the very file."""
    return {path: _uri(path) + ("/" if path.is_dir() else "") for path in paths}


def within(source: str, prefixes: Iterable[str]) -> bool:
    return any(source.startswith(prefix) if prefix.endswith("/") else source == prefix for prefix in prefixes)


def plan(
    local: Mapping[str, tuple[Outgoing, Stamp | None]],
    held: Iterable[Held],
    prefixes: Collection[str],
    settled: Mapping[str, Settled],
) -> Plan:
    """What makes the fleet hold what is here.

    Args:
        local: by source. settled: what was sent in earlier rounds; without any all is sent, and the fleet tells what
            it has. What the fleet refused, and what cannot be read, is sent again only when it has changed.
    Only documents whose source lies below one of the prefixes are ever forgotten.
    """
    known = {one.source: one for one in held if within(one.source, prefixes)}
    send = []
    for source, (one, seen) in local.items():
        before = settled.get(source)
        if before is None or before.stamp != seen or (before.taken and source not in known):
            send.append(one)
    return Plan(send, [one for source, one in known.items() if source not in local])


def refuse_sudden_emptiness(local: Collection[str], forget: Collection[Held], prefixes: Mapping[Path, str]) -> None:
    """A folder that is empty all at once is more often not mounted than meant. Raises: InvalidRequest."""
    for path, prefix in prefixes.items():
        lost = sum(within(one.source, [prefix]) for one in forget)
        if lost and not any(within(source, [prefix]) for source in local):
            raise InvalidRequest(
                f"{path} holds nothing now, but {lost} {'document is' if lost == 1 else 'documents are'} indexed from "
                "there; nothing was deleted. If that is meant, say --empty."
            )


def _uri(path: Path) -> str:
    return Path(os.path.abspath(path)).as_uri()
