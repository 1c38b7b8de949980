"""Cases of an evaluation, each a question or search with what it must lead to, and where their documents are."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

MAX_CASES = 100_000
MAX_QUESTION_CHARS = 8_000
MAX_EXPECTED = 64
"""Most expected texts or documents of one case."""
MAX_TURNS = 32
MAX_LABEL_CHARS = 200


@dataclass(frozen=True, slots=True)
class Case:
    """One question and what must come of it. Only what the case names is judged.

    `turns` is the conversation: its last entry is the question that is judged. A case that is `searched` is judged by
    the passages found, any other one by the answer.
    """

    id: str
    turns: tuple[str, ...]
    kind: str = ""
    searched: bool = False
    mode: str | None = None
    """Mode of the search when the case prescribes one."""
    top_k: int | None = None
    all: tuple[str, ...] = ()
    """Texts that must all appear."""
    any: tuple[str, ...] = ()
    """Texts of which one must appear."""
    none: tuple[str, ...] = ()
    """Texts that must not appear."""
    nothing: bool = False
    """Whether the documents do not say: only a refusal without a citation is right."""
    first: str | None = None
    """End of the name of the document that must come first."""
    literal: bool = False
    """Whether texts are compared as they stand, except for their case."""
    relevance: dict[str, int] = field(default_factory=dict)
    """Grades of the documents that should be found, by id, source, name or path."""
    group: int = 0
    """Index of the case's documents in `Dataset.groups`."""

    @property
    def question(self) -> str:
        return self.turns[-1]

    @property
    def asks(self) -> bool:
        """Whether the case needs an answer, and not only a ranking."""
        return not self.searched and bool(self.all or self.any or self.none or self.nothing or self.first)

    @property
    def answerable(self) -> bool:
        return bool(self.all or self.any or self.first) and not self.nothing


@dataclass(frozen=True, slots=True)
class Dataset:
    """Cases and where their documents are: in a corpus file, in files by group, or in a collection that exists."""

    name: str
    layout: str
    """`beir`, `questions` or `groups`."""
    digest: str
    """Hash of the cases, by which two results over the same cases are recognised."""
    cases: tuple[Case, ...]
    corpus: Path | None = None
    groups: tuple[tuple[Path, ...], ...] = ()

    @property
    def brings_documents(self) -> bool:
        return self.corpus is not None or bool(self.groups)

    def sample(self, count: int | None) -> Dataset:
        """Return the dataset with at most `count` cases, drawn by a hash of their ids: always the same ones."""
        if count is None or count >= len(self.cases):
            return self
        drawn = set(sorted((case.id for case in self.cases), key=_drawn)[:count])
        kept = tuple(case for case in self.cases if case.id in drawn)
        return replace(self, cases=kept, digest=digest_of(kept))


def digest_of(cases: Sequence[Case]) -> str:
    """Return a hash of the cases and of what they expect."""
    digest = hashlib.blake2b(digest_size=8)
    for case in cases:
        digest.update(repr(case).encode(errors="surrogatepass"))
    return digest.hexdigest()


def _drawn(case_id: str) -> bytes:
    return hashlib.blake2b(case_id.encode(errors="surrogatepass"), digest_size=8).digest()
