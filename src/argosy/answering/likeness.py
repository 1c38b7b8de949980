"""Whether two questions that read alike may share one answer: they must ask the same thing about the same things.

Vectors of questions that differ in one name or number are often closer than those of two wordings of one question, so
numbers, identifiers, names, negations and the kind of question must be equal.
"""

from __future__ import annotations

import re

from argosy.answering.words import stems

_TOKEN = re.compile(r"[^\W_]+(?:[._'’+#/:-]+[^\W_]+)*[+#]*|\w+")
_KINDS = re.compile(
    r"\b(who|whom|whose|when|where|why|how (?:many|much|long|far|old|often|big|large|high|deep)|how|which|what)\b",
    re.IGNORECASE,
)
_NEGATION = re.compile(r"\b(?:not|no|never|without|except|none|neither|nor|cannot|\w+n['’]t)\b", re.IGNORECASE)
_SAME_KIND = {"whom": "who", "which": "what"}
MAX_REPLACED = 0
"""Most words of one question that the other replaces by words of its own."""


def may_share_answer(first: str, second: str) -> bool:
    """Return whether the answer to one question may be given to the other, as far as their words tell."""
    return _identity(first) == _identity(second) and _differing(first, second) <= MAX_REPLACED


def _differing(first: str, second: str) -> int:
    """Return how many words each question has in place of words of the other."""
    one, other = set(stems(first)), set(stems(second))
    return min(len(one - other), len(other - one))


def _identity(question: str) -> tuple[frozenset[str], str, bool]:
    words = _TOKEN.findall(question)
    exact = {
        word.lower()
        for n, word in enumerate(words)
        if any(c.isdigit() for c in word)
        or not word.isalnum()
        or (n > 0 and word[0].isupper())
        or any(c.isupper() for c in word[1:])
    }
    kind = _KINDS.search(question)
    named = " ".join(kind[0].lower().split()) if kind else ""
    return frozenset(exact), _SAME_KIND.get(named, named), _NEGATION.search(question) is not None
