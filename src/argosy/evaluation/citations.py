"""Correctness of citations: markers and citations match, quotes stand in the documents, quotes hold the statements."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from argosy.contracts.generation import Citation
from argosy.evaluation.texts import markers, normalised, statements, words

LEAST_SHARE_OF_WORDS = 0.6
"""Share of a statement's words that must stand in what it cites. A model may use words of its own, a quote need not."""
STEM_CHARS = 5
"""Length from which a word is compared by its beginning: `opened` counts as `opens`."""
SHORT_WORD_CHARS = 3
_NUMBER = re.compile(r"\d")


@dataclass(frozen=True, slots=True)
class Stored:
    """Part of a document's stored text, from a chunk: `text` is its slice [start, end)."""

    start: int
    end: int
    text: str


def citation_faults(
    answer: str, citations: Sequence[Citation], stored: Mapping[str, Sequence[Stored]], question: str = ""
) -> list[str]:
    """Return what is wrong with the citations of an answer, one sentence each.

    `stored` maps the id of each cited document to the known parts of its text. The words of the question may be
    repeated in a statement; every other number, and most other words, must stand in what the statement cites.
    """
    faults: list[str] = []
    by_index = {citation.index: citation for citation in citations}
    marked = set(markers(answer))
    if loose := sorted(marked - by_index.keys()):
        faults.append(f"markers without a citation: {loose}")
    if unused := sorted(by_index.keys() - marked):
        faults.append(f"citations without a marker: {unused}")
    for citation in citations:
        if (fault := _quote_fault(citation, stored.get(citation.document_id, ()))) is not None:
            faults.append(f"[{citation.index}] {fault}")
    for text, numbers in statements(answer):
        if not numbers:
            faults.append(f"no marker follows: {_short(text)}")
            continue
        cited = [by_index[number] for number in numbers if number in by_index]
        if cited and (missing := _missing(text, cited, stored, question)):
            faults.append(f"{list(numbers)} does not hold {', '.join(missing)}: {_short(text)}")
    return faults


def dangling_markers(answer: str, citations: Sequence[Citation]) -> list[int]:
    """Return the numbers of markers that no citation has."""
    return sorted(set(markers(answer)) - {citation.index for citation in citations})


def _quote_fault(citation: Citation, stored: Sequence[Stored]) -> str | None:
    """Return why the quote is not the slice [start, end) of the stored text, or None when it is."""
    if not citation.quote.strip():
        return "has an empty quote"
    if len(citation.quote) != citation.end - citation.start:
        return "has a quote whose length is not that of its span"
    covered = False
    for part in stored:
        low, high = max(part.start, citation.start), min(part.end, citation.end)
        if low >= high:
            continue
        covered = True
        if (
            part.text[low - part.start : high - part.start]
            != citation.quote[low - citation.start : high - citation.start]
        ):
            return "has a quote that differs from the document's text"
    return None if covered else "cites a place where no passage was found"


def _missing(
    statement: str, cited: Sequence[Citation], stored: Mapping[str, Sequence[Stored]], question: str
) -> list[str]:
    """Return the numbers that no cited text has, or, when too few words stand there, the words."""
    held = [question]
    for citation in cited:
        held += [citation.quote, citation.title or "", citation.name, *citation.heading_path]
        held += [
            part.text
            for part in stored.get(citation.document_id, ())
            if part.start < citation.end and citation.start < part.end
        ]
    known = {_stem(word) for text in held for word in words(text)}
    said = [word for word in words(statement) if len(word) >= SHORT_WORD_CHARS or _NUMBER.search(word)]
    absent = [word for word in said if _stem(word) not in known]
    numbers = [word for word in absent if _NUMBER.search(word)]
    # A number may be part of a longer one in the text, like the 12 in "AX-12-B" or a list's own numbering.
    joined = normalised(" ".join(held))
    numbers = [number for number in numbers if number not in joined and not _is_numbering(number, statement)]
    if numbers:
        return numbers
    return absent if said and len(absent) > (1 - LEAST_SHARE_OF_WORDS) * len(said) else []


def _is_numbering(number: str, statement: str) -> bool:
    return bool(re.search(rf"(?m)^\s*{re.escape(number)}[.)]\s", statement))


def _stem(word: str) -> str:
    return word if len(word) <= STEM_CHARS or _NUMBER.search(word) else word[:STEM_CHARS]


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return repr(flat if len(flat) <= 80 else flat[:79] + "…")
