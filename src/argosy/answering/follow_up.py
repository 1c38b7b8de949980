"""Standalone form of a follow-up question, made by rule: the question and the words that earlier turns add to it.

A question is a follow-up when it begins as a continuation ("And …", "What about …"), is a fragment ("Why?", "opening
hours?", "What is the price?"), or refers back ("it", "their", "the second one") and names nothing before that word. Any
other question is returned as it is, so that a new topic is not mixed with the old one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from argosy.answering.references import SOCIAL, WORDINGS, Wording, wording_of
from argosy.answering.words import stems
from argosy.contracts.generation import ChatTurn

MAX_CARRIED_WORDS = 24
MAX_ANSWER_NAMES = 4
MAX_FRAGMENT_WORDS = 2
"""Most words of its own in a fragment without a verb, such as "opening hours?"."""
_TOKEN = re.compile(r"[^\W_]+(?:[._'’+#/-]+[^\W_]+)*[+#]*|\w+")
_MARKER = re.compile(r"\[\d{1,3}(?:\s*[,;]\s*\d{1,3})*\]")
_SUBJECT = re.compile(
    r"\b(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should|hat|ist|war|wurde|a|est|fue|ha)"
    r"\s+(?-i:[^\W\d_a-zß-öø-ÿ])",
    re.IGNORECASE,
)
"""Verb followed by a name: the start of a question's own subject."""
_SENTENCE = re.compile(
    r"\b(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should|may|must|ist|sind|war|hat|kann|gibt|"
    r"est|sont|es|son|hay|sono|how to|list|name|tell|show|explain|define|describe)\b",
    re.IGNORECASE,
)
"""Verb by which a question is a whole sentence."""
_POSSESSIVE = re.compile(r"['’]s?$")


@dataclass(frozen=True, slots=True)
class Standalone:
    """Question as it is searched. `carried` holds the words that earlier turns added; it is empty when none were."""

    query: str
    carried: str = ""


def standalone(question: str, history: Sequence[ChatTurn]) -> Standalone:
    """Return the question with the topic of the earlier turns, where it needs one."""
    before: Standalone | None = None
    answer = ""
    for turn in history:
        if turn.role == "user":
            before = _resolved(turn.content, before, answer)
            answer = ""
        elif turn.role == "assistant":
            answer = turn.content
    return _resolved(question, before, answer)


def _resolved(question: str, before: Standalone | None, answer: str) -> Standalone:
    if before is None:
        return Standalone(question)
    asked = question.strip()
    wording = wording_of(asked)
    opening = wording.opening.match(asked)
    own = _content(asked, wording)
    refers = _refers(asked, wording)
    if _is_social(asked) or not (opening or refers or _is_fragment(asked, own)):
        return Standalone(question)
    known = {stem for word in own for stem in _stems(word)}
    topic = _content(before.query, wording_of(before.query))
    carried = [word for word in topic if not known.issuperset(_stems(word))]
    if opening and own:
        carried = _with_place_taken(carried, own, asked, before.query, wording)
    if refers:
        carried += _names(answer)[:MAX_ANSWER_NAMES]
    words = " ".join(dict.fromkeys(carried[:MAX_CARRIED_WORDS]))
    return Standalone(f"{question} {words}" if words else question, words)


def added_words(query: str, question: str) -> str:
    """Return the words of a query that carry a topic and are not the question's own."""
    known = {stem for word in _content(question, wording_of(question)) for stem in _stems(word)}
    words = [word for word in _content(query, wording_of(query)) if not known.issuperset(_stems(word))]
    return " ".join(words[:MAX_CARRIED_WORDS])


def _is_social(question: str) -> bool:
    """Return whether the message only greets, thanks or agrees."""
    return all(word.lower() in SOCIAL for word in _TOKEN.findall(question))


def _is_fragment(question: str, own: Sequence[str]) -> bool:
    """Return whether the question is too short to stand alone.

    A whole sentence with one word of its own is a fragment when that word is definite: "What is the price?" asks for
    the price of something, "Is there a gym?" and "What is photosynthesis?" name their topic.
    """
    if not own:
        return True
    if not _SENTENCE.search(question):
        return len(own) <= MAX_FRAGMENT_WORDS
    return (
        len(own) == 1
        and re.search(rf"\b(?:the|der|die|das|le|la|les|el|il)\s+{re.escape(own[0])}\b", question) is not None
    )


def _with_place_taken(words: list[str], own: Sequence[str], question: str, before: str, wording: Wording) -> list[str]:
    """Return the words without the names or numbers of the earlier question whose place new ones take.

    "And the Broncos?" after "How many points did the Panthers score?" asks for the points and not for the Panthers,
    "And in 2002?" after "Who won in 1998?" does not ask for 1998. Only English tells names by their capitals.
    """
    if all(word[0].isdigit() for word in own):
        replaced = {word for word in words if word[0].isdigit()}
    elif wording is WORDINGS["en"] and set(own) <= set(_names(question)):
        replaced = set(_names(before))
    else:
        return words
    return [word for word in words if word not in replaced] or words


def _refers(question: str, wording: Wording) -> bool:
    """Return whether a word refers back, and the question itself names nothing before it as its subject.

    In "When did Tesla sell his patents?" the word means Tesla; in "What is the Dutch word for it?" it refers back.
    """
    reference = wording.reference.search(question)
    return reference is not None and not _SUBJECT.search(question, 0, reference.start())


def _content(text: str, wording: Wording) -> list[str]:
    """Return the words of a text that carry its topic, without repeats."""
    words = [_POSSESSIVE.sub("", word) for word in _TOKEN.findall(_MARKER.sub("", text))]
    return list(dict.fromkeys(w for w in words if w.lower() not in wording.small and _stems(w)))


def _stems(word: str) -> tuple[str, ...]:
    return tuple(stems(word))


def _names(text: str) -> list[str]:
    """Return the capitalised words inside sentences, and words with digits, in order and without repeats."""
    found: list[str] = []
    begins = True
    for match in re.finditer(r"[.!?:]\s|\n|" + _TOKEN.pattern, _MARKER.sub("", text)):
        word = match[0]
        if not word[0].isalnum():
            begins = True
            continue
        if (word[0].isupper() and not begins) or (word[0].isalpha() and any(c.isdigit() for c in word)):
            found.append(_POSSESSIVE.sub("", word))
        begins = False
    return list(dict.fromkeys(found))
