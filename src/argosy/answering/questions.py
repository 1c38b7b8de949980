"""Reading of a question: its terms, identifiers, numbers and dates, and the kinds of answer that it asks for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from argosy.answering.identifiers import identifiers_of
from argosy.answering.terms import ENGLISH, has_asking_word, question_language, terms_of
from argosy.answering.words import is_stop_word, stems
from argosy.contracts.retrieval import QueryAnalysis

CARRIED_WEIGHT, CARRIED_WEIGHT_OF_PRONOUN = 0.5, 0.9
"""Weights of words carried over from earlier turns; the higher one when the question has a pronoun for them."""
MAX_PARTS = 3
_PRONOUN = re.compile(
    r"\b(?:it|its|they|them|their|he|she|his|her|him|this|that|these|those|there|one|ones|the same)\b", re.IGNORECASE
)
_WHO = re.compile(r"(?:and )?(?:who|whom|whose)\b", re.IGNORECASE)
_QUANTITY = re.compile(
    r"\b(?:how (?:many|much|long|far|old|high|deep|often|large|big)|what (?:year|percentage|number|size|price|fee|cost|"
    r"date)|which year|when|at what|cost|price|fee)\b",
    re.IGNORECASE,
)
_COUNT = re.compile(r"\bhow (?:many|much|long|often)\b|\bmaximum|\bat most\b", re.IGNORECASE)
_HOW = re.compile(
    r"(?:and )?(?:how (?:do|to|can|should|would|does one)|show|give an example|what is the (?:syntax|command)|"
    r"what are the steps)",
    re.IGNORECASE,
)
_PLURAL = re.compile(r"(?:which|what) (?:are|\w+s\b|\w+ \w+s\b)|(?:list|name)\b", re.IGNORECASE)
_NOT_PLURAL = re.compile(r"(?:which|what) (?:is|was|does|has)\b", re.IGNORECASE)
_DEFINITION = re.compile(
    r"^what (?:is|are|does)\b(?!.*\b(?:default|cost|price|size|range|maximum|minimum)\b)|\bmeans?\b|\bstands? for\b|"
    r"^(?:define|explain)\b",
    re.IGNORECASE,
)
_CONTRASTS = re.compile(r"\b(?:difference|differ|between|compare|versus|vs|relation|better|from)\b", re.IGNORECASE)
_YES_OR_NO = re.compile(
    r"\W*(?:(?:and |but |so )?(?:is|are|was|were|am|do|does|did|can|could|may|might|must|shall|should|will|would|has|"
    r"have|had|isn['’]t|aren['’]t|doesn['’]t|don['’]t|can['’]t)|ist|sind|war|waren|darf|dürfen|kann|können|muss|müssen|soll|"
    r"sollen|hat|haben|habe|gibt es|wird|werden|est-ce que|peut-on|puis-je|doit-on|faut-il|y a-t-il|se puede|puedo|hay|"
    r"tengo que|es|está|están|posso|si può|mag|mogen|kan|kunnen|moet|moeten|zijn|heeft|får|måste|må|pode|posso|"
    r"czy|можно ли|нужно ли|есть ли|هل|האם|क्या)\b(?! (?:many|much)\b)|"
    r"[^?？]*(?:吗|嗎|까요|입니까|습니까|나요)\s*[?？]?\s*\Z|"
    r"(?!.*(?:何|誰|どこ|いつ|どう|どの|どれ|どんな|なぜ|いくら|いくつ|どちら))[^?？]*(?:です|ます)か",
    re.IGNORECASE,
)
_DIFFERENCE = re.compile(
    r"\bdifferences? between (?P<first>.{1,60}?) and (?P<second>.{1,60})\Z|"
    r"\bhow (?:does|do|is|are) (?P<third>.{1,60}?) differ(?:ent)? from (?P<fourth>.{1,60})\Z",
    re.IGNORECASE,
)
_ARTICLE = re.compile(r"\A(?:the|an?) ", re.IGNORECASE)
_JOINED_BY = (
    r"(?:\s*,\s*(?:and\s+)?|\s+(?:and|und|et|y|e|en|och|og|i|и)\s+)"
    r"(?:of\s+|the\s+|for\s+|der\s+|die\s+|das\s+|la\s+|le\s+)*"
)
_NUMBERED = re.compile(r"\b([^\W\d_]{3,}) (\d{1,4})\b(?![.,%-]\d)")
_COMPARES = frozenset(["than", "least", "most", "about", "around", "exactly", "march", "may"])
_PLAIN_NUMBER = re.compile(r"(?<![\w.-])\d{1,4}(?![\w-])")
_ASKS = r"(?:what|who|whom|when|where|why|how|which|is|are|does|do|can|may)\b"
_NEXT_PART = re.compile(rf",?\s+and\s+(?={_ASKS})", re.IGNORECASE)
_FIRST_PART = re.compile(_ASKS, re.IGNORECASE)
DATES = (
    re.compile(r"(?<![\d.,-])(?:19|20)\d\d(?![\d,-])"),
    re.compile(r"\b(?:january|february|april|june|july|august|september|october|november|december)\b"),
    re.compile(r"\b(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday)"),
)
"""Years, months (but May and March, which are words too) and weekdays: an answer about another one is wrong."""


@dataclass(frozen=True, slots=True)
class AskedFor:
    """Kinds of answer that a question asks for."""

    person: bool = False
    quantity: bool = False
    count: bool = False
    steps: bool = False
    several: bool = False
    definition: bool = False
    yes_no: bool = False
    """Whether a statement that only confirms or denies the question's own words is an answer."""


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """Question as the scoring reads it. `weights` hold each distinct term; words carried over weigh less than 1."""

    text: str
    language: str
    terms: tuple[str, ...]
    weights: dict[str, float]
    identifiers: list[str]
    numbers: list[str]
    dates: tuple[frozenset[str], ...]
    numbered: tuple[tuple[str, str], ...]
    """Things told apart by a number, such as ("station", "13")."""
    asked: AskedFor
    carried: bool = False
    words: frozenset[str] = frozenset()
    """Words of the question in lower case as they stand, without parentheses and quotes."""
    frequencies: dict[str, int] = field(default_factory=dict)
    """Number of chunks of the collection that hold a term, where retrieval told it."""
    chunks: int = 0
    """Number of chunks of the collection; 0 when it is not known."""

    @property
    def english(self) -> bool:
        """Whether the question is in the language of the default model."""
        return self.language == ENGLISH


def read_question(text: str, analysis: QueryAnalysis | None = None, carried: str = "") -> AskedQuestion:
    """Return the question read for scoring. `carried` are words of earlier turns that it refers to."""
    language = question_language(text, analysis.language if analysis else "")
    terms = terms_of(text, language)
    weights = dict.fromkeys(terms, 1.0)
    if carried:
        weight = CARRIED_WEIGHT_OF_PRONOUN if _PRONOUN.search(text) else CARRIED_WEIGHT
        for term in terms_of(carried, language):
            weights.setdefault(term, weight)
    low = text.lower()
    return AskedQuestion(
        text=text,
        language=language,
        terms=terms,
        weights=weights,
        identifiers=identifiers_of(text),
        numbers=_PLAIN_NUMBER.findall(text),
        dates=tuple(frozenset(pattern.findall(low)) for pattern in DATES),
        numbered=_numbered(low),
        asked=_asked_for(text.strip(), language),
        carried=bool(carried),
        words=frozenset(word.strip("`'\"?!.,;:()").removesuffix("()") for word in low.split()),
        frequencies={term.stem: term.frequency for term in analysis.terms} if analysis else {},
        chunks=analysis.chunks if analysis else 0,
    )


def _numbered(low: str) -> tuple[tuple[str, str], ...]:
    pairs = [(match[1], match[2]) for match in _NUMBERED.finditer(low) if not DATES[0].fullmatch(match[2])]
    return tuple(pair for pair in pairs if not is_stop_word(pair[0]) and pair[0] not in _COMPARES)


def _asked_for(text: str, language: str) -> AskedFor:
    return AskedFor(
        person=_WHO.match(text) is not None,
        quantity=_QUANTITY.search(text) is not None,
        count=_COUNT.search(text) is not None,
        steps=_HOW.match(text) is not None,
        several=_PLURAL.match(text) is not None and _NOT_PLURAL.match(text) is None,
        definition=_DEFINITION.search(text) is not None,
        yes_no=_YES_OR_NO.match(text) is not None or (language != ENGLISH and not has_asking_word(text)),
    )


def parts_of(question: str) -> list[str]:
    """Return the questions that a question joins: "What is A and who made it?" and "What do A and B cost?" are two."""
    parts = [part.strip() for part in _NEXT_PART.split(question.rstrip("?？ ")) if part.strip()]
    if len(parts) > 1 and all(stems(part) for part in parts) and _FIRST_PART.match(parts[0]):
        return [f"{part}?" for part in parts[:MAX_PARTS]]
    named = identifiers_of(question)
    if len(named) > 1 and not _CONTRASTS.search(question):
        for joined in _joined(question, named):
            return [question.replace(joined[0], name) for name in joined[1]][:MAX_PARTS]
    return [question]


def named_together(question: str, names: Iterable[str]) -> list[str]:
    """Return a question for each of several names, such as headings, that the question joins by "and"; or none."""
    if _CONTRASTS.search(question):
        return []
    low = question.lower()
    held = {name.lower() for name in names if len(name) > 2}
    places = sorted((found.start(), -len(name), name) for name in held if (found := _whole_words(name).search(low)))
    inside = [question[at : at + len(name)] for at, _, name in places]
    if len(inside) < 2:
        return []
    for joined in _joined(question, inside):
        return [question.replace(joined[0], name) for name in joined[1]][:MAX_PARTS]
    return []


def _whole_words(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")


def contrasted(question: str) -> list[str]:
    """Return the two questions in "What is the difference between A and B?", which are about A and about B; or none."""
    found = _DIFFERENCE.search(question.rstrip("?？ "))
    if found is None:
        return []
    sides = (found["first"] or found["third"], found["second"] or found["fourth"])
    first, second = (_ARTICLE.sub("", side.strip()) for side in sides)
    if " " in second and " " not in first:  # "a soft and a hard limit" are a soft limit and a hard limit
        first = " ".join([first, *second.split()[1:]])
    return [f"What is {first}?", f"What is {second}?"]


def _joined(question: str, named: list[str]) -> list[tuple[str, list[str]]]:
    """Return the part of the question that lists identifiers, such as `A, B and C`, and these identifiers."""
    found = re.search(_JOINED_BY.join(re.escape(name) for name in named), question)
    if found:
        return [(found[0], named)]
    for first, second in pairwise(named):
        found = re.search(f"{re.escape(first)}{_JOINED_BY}{re.escape(second)}", question)
        if found:
            return [(found[0], [first, second])]
    return []
