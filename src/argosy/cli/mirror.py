"""A folder and what the fleet holds of it: what has to be sent, and what has to be forgotten."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from argosy.cli.collect import Outgoing
from argosy.contracts.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Plan:
    """`forget` holds ids of documents. They go after what is sent is indexed: a file that moved is then known already,
    and is found all the while."""

    send: list[Outgoing]
    forget: list[str]


@dataclass(frozen=True, slots=True)
class Held:
    """A document that the fleet holds."""

    id: str
    source: str


def roots(paths: Sequence[Path]) -> list[str]:
    """The source prefixes that a mirror of these paths answers for: below a folder, or the very file."""
    return [_uri(path) + ("/" if path.is_dir() else "") for path in paths]


def within(source: str, prefixes: Iterable[str]) -> bool:
    return any(source.startswith(prefix) if prefix.endswith("/") else source == prefix for prefix in prefixes)


def plan(
    local: Mapping[str, Outgoing], held: Iterable[Held], prefixes: Collection[str], changed: Collection[str] | None
) -> Plan:
    """What makes the fleet hold what is here.

    Args:
        local: by source. changed: only these sources may have changed; None sends all, and the fleet tells what it has.
    Only documents whose source lies below one of the prefixes are ever forgotten.
    """
    known = {one.source: one.id for one in held if within(one.source, prefixes)}
    send = [one for source, one in local.items() if changed is None or source in changed or source not in known]
    return Plan(send, [key for source, key in known.items() if source not in local])


def refuse_sudden_emptiness(local: Collection[str], forget: Collection[str], paths: Sequence[Path]) -> None:
    """A folder that is empty all at once is more often not mounted than meant. Raises: InvalidRequest."""
    if forget and not local:
        raise InvalidRequest(
            f"{', '.join(map(str, paths))} holds nothing now, but {len(forget)} documents are indexed from there; "
            "nothing was deleted. If that is meant, say --empty."
        )


def _uri(path: Path) -> str:
    return Path(os.path.abspath(path)).as_uri()
