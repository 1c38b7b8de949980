"""Readable text of Markdown: no links, images, permalinks, emphasis, note marks or invisible characters."""

from __future__ import annotations

import re

from argosy.text.visible import INVISIBLE

MAX_CHARS = 8_000
"""Longest text that is read; the rest of a longer one is left out."""

# Passages come from untrusted documents, so no pattern may backtrack over the same text.
_LABEL = r"((?:[^\[\]]|\[[^\[\]]*+\])*+)"
_ADDRESS = r"(?:<[^<>\n]*+>|(?:[^()\s]|\([^()\s]*+\))*+)"
_TITLE = r"(?:\s++(?:\"[^\"]*+\"|'[^']*+'))?+"
LINK = re.compile(rf"!?\[{_LABEL}\]\({_ADDRESS}{_TITLE}\s*+\)")
_PERMALINK = re.compile(r"\[¶\]\((?:[^()]|\([^()]*+\))*+\)|(?<=\S)¶")
_NOTE = re.compile(r"[ \t]?\[(?:\^?\d{1,3}(?:\s?[,;–-]\s?\d{1,3}){0,8}|\^[^\]\s]{1,20}|note\s\d{1,3}|\*)\](?![(:])")
_CITE_TAG = re.compile(r"<sup>\[?\d{1,3}\]?</sup>|</?(?:b|i|em|strong|u|span|small|br)\s*/?>", re.IGNORECASE)
_EMPHASIS = re.compile(r"(?<![\w*\\])(\*{1,3}|_{1,3}|~~)(?=\S)((?:(?!\1).){1,2000}?)(?<=[^\s\\])\1(?![\w*])", re.DOTALL)
_ESCAPE = re.compile(r"\\([\\`*_{}\[\]()#+\-.!|~<>&])")
_AUTOLINK = re.compile(r"<(https?://[^>\s]{1,500}|[^<>\s@]{1,100}@[^<>\s]{1,200})>")
_CODE = re.compile(r"(?<!`)(`{1,8})(?!`)([^`]++)\1(?!`)")
_SENTENCE_END = re.compile(r"[.!?…。！？]")
_QUOTED_LINE = re.compile(r"[ \t]*+\n[ \t]*+(?:>[ \t]*+)*+")
_INVISIBLE = re.compile(f"[{INVISIBLE}]")
_ENTITIES = {"&nbsp;": " ", "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'"}
_ENTITY = re.compile("|".join(_ENTITIES))


def readable(text: str) -> str:
    """Return the text as a person reads it, on one line. Code spans keep their backticks."""
    text = _INVISIBLE.sub("", text[:MAX_CHARS]).replace("\u00a0", " ")
    if "](" in text:
        text = _PERMALINK.sub("", text)
        for _ in range(3):
            plain = LINK.sub(lambda found: "" if found[0].startswith("!") else found[1], text)
            if plain == text:
                break
            text = plain
    if "`" not in text:
        return _QUOTED_LINE.sub(" ", _words(text)).strip()
    parts: list[str] = []
    at = 0
    for code in _CODE.finditer(text):
        parts += [_words(text[at : code.start()]), code[0].replace("\\|", "|")]
        at = code.end()
    parts.append(_words(text[at:]))
    joined = re.sub(r"(?<!\w)([*_]{1,2})(`[^`]++`)\1", r"\2", "".join(parts))
    return _QUOTED_LINE.sub(" ", joined).strip()


def visible(text: str) -> str:
    """Return the text without invisible characters; lines and markup stay, as code needs them."""
    return _INVISIBLE.sub("", text).replace("\u00a0", " ")


def link_share(text: str) -> float:
    """Return the share in [0, 1] of the words of `text` that are labels of links."""
    if "](" not in text:
        return 0.0
    linked = sum(len(found[1].split()) for found in LINK.finditer(_PERMALINK.sub("", text[:MAX_CHARS])))
    return min(1.0, linked / (len(re.findall(r"\w+", readable(text))) or 1))


def masked(text: str) -> str:
    """Return a text of the same length in which links and code spans hold no sentence ends."""
    if "](" in text:
        text = _PERMALINK.sub(_filled, text)
        text = LINK.sub(_masked_link, text)
    return _CODE.sub(_filled, text) if "`" in text else text


def _filled(found: re.Match[str]) -> str:
    # A capital, so that a sentence may begin with a code span.
    return "X" * len(found[0])


def _masked_link(found: re.Match[str]) -> str:
    label_end = found.end(1) - found.start(0)
    return _SENTENCE_END.sub("x", found[0][:label_end]) + "x" * (len(found[0]) - label_end)


def _words(text: str) -> str:
    if "<" in text:
        text = _AUTOLINK.sub(r"\1", _CITE_TAG.sub(" ", text) if "<br" in text.lower() else _CITE_TAG.sub("", text))
    if "[" in text:
        text = _NOTE.sub("", text)
    if "*" in text or "_" in text or "~" in text:
        text = _EMPHASIS.sub(r"\2", text)
        if "*" in text or "_" in text:
            text = _EMPHASIS.sub(r"\2", text)
    if "\\" in text:
        text = _ESCAPE.sub(r"\1", text)
    if "&" in text:
        text = _ENTITY.sub(lambda found: _ENTITIES[found[0]], text)
    return text.replace("¶", "")
