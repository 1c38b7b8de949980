"""Patterns of prose: terms with definitions, questions with answers, lines of the form `Key: value`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from argosy.text.markup import readable

_CODE_ONLY = re.compile(
    r"\s*+(?:(?:`+[^`]++`+|\([^()]*+\)|[,/|&\s]|\bor\b|…|\.\.\.|\*`+[^`]++`+\*|\*\*`+[^`]++`+\*\*)\s*+)++\Z"
)
_ENDS_IN_PERMALINK = re.compile(r"¶(?:\]\([^()]{0,300}\))?\**\Z")
_IN_BOLD = re.compile(r"(\*\*|__)(?!\s)([^*\n]{1,200}?)\1")
_INDENTED = re.compile(r"(?: {2,}|\t)\S")
_ENDS_SENTENCE = re.compile(r"[.!?:;,。！？：]\Z")
MAX_TERM_WORDS = 8
MAX_LINE_CHARS = 400
_COLON_DEFINITION = re.compile(r"[ \t]{0,3}:[ \t]+\S")
_PAIR = re.compile(r"\s*+(?:[-*•]\s++)?\**([^\W\d_][^:：\n.!?]{0,40}?)\**\s?[:：]\**[ \t]*(?=\S)")
_ASKS = r"\s*+(?:\*\*|__)?(?:Q|Question|Frage|F|Pregunta|P|Domanda|D|问|問|질문)\s?\d{0,3}\s?[.:)：]"
_ANSWERS = r"\s*+(?:\*\*|__)?(?:A|Answer|Antwort|Réponse|R|Respuesta|Risposta|答|답)\s?\d{0,3}\s?[.:)：]"
_QUESTION_LABEL = re.compile(_ASKS + r"(?:\*\*|__)?\s*+(?=\S)")
_ANSWER_LABEL = re.compile(_ANSWERS + r"(?:\*\*|__)?\s*+")
_BOLD_QUESTION = re.compile(r"\s*+(\*\*|__)([^*_\n]{3,200}[?？])\1[ \t]*+[:–—-]?\s*+(?=\S)")
BOLD_LINE = re.compile(r"\s*+(\*\*|__)(?!\s)([^*_\n]{1,120})\1\s*+:?\s*+\Z")
REFERS_BACK = re.compile(
    r"(?:It|This|They|These|Those|He|She|Such|That|Its|Their|His|Her|Both|In this case|Otherwise|Therefore|Thus|So|"
    r"However|For example|Es|Sie|Er|Dies|Diese[rs]?|Il|Elle|Ils|Elles|Cela|Ello|Esto|Esta|Este)\b"
)
"""First words of a sentence that is not understood without the sentence before."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Question that acts as a heading, and the offset in its paragraph at which the answer begins."""

    question: str
    answer: int


def term_lines(lines: list[str]) -> int:
    """Return how many of the first lines of a paragraph are terms that the rest of it defines.

    A term is a line of code spans, a line with a permalink, or a short line above an indented one.
    """
    count = 0
    while count < len(lines) and len(lines[count]) <= MAX_LINE_CHARS:
        line = lines[count].rstrip()
        below = lines[count + 1] if count + 1 < len(lines) else None
        if line.lstrip().startswith(">") or not _is_term(line, below):
            break
        count += 1
    return count


def _is_term(line: str, below: str | None) -> bool:
    bold = _IN_BOLD.fullmatch(line.strip())
    code = bold[2] if bold else line
    if _ENDS_IN_PERMALINK.search(line) or ("`" in code and _CODE_ONLY.match(code)):
        return True
    if below is None or line[:1].isspace() or not (_INDENTED.match(below) or _COLON_DEFINITION.match(below)):
        return False
    words = readable(line)
    return bool(words) and len(words.split()) <= MAX_TERM_WORDS and not _ENDS_SENTENCE.search(words)


def term_words(lines: list[str]) -> str:
    """Return the lines of a term as readable words, without the marks of bold text around a whole line."""
    bare = (_IN_BOLD.sub(r"\2", line.strip()) for line in lines)
    return " ".join(readable(line) for line in bare)


def pair_lines(text: str) -> bool:
    """Return whether the text has at least two lines and each is of the form `Key: value`."""
    lines = text.split("\n")
    return len(lines) >= 2 and all(_PAIR.match(line) for line in lines)


def asked_within(text: str) -> Asked | None:
    """Return the question at the start of a paragraph whose rest answers it, or None.

    Known forms are `Q: …` with a line `A: …`, a question in bold before the answer, and a question as the first line.
    """
    first, _, rest = text.partition("\n")
    label = _QUESTION_LABEL.match(text)
    if label is not None:
        for at in _line_starts(text):
            answer = _ANSWER_LABEL.match(text, at)
            if answer is not None and answer.end() < len(text):
                return Asked(readable(text[label.end() : at]), answer.end())
    bold = _BOLD_QUESTION.match(text[:MAX_LINE_CHARS])
    if bold is not None:
        return Asked(readable(bold[2]), bold.end())
    if rest.strip() and len(first) <= 160 and is_question(first):
        answer = _ANSWER_LABEL.match(text, len(first) + 1)
        return Asked(question_words(first), answer.end() if answer else len(first) + 1)
    return None


def is_question(line: str) -> bool:
    """Return whether the line is one short question and nothing else."""
    bare = line.strip().rstrip("*_ ")
    return bare.endswith(("?", "？")) and len(bare) <= 200 and not re.search(r"[.!?？。]\s", bare)


def question_words(line: str) -> str:
    """Return the question without its label and markup."""
    label = _QUESTION_LABEL.match(line)
    return readable(line[label.end() :] if label else line)


def after_answer_label(text: str) -> int:
    """Return the offset after a label such as `A:` at the start of a paragraph, or 0."""
    label = _ANSWER_LABEL.match(text)
    return label.end() if label and label.end() < len(text) else 0


def _line_starts(text: str) -> list[int]:
    starts: list[int] = []
    at = text.find("\n")
    while at >= 0 and len(starts) < 20:
        starts.append(at + 1)
        at = text.find("\n", at + 1)
    return starts
