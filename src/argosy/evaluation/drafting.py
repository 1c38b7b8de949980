"""Drafts of questions by rule, from passages of documents: the user reviews them before they measure anything.

Each draft comes from a place where the document itself says what is asked: a heading that is a question, a definition,
a row of a table, or a sentence with a number, a date or a name.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

NOT_IN_DOCUMENTS = "not in the documents"
UNANSWERABLE_EVERY = 10
"""One draft in this many asks for what the documents do not say."""
MAX_KEY_WORDS = 7
MIN_SENTENCE_WORDS, MAX_SENTENCE_WORDS = 5, 40
MAX_CELL_CHARS = 60
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+(.+?)\s*#*\s*$")
_BOLD_TERM = re.compile(r"^\s*(?:[-*+]\s+)?\*\*([^*\n.!?]{2,50}?)(?::\*\*|\*\*(?::|\s[–—-](?=\s)))\s+(\S.{14,})$")
_RULE = re.compile(r"^\s*\|?\s*:?-{2,}:?\s*(?:\|\s*:?-{2,}:?\s*)*\|?\s*$")
_ITEM = re.compile(r"^\s*(?:[-*+•]|\d{1,3}[.)])\s+")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[\"“(]?[A-ZÀ-Þ])")
_MARKS = re.compile(r"\*\*|__|`|\[([^\]\n]*)\]\([^)\n]*\)")
_NUMBER = re.compile(
    r"(?<![\w.-])[€$£]?\s?[-+−]?\d[\d.,:]*(?:[-/–]\d+)*(?![\w])"
    r"(?:\s?%|\s?€|\s(?!takes|is\b|was\b|has\b|does\b|as\b|plus\b)(?:[a-zà-ÿ]{2,12}s|bar|km|kg|cm|mm|ms|MB|GB|percent)\b)?"
)
_NAME = re.compile(r"(?<=[a-zà-ÿ,] )(?:[A-ZÀ-Þ][\w'’-]+)(?: [A-ZÀ-Þ][\w'’-]+)+")
_SUBJECT = r"(?P<s>(?:The|A|An|Each|Every|Our|Your)\s[\w' -]{2,60}?|[A-ZÀ-Þ][\w'-]*(?:\s[\w'-]+){0,4}?)"
_DEFINITION = re.compile(rf"^{_SUBJECT} (?P<v>is|are) (?P<r>(?:an?|the)\s.{{12,}})$")
_AMOUNT = r"(?P<r>(?:about |around |only |just |up to |at most |at least |from |between )?[€$£]?[-−]?\d.*)"
_TIME = r"(?P<r>(?:at|on|in|from|by) (?:\w+ ){0,3}?\d.*)"
_DONE = r"(?P<p>\w+(?:ed|en|lt|de))"
_PATTERNS: Sequence[tuple[str, re.Pattern[str], str]] = (
    ("numbers", re.compile(rf"^{_SUBJECT} costs {_AMOUNT}$"), "What does {s} cost?"),
    ("numbers", re.compile(rf"^{_SUBJECT} cost {_AMOUNT}$"), "What do {s} cost?"),
    ("numbers", re.compile(rf"^{_SUBJECT} (?:takes|lasts) {_AMOUNT}$"), "How long does {s} take?"),
    ("dates", re.compile(rf"^{_SUBJECT} (?P<v>opens|closes|starts|ends|begins) {_TIME}$"), "When does {s} {v}?"),
    (
        "numbers",
        re.compile(rf"^{_SUBJECT} (?P<v>holds|contains|has) (?P<r>\d[\d.,]* (?P<u>[a-z]{{3,}}s)\b.*)$"),
        "How many {u} does {s} {v}?",
    ),
    ("dates", re.compile(rf"^{_SUBJECT} (?P<v>was|were) {_DONE} in (?P<r>\d{{4}}\b.*)$"), "When {v} {s} {p}?"),
    ("names", re.compile(rf"^{_SUBJECT} (?P<v>is|was) {_DONE} by (?P<r>[A-Z].*)$"), "Who {v} {s} {p} by?"),
    ("numbers", re.compile(rf"^{_SUBJECT} (?P<v>is|are|was|were) {_AMOUNT}$"), "What {v} {s}?"),
)
_VAGUE_WORDS = """
    it they he she we you this that these those there here which who what such one some all many most each both note
    example following other its their his her our your my another
"""
_VAGUE = frozenset(_VAGUE_WORDS.split())
_NO_NOUN_WORDS = "for to of in on at by with and or what how when where who why which if is as from than"
_NO_NOUN = frozenset(_NO_NOUN_WORDS.split())
"""First words of a column's heading that does not fit into `What is the … of …?`."""
_BARE = {
    "opens": "open",
    "closes": "close",
    "starts": "start",
    "ends": "end",
    "begins": "begin",
    "holds": "hold",
    "contains": "contain",
    "has": "have",
}


@dataclass(frozen=True, slots=True)
class Passage:
    """Passage of a document, as a search returns it."""

    document: str
    text: str
    heading_path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """Question with the text that its answer should contain, and the place that says so."""

    question: str
    expected: str
    document: str
    kind: str
    place: str = ""

    @property
    def unanswerable(self) -> bool:
        return self.kind == NOT_IN_DOCUMENTS


def draft(passages: Sequence[Passage], count: int) -> list[Draft]:
    """Return at most `count` drafts: always the same ones, spread over the documents and the kinds.

    A question that two places answer differently is left out, because its expected text would be arbitrary.
    """
    found = [one for passage in passages for one in _of_passage(passage)]
    asked: dict[str, set[str]] = {}
    for one in found:
        asked.setdefault(one.question.casefold(), set()).add(one.expected.casefold())
    clear: dict[str, Draft] = {}
    for one in found:
        if len(asked[one.question.casefold()]) == 1:
            clear.setdefault(one.question.casefold(), one)
    unanswerable = _unanswerable(list(clear.values()), passages, count // UNANSWERABLE_EVERY)
    return [*_spread(list(clear.values()), count - len(unanswerable)), *unanswerable]


def _of_passage(passage: Passage) -> Iterator[Draft]:
    yield from _heading_questions(passage)
    yield from _rows(passage)
    for line in _prose(passage.text):
        if term := _BOLD_TERM.match(line):
            yield Draft(
                f"What is {_plain(term[1])}?",
                _key(_plain(term[2]), words_only=True),
                passage.document,
                "definitions",
                line,
            )
            continue
        for sentence in _SENTENCE_END.split(_plain(_ITEM.sub("", line))):
            yield from _sentence(sentence.strip(), passage.document)


def _heading_questions(passage: Passage) -> Iterator[Draft]:
    """Yield the headings that are questions, each with the key words of the sentence below it."""
    lines = [line for line in passage.text.splitlines() if line.strip()]
    if passage.heading_path and passage.heading_path[-1].endswith("?") and not any(map(_HEADING.match, lines)):
        lines = [f"# {passage.heading_path[-1]}", *lines]
    for line, below in itertools.pairwise(lines):
        heading = _HEADING.match(line)
        if heading and heading[1].endswith("?") and not _HEADING.match(below) and "|" not in below:
            answer = _plain(_ITEM.sub("", below))
            yield Draft(_plain(heading[1]), _key(answer), passage.document, "headings", answer)


def _rows(passage: Passage) -> Iterator[Draft]:
    """Yield a question for one cell of each row of a table with a heading row: `What is the fee of Birch?`."""
    lines = passage.text.splitlines()
    for at in range(1, len(lines) - 1):
        if not (_RULE.match(lines[at]) and "|" in lines[at - 1]):
            continue
        columns = _cells(lines[at - 1])
        for number, line in enumerate(itertools.takewhile(lambda row: "|" in row, lines[at + 1 :])):
            cells = _cells(line)
            if len(cells) != len(columns) or len(columns) < 2 or not cells[0]:
                continue
            column = 1 + number % (len(columns) - 1)
            name, value = columns[column], cells[column]
            if name.split(" ")[0].casefold() in _NO_NOUN:
                continue
            if name and value and max(len(cells[0]), len(value)) <= MAX_CELL_CHARS and value != cells[0]:
                question = f"What is the {_lowered(name)} of {cells[0]}?"
                yield Draft(question, value, passage.document, "tables", line.strip())


def _sentence(sentence: str, document: str) -> Iterator[Draft]:
    count = len(sentence.split())
    if not (MIN_SENTENCE_WORDS <= count <= MAX_SENTENCE_WORDS and sentence.endswith(".")):
        return
    for kind, pattern, question in _PATTERNS:
        if (found := pattern.match(sentence[:-1])) and _is_clear(found["s"]):
            parts = {name: _BARE.get(value, value) for name, value in found.groupdict().items() if value}
            parts["s"] = _lowered_article(parts["s"])
            yield Draft(question.format(**parts), _key(found["r"]), document, kind, sentence)
            return
    if (found := _DEFINITION.match(sentence[:-1])) and _is_clear(found["s"]):
        yield Draft(
            f"What {found['v']} {_lowered_article(found['s'])}?",
            _key(found["r"], words_only=True),
            document,
            "definitions",
            sentence,
        )


def _unanswerable(drafts: Sequence[Draft], passages: Sequence[Passage], count: int) -> list[Draft]:
    """Return questions about rows that do not exist: the name of a real row with other digits."""
    made: list[Draft] = []
    for one in sorted((d for d in drafts if d.kind == "tables"), key=_drawn):
        if len(made) >= count:
            break
        start = one.question.rfind(" of ") + 4
        name = one.question[start:-1]
        other = re.sub(r"\d", lambda digit: str((int(digit[0]) + 5) % 10), name)
        if (
            other != name
            and re.search(r"[^\W\d]|\d{4}", name)
            and not any(other in passage.text for passage in passages)
        ):
            made.append(Draft(f"{one.question[:start]}{other}?", "", "", NOT_IN_DOCUMENTS, f"like {one.place}"))
    return made


def _spread(drafts: Sequence[Draft], count: int) -> list[Draft]:
    """Return `count` drafts, taken in turn from each pair of document and kind."""
    turns: Counter[tuple[str, str]] = Counter()
    ordered: list[tuple[int, bytes, Draft]] = []
    for one in sorted(drafts, key=_drawn):
        turns[one.document, one.kind] += 1
        ordered.append((turns[one.document, one.kind], _drawn(one), one))
    chosen = [one for _, _, one in sorted(ordered, key=lambda entry: entry[:2])[:count]]
    return sorted(chosen, key=lambda one: (one.document, one.kind, one.question))


def _key(text: str, words_only: bool = False) -> str:
    """Return the part of an answer that any right answer should contain: a number, a name, or its first words."""
    first = _SENTENCE_END.split(text.strip())[0].rstrip(".")
    for pattern in () if words_only else (_NUMBER, _NAME):
        if found := pattern.search(first):
            return found[0].strip().rstrip(".,:")
    words = re.sub(r"^(?:an?|the)\s", "", first, flags=re.IGNORECASE).split()
    return " ".join(words[:MAX_KEY_WORDS]).rstrip(".,;:")


def _prose(text: str) -> Iterator[str]:
    """Yield the paragraphs and list items outside of code, headings and tables, each as one line."""
    fenced, held = False, ""
    for line in [*text.splitlines(), ""]:
        if line.lstrip().startswith(("```", "~~~")):
            fenced, line = not fenced, ""
        ends = fenced or not line.strip() or "|" in line or bool(_HEADING.match(line)) or bool(_ITEM.match(line))
        if ends and held:
            yield held
            held = ""
        if not fenced and line.strip() and "|" not in line and not _HEADING.match(line):
            held = f"{held} {line.strip()}" if held else line.strip()


def _is_clear(subject: str) -> bool:
    """Return whether the subject can be understood without the sentences before it."""
    words = subject.casefold().split()
    return words[0] not in _VAGUE and words[-1] not in _VAGUE and len(subject) > 2


def _lowered_article(subject: str) -> str:
    first, _, rest = subject.partition(" ")
    return f"{first.lower()} {rest}" if first in ("The", "A", "An", "Each", "Every", "Our", "Your") else subject


def _lowered(name: str) -> str:
    return name if re.search(r"[A-Z].*[A-Z]", name) else name[:1].lower() + name[1:]


def _cells(row: str) -> list[str]:
    return [_plain(cell) for cell in re.split(r"(?<!\\)\|", row.strip().strip("|"))]


def _plain(text: str) -> str:
    return " ".join(_MARKS.sub(lambda found: found[1] or "", text).split())


def _drawn(one: Draft) -> bytes:
    return hashlib.blake2b(f"{one.document}\0{one.question}".encode(errors="surrogatepass"), digest_size=8).digest()


def rows_of(drafts: Iterable[Draft]) -> Iterator[dict[str, str]]:
    """Yield the rows of a file of questions. `note` shows the reviewer the place that the draft comes from."""
    for one in drafts:
        yield {
            "question": one.question,
            "expected": one.expected,
            "document": one.document,
            "kind": one.kind,
            "unanswerable": "yes" if one.unanswerable else "",
            "note": one.place[:300],
        }
