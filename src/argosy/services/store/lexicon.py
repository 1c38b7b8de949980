"""Lexicon of one collection: its vocabulary, kept in step with the points of the shard.

The vocabulary is derived from the points. While it is built anew, in the order of the points' ids, a change of a point
counts only when the building has already passed this point; the building itself counts the others.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from uuid import UUID

from argosy.contracts.store import Chunk
from argosy.ranking.vocabulary import Vocabulary
from argosy.ranking.weighing import Analysed, ChunkTerms, analyse_chunk, version_of
from argosy.text.analysis import VERSION
from argosy.text.languages import language_of


class Lexicon:
    """Vocabulary of one collection with its file. It is used on the engine's thread."""

    def __init__(self, file: Path, *, complete: bool) -> None:
        """Create an empty lexicon. `complete` tells that there are no points yet, so that none have to be counted."""
        self._file = file
        self.vocabulary = Vocabulary()
        self.complete = complete
        self._passed: int | None = None
        """Greatest id, as a number, that the building has passed; None before its first step."""
        self._changes = False
        """Whether the file would differ from the vocabulary."""

    @classmethod
    def load(cls, file: Path, points: int) -> Lexicon:
        """Read the lexicon from its file. Without a file that fits the number of points it must be built anew."""
        made = cls(file, complete=False)
        try:
            read = Vocabulary.decode(file.read_bytes())
        except OSError:
            read = None
        if read is not None and read.chunks == points:
            made.vocabulary, made.complete = read, True
        elif points == 0:
            made.complete = True
        return made

    def added(self, chunks: Mapping[str, ChunkTerms]) -> None:
        """Count new points, by chunk id."""
        self._changed()
        self.vocabulary.add(terms for chunk_id, terms in chunks.items() if self._counted(UUID(chunk_id)))

    def removed(self, points: Iterable[tuple[UUID, str | None]]) -> None:
        """Stop counting points, given as their ids with the stored forms of their terms."""
        self._changed()
        self.vocabulary.remove(
            Analysed.decode(stored)
            for point, stored in points
            if stored is not None and version_of(stored) == VERSION and self._counted(point)
        )

    def built(self, chunks: Iterable[ChunkTerms], following: UUID | None) -> None:
        """Count the points of one step of the building, whose next step begins at `following`; None after the last."""
        self._changed()
        self.vocabulary.add(chunks)
        if following is None:
            self.complete = True
        else:
            self._passed = following.int - 1

    def rebuild(self) -> None:
        """Begin anew without any points."""
        self._changed()
        self.vocabulary, self.complete, self._passed = Vocabulary(), False, None

    def save(self) -> None:
        """Write the file, unless it is up to date or the building is unfinished."""
        if not self._changes or not self.complete:
            return
        self.vocabulary.prune()
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = self._file.with_suffix(".partial")
        partial.write_bytes(self.vocabulary.encode())
        os.replace(partial, self._file)
        self._changes = False

    def move(self, file: Path) -> None:
        """Use another file from now on, and remove the present one."""
        self.remove()
        self._file = file

    def remove(self) -> None:
        """Remove the file."""
        self._file.unlink(missing_ok=True)
        self._changes = True

    def _changed(self) -> None:
        # Without its file, the vocabulary is built anew after a crash, because it would lack the changes since then.
        if not self._changes:
            self.remove()

    def _counted(self, point: UUID) -> bool:
        return self.complete or (self._passed is not None and point.int <= self._passed)


def analyse(chunks: Sequence[Chunk], title: str | None, usual: str = "") -> dict[str, ChunkTerms]:
    """Return the terms of chunks of one document, by chunk id. `title` overrides that of the chunks.

    A chunk that does not tell its language has that of the other chunks, or else the language `usual`. This function
    needs no engine and may run on any thread.
    """
    fallback: str | None = None
    found: dict[str, ChunkTerms] = {}
    for chunk in chunks:
        known = title if title is not None else chunk.title
        made = analyse_chunk(known, chunk.heading_path, chunk.text)
        if not made.analysed.language:
            if fallback is None:
                fallback = language_of("\n".join(other.text for other in chunks)) or usual or "en"
            made = analyse_chunk(known, chunk.heading_path, chunk.text, fallback)
        found[chunk.chunk_id] = made
    return found
