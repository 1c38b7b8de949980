"""Journal of finished runs, saved one by one, so that a benchmark of an hour that was stopped continues where it was.

Each case has a file and each run a line. Lines are appended whole, so several processes may write at once.
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
        """Key of the run."""
        ...


E = TypeVar("E", bound=Keyed[Hashable])


class Journal(Generic[E]):
    """Entries of one file. When several have the same key, the last one counts."""

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
