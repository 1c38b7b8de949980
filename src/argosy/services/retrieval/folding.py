"""Choice of the passages of a response: near-duplicates become one passage, and no document takes all places.

Copies of a text would fill the places of a response without telling anything new. Of several copies the best ranked one
stays and counts the others. Texts that differ in a number are no copies, because they may contradict each other.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from argosy.contracts.retrieval import Passage
from argosy.ranking.query import comparable

SHINGLE_WORDS = 5
LEAST_OVERLAP = 0.9
"""Least share of common runs of SHINGLE_WORDS words (Jaccard) by which two texts are near-duplicates."""
LEAST_SHINGLES = 16
"""Shorter texts are duplicates only when they are equal: one word makes a large difference between them."""
ABOUT_THE_SAME = 0.95
"""Share of a passage's score from which another passage scores about the same."""


def choose(folded: Sequence[Passage], top_k: int) -> list[Passage]:
    """Return at most `top_k` of the ranked passages, best first.

    A document has at most half of the places as long as passages of other documents score about the same.
    """
    most = max(1, math.ceil(top_k / 2))
    places: Counter[str] = Counter()
    taken: list[Passage] = []
    waiting: list[Passage] = []
    for passage in folded:
        document = passage.chunk.document_id
        (taken if places[document] < most else waiting).append(passage)
        places[document] += 1
    chosen = taken[:top_k]
    for passage in waiting:
        if len(chosen) < top_k:
            chosen.append(passage)
            continue
        weakest = min(chosen, key=lambda one: one.score)
        if weakest.score >= ABOUT_THE_SAME * passage.score:
            break
        chosen.remove(weakest)
        chosen.append(passage)
    order = {id(passage): place for place, passage in enumerate(folded)}
    return sorted(chosen, key=lambda passage: order[id(passage)])


def fold(ranked: Iterable[Passage]) -> list[Passage]:
    """Return the passages without near-duplicates of better ones, which count them."""
    kept: list[Passage] = []
    same: dict[str, int] = {}
    sizes: list[int] = []
    figures: list[frozenset[str]] = []
    having: dict[int, list[int]] = defaultdict(list)
    for passage in ranked:
        text = comparable(passage.chunk.text)
        shingles = _shingles(text)
        place = same.get(text)
        own_figures = frozenset(word for word in text.split() if not word.isalpha() and any(map(str.isdigit, word)))
        if place is None and len(shingles) >= LEAST_SHINGLES:
            shared = Counter(place for shingle in shingles for place in having.get(shingle, ()))
            place = next(
                (
                    other
                    for other, count in shared.most_common(1)
                    if count >= LEAST_OVERLAP * (len(shingles) + sizes[other] - count) and figures[other] == own_figures
                ),
                None,
            )
        if place is not None:
            kept[place].duplicates += 1
            continue
        same[text] = len(kept)
        for shingle in shingles if len(shingles) >= LEAST_SHINGLES else ():
            having[shingle].append(len(kept))
        sizes.append(len(shingles))
        figures.append(own_figures)
        kept.append(passage)
    return kept


def _shingles(text: str) -> set[int]:
    words = text.split()
    return {hash(tuple(words[at : at + SHINGLE_WORDS])) for at in range(len(words) - SHINGLE_WORDS + 1)}
