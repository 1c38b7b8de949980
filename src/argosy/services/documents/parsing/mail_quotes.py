"""Marking of earlier messages in the body of an e-mail, so that they can be told from what the sender wrote."""

from __future__ import annotations

import re

_WROTE = re.compile(
    r"(?:wrote|writes|schrieb|a écrit|escribió|schreef|ha scritto|escreveu|skrev|napisał\(?a?\)?|написал\(?а?\)?|пишет"
    r"|kirjoitti|írta|napsal\(?a?\)?|yazdı|写道|さんは書きました|님이 작성)\s?[:：]$",
    re.IGNORECASE,
)
_WROTE_BEFORE_NAME = re.compile(r"Am .{1,120}?\bschrieb\b.{0,160}:$")
"""German names the sender behind the verb."""
_ORIGINAL = re.compile(
    r"[-_*\s]*(?:original message|ursprüngliche nachricht|message d'origine|mensaje original|messaggio originale"
    r"|oorspronkelijk bericht|mensagem original)[-_*\s]*$",
    re.IGNORECASE,
)
_FORWARDED = re.compile(
    r"[-_*\s]*(?:begin )?(?:forwarded message|weitergeleitete nachricht|message transféré)", re.IGNORECASE
)
_SENDER = re.compile(r"(?:From|Von|De|Da|Van|Från|Fra|Od|От)\s?:\s?\S", re.IGNORECASE)
_SENT = re.compile(
    r"(?:Sent|Date|Gesendet|Datum|Envoyé|Enviado|Fecha|Inviato|Data|Verzonden|Skickat|Sendt|Wysłano)\s?:", re.IGNORECASE
)
_SUBJECT = re.compile(
    r"(?:Subject|Betreff|Objet|Asunto|Oggetto|Onderwerp|Assunto|Ämne|Emne|Temat|Тема)\s?:", re.IGNORECASE
)
_LINE_CHARS = 300
_HEAD_LINES = 8
"""Lines within which the head of an earlier message names sender, date and subject."""


def mark_quotes(body: str) -> str:
    """Return the body of a mail with its earlier messages as Markdown quotes, and without the mark of a signature.

    A forwarded message stays as it is, because it is what the sender wants to show.
    """
    lines = body.split("\n")
    out: list[str] = []
    at, forwarded = 0, False
    while at < len(lines):
        line = lines[at]
        words = line.strip().strip("*")
        forwarded = forwarded or _FORWARDED.match(words[:_LINE_CHARS]) is not None
        rest = _begins_earlier(lines, at, words) if not forwarded else 0
        if rest:
            _quote(out, lines[at:])
            break
        introduces = _introduces(lines, at)
        if introduces:
            _quote(out, lines[at : at + introduces])
            at += introduces
            continue
        if line.startswith(">"):
            _quote(out, [line])
        elif line.rstrip() == "--":
            out.append("")
        else:
            if out and out[-1].startswith(">") and line.strip():
                out.append("")
            out.append(line)
        at += 1
    return "\n".join(out)


def _quote(out: list[str], lines: list[str]) -> None:
    """Append the lines as a quote, with a blank line between it and text before it."""
    if out and out[-1].strip() and not out[-1].startswith(">"):
        out.append("")
    out += [line if line.startswith(">") else f"> {line}".rstrip() for line in lines]


def _begins_earlier(lines: list[str], at: int, words: str) -> bool:
    """Return whether an earlier message begins here that reaches to the end of the body, as Outlook writes it."""
    if len(words) > _LINE_CHARS:
        return False
    if _ORIGINAL.match(words):
        return True
    if _SENDER.match(words):
        near = [line.strip().strip("*") for line in lines[at + 1 : at + _HEAD_LINES]]
        return any(map(_SENT.match, near)) and any(map(_SUBJECT.match, near))
    wrote = _attribution(lines, at)
    if not wrote:
        return False
    near = lines[at + wrote : at + wrote + _HEAD_LINES]
    following = next((line for line in near if line.strip()), "")
    return not following.startswith(">") and bool(following)


def _introduces(lines: list[str], at: int) -> int:
    """Return the number of lines, from `at` to the first quoted line, that only introduce the quote; 0 if none do."""
    wrote = _attribution(lines, at)
    if not wrote:
        return 0
    after = at + wrote
    while after < len(lines) and not lines[after].strip() and after < at + _HEAD_LINES:
        after += 1
    return after - at if after < len(lines) and lines[after].startswith(">") else 0


def _attribution(lines: list[str], at: int) -> int:
    """Return the number of lines, at most two, of a sentence such as "On Monday, Bo wrote:"; 0 without one."""
    first = lines[at].strip()
    if not first or len(first) > _LINE_CHARS or first.startswith(">"):
        return 0
    if _WROTE_BEFORE_NAME.match(first):
        return 1
    if _WROTE.search(first):
        return 1 if len(first.split()) > 2 or not first.isascii() else 0
    if at + 1 < len(lines) and first[:3].lower() in ("on ", "am ", "le ", "el ", "il ", "op ", "em ", "den"):
        second = lines[at + 1].strip()
        if len(second) <= _LINE_CHARS and _WROTE.search(second):
            return 2
    return 0
