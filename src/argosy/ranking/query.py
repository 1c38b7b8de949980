"""Reading of a query against a collection's vocabulary: its language, its terms, and what may stand for each term.

A term of the query may be met by several terms of the index: the same word in another language of the collection, a
word with other accents, a word one typo away, or a related word in a language with compounds. Only the best of them
counts in a chunk, never their sum.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from argosy.ranking.vocabulary import ENGLISH, Vocabulary
from argosy.ranking.weighing import term_id
from argosy.text.analysis import Term, terms
from argosy.text.identifiers import MARK
from argosy.text.languages import language_of, script_for, script_language
from argosy.text.visible import visible_text

ACCENT_FACTOR = 0.8
"""Weight of a word that differs from the query's word in accents only, so that exact words rank higher."""
MAX_TERMS = 256
"""Most distinct terms of a query. Long texts sent as queries would otherwise cost as much as many searches."""
MAX_EXPANSIONS = 24

_ENDS = re.compile(r"^[\W_]+|[\W_]+$")
_PHRASE = re.compile(r'(?<!\w)"([^"]+)"(?!\w)|“([^”]+)”|„([^“”]+)[“”]|«([^»]+)»')


@dataclass(slots=True)
class Group:
    """One term of the query, and the index's terms that may meet it with their factors in (0, 1]."""

    stem: str
    repeats: int
    alternatives: dict[int, float]

    @property
    def expanded(self) -> bool:
        return len(self.alternatives) > 1 or any(factor != 1.0 for factor in self.alternatives.values())


@dataclass(slots=True)
class Reading:
    """Query as the index reads it.

    `sequence` holds the ids of its terms in order, for the adjacency of neighbours. `phrases` are its quoted parts in
    visible form, with the tokens that a chunk must have for each of them.
    """

    language: str
    groups: list[Group] = field(default_factory=list)
    sequence: list[int] = field(default_factory=list)
    identifiers: list[str] = field(default_factory=list)
    phrases: list[str] = field(default_factory=list)

    @property
    def expanded(self) -> bool:
        """Whether some term may be met by several terms of the index, so that a sum of weights is not the score."""
        return any(group.expanded for group in self.groups)

    def weights(self) -> dict[int, float]:
        """Return the weight of each of the index's terms in a search by sums."""
        found: dict[int, float] = {}
        for group in self.groups:
            for term, factor in group.alternatives.items():
                found[term] = max(found.get(term, 0.0), factor * group.repeats)
        return found


def read_query(text: str, vocabulary: Vocabulary) -> Reading:
    """Return the reading of the query `text` by the vocabulary of the collection."""
    language, languages = _languages(text, vocabulary)
    reading = Reading(language or "", phrases=phrases(text))
    by_language = [_deduplicated(terms(text, assumed)) for assumed in languages]
    first = by_language[0]
    reading.sequence = [term_id(term.stem) for term in first.order]
    reading.identifiers = [term.stem[1:] for term in first.counts if _is_identifier(term)]
    groups: dict[str, Group] = {}
    for found in by_language:
        for term, repeats in found.counts.items():
            group = groups.setdefault(term.surface or term.stem, Group(term.stem, repeats, {}))
            group.alternatives[term_id(term.stem)] = 1.0
    foreign = any(assumed not in ("", ENGLISH) for assumed in languages)
    for key, group in list(groups.items())[:MAX_TERMS]:
        if key.isalpha() and not group.stem.startswith(MARK):
            _expand(key, group, vocabulary, related=foreign)
        reading.groups.append(group)
    return reading


def phrases(text: str) -> list[str]:
    """Return the quoted parts of a query in comparable form, without punctuation at their ends.

    A part without any letter or digit is left out.
    """
    found = (_ENDS.sub("", comparable("".join(parts))) for parts in _PHRASE.findall(text))
    return [phrase for phrase in found if phrase]


def comparable(text: str) -> str:
    """Return the visible text in lower case with single spaces, in which quoted phrases are looked up."""
    return " ".join(visible_text(text).casefold().split())


@dataclass(slots=True)
class _Counted:
    order: list[Term]
    counts: dict[Term, int]


def _deduplicated(found: Sequence[Term]) -> _Counted:
    counts: dict[Term, int] = {}
    for term in found:
        counts[term] = counts.get(term, 0) + 1
    return _Counted(list(found), counts)


def _is_identifier(term: Term) -> bool:
    return term.surface is None and len(term.stem) > 1 and term.stem.startswith(MARK)


def _languages(text: str, vocabulary: Vocabulary) -> tuple[str | None, list[str]]:
    """Return the query's language (None when unclear), and the languages by which its words are read."""
    known = vocabulary.known_languages()
    language = language_of(text) or language_of(text, among=known)
    if language in known:
        return language, [language or ""]
    script, _ = script_language(visible_text(text).lower())
    same = [other for other in known if script_for(other) == script]
    return language, same[:3] or [language or ENGLISH]


def _expand(word: str, group: Group, vocabulary: Vocabulary, *, related: bool) -> None:
    """Add the alternatives of one word of the query to its group."""
    present = [term for term in group.alternatives if vocabulary.frequency(term)]
    own_idf = min((vocabulary.idf(term) for term in present), default=vocabulary.idf(0))
    extra: dict[int, float] = {}

    def offer(stems: Iterable[int], factor: float) -> None:
        for term in stems:
            if vocabulary.frequency(term) and term not in group.alternatives:
                limited = factor * min(1.0, own_idf / max(vocabulary.idf(term), 1e-9))
                extra[term] = max(extra.get(term, 0.0), limited)

    for other in vocabulary.spellings.accents(word):
        offer(vocabulary.stems(other), ACCENT_FACTOR)
    if not present and not extra:
        near = {other: _frequency(other, vocabulary) for other in vocabulary.spellings.near(word)}
        most = max(near.values(), default=0)
        for other, frequency in near.items():
            if frequency:
                offer(vocabulary.stems(other), math.sqrt(frequency / most))
    if related:
        for other, overlap in vocabulary.similar(word).items():
            offer(vocabulary.stems(other), overlap)
    best = sorted(extra.items(), key=lambda pair: (-pair[1], pair[0]))[:MAX_EXPANSIONS]
    group.alternatives.update(best)


def _frequency(word: str, vocabulary: Vocabulary) -> int:
    return max((vocabulary.frequency(term) for term in vocabulary.stems(word)), default=0)
