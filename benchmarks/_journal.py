"""Finished runs, kept one by one: a benchmark of an hour that is stopped goes on where it was.

A file for each case, a line for each run. Lines are appended whole, so several processes may write at once.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import msgspec

K = TypeVar("K", bound=Hashable, covariant=True)


class Keyed(Protocol[K]):
    @property
    def key(self) -> K:
        """Which run it was."""
        ...


E = TypeVar("E", bound=Keyed[Hashable])


class Journal(Generic[E]):
    """The entries of one file; of those with the same key the last."""

    def __init__(self, path: Path, kind: type[E]) -> None:
        self._path = path
        lines = path.read_bytes().splitlines() if path.exists() else []
        decoder = msgspec.json.Decoder(kind)
        self._known: dict[Hashable, E] = {entry.key: entry for entry in map(decoder.decode, lines)}

    def __contains__(self, key: Hashable) -> bool:
        return key in self._known

    def __getitem__(self, key: Hashable) -> E:
        return self._known[key]

    def __iter__(self) -> Iterator[E]:
        return iter(self._known.values())

    def add(self, entry: E) -> None:
        self._known[entry.key] = entry
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab", buffering=0) as lines:
            lines.write(msgspec.json.encode(entry) + b"\n")
