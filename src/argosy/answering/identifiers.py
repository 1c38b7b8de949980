"""Identifiers of a question: part numbers, versions, functions, options, operators. They must occur as whole tokens."""

from __future__ import annotations

import re
from functools import lru_cache

_BREAK = re.compile(r"[\s,;“”\"‘’?!（）？。、]+")
_NUMBER = re.compile(r"\d{1,4}(?:[.,]\d+)?%?(?:'?s|th|st|nd|rd)?")
_CAMEL = re.compile(r"[a-z]+[A-Z]\w*|(?:[A-Z]+[a-z]+){2,}\w*")
_DOTTED = re.compile(r"[A-Za-z]\w*(?:\.\w+)+(?:\(\))?")
_OPTION = re.compile(r"--?[A-Za-z][\w-]*")
_OPERATOR = re.compile(r"%\w|[~!@#$&*^|<>=+%/]{1,4}\*?")
_LEADING_DOT = re.compile(r"\.[A-Za-z]\w|\.{1,2}/")
_PATH = re.compile(r"(?:~|\.{1,2})?/[\w.-]+(?:/[\w.-]*)*|[\w.-]+(?:/[\w.-]+)*/[\w-]+\.\w{1,5}")
_TICKET = re.compile(r"#\d+")
_LANGUAGE_NAME = re.compile(r"\w{1,3}(?:\+\+|#)|\.[A-Za-z]\w+")
_LETTER = re.compile(r"[B-HJ-Zb-z]")
_PLAIN_NAME = re.compile(r"[A-Za-z_]\w{2,}")
_LAST_OF_DOTTED = re.compile(r"[A-Za-z]\w*(?:\.\w+)*\.([A-Za-z_]\w{2,})")
_ABBREVIATIONS = frozenset({"e.g", "i.e", "a.m", "p.m", "u.s", "u.k", "vs", "etc", "d.c"})
_KINDS_OF_NAMES = frozenset(
    {"class", "method", "classmethod", "staticmethod", "function", "exception", "property", "async", "or", "and"}
)
_MARKS = r"[~!@#$&*^|<>=+%/]"
_SPACED_CODE = re.compile(r"\b[A-Z]{2,4} (\d{2,5})\b(?![.,]\d)")
_YEAR = re.compile(r"(?:19|20)\d\d")
_DASHES = str.maketrans("–—‐‑", "----")


def identifiers_of(question: str) -> list[str]:
    """Return the tokens of a question that an answer must hold unchanged, in order, each once.

    Plain numbers of up to four digits are not among them, because answers often write them in another way.
    """
    found = [match[0] for match in _SPACED_CODE.finditer(question) if not _YEAR.fullmatch(match[1])]
    for raw in _BREAK.split(question):
        token = raw.strip(":`'*").rstrip(".").removesuffix("'s").removesuffix("’s")
        if not _LEADING_DOT.match(token):
            token = token.lstrip(".")
        if token and not token.endswith("()"):
            token = token.strip("()[]")
        if token and _is_identifier(token, question):
            found.append(re.sub(r"(?<=\d)s$", "", token))
    return list(dict.fromkeys(found))


def named_by(term: str) -> frozenset[str]:
    """Return the names that a term of a definition or a heading defines, in lower case.

    `urllib.parse.quote(string, safe='/')` defines quote and urllib.parse.quote, `-r, --remove` defines both options. A
    heading of plain words defines nothing.
    """
    bare = re.sub(r"\((?:[^()]|\([^()]*\))*\)?", "() ", term.replace("\\", ""))
    found: set[str] = set()
    for token in re.split(r"[\s,|`/*=<>\[\]]+(?!\w+/)", bare):
        name = token.strip(":;.'\"")
        if name and (_is_name(name) or ("`" in term and name.isupper() and len(name) > 3)):
            low = name.lower().removesuffix("()")
            last = _LAST_OF_DOTTED.fullmatch(low)
            found.update((low, last[1]) if last else (low,))
        elif "`" not in term and name.lower() not in _KINDS_OF_NAMES and re.search(r"\w", name):
            return frozenset()
    return frozenset(found - {""})


def _is_name(name: str) -> bool:
    return (
        _OPTION.fullmatch(name) is not None
        or name.endswith("()")
        or "_" in name.strip("_")
        or _CAMEL.fullmatch(name) is not None
        or _DOTTED.fullmatch(name) is not None
    )


def _is_identifier(token: str, question: str) -> bool:
    if _NUMBER.fullmatch(token) or token.lower() in _ABBREVIATIONS:
        return False
    if _TICKET.fullmatch(token):
        return True
    if re.search(r"\d", token):
        return re.search(r"[^\W\d]", token) is not None or len(token) > 4
    return bool(
        "_" in token.strip("_")
        or _CAMEL.fullmatch(token)
        or (_DOTTED.fullmatch(token) and not re.fullmatch(r"(?:\w\.)+\w", token))
        or token.endswith("()")
        or _OPTION.fullmatch(token)
        or _PATH.fullmatch(token)
        or _OPERATOR.fullmatch(token)
        or _LANGUAGE_NAME.fullmatch(token)
        or (_LETTER.fullmatch(token) and not re.search(rf"\b{re.escape(token)}\.", question))
    )


@lru_cache(maxsize=512)
def _pattern(identifier: str) -> re.Pattern[str]:
    bare = identifier.removesuffix("()").translate(_DASHES)
    forms = [_whole(bare)]
    last = _LAST_OF_DOTTED.fullmatch(bare)
    if last is not None:
        forms.append(rf"(?<!\w){re.escape(last[1])}(?!\w)")
    if _PLAIN_NAME.fullmatch(bare):
        forms.append(rf"(?<![\w-])(?:[A-Za-z_]\w*\.)+{re.escape(bare)}(?!\w)(?![-.]\w)")
    if bare.isdigit() and len(bare) >= 4:
        forms.append(rf"(?<!\d){int(bare):,}(?!\d)")
    exact = re.fullmatch(rf"{_MARKS}+.*|%\w|-\w|[A-Za-z]", bare) is not None
    return re.compile("|".join(forms), 0 if exact else re.IGNORECASE)


def _whole(bare: str) -> str:
    if re.match(r"\w", bare):
        before = r"(?<!\w)(?<!\w[-.])"
    elif bare.startswith("-"):
        before = r"(?<![\w-])"
    elif bare.startswith("."):
        before = r"(?<![\w.])"
    else:
        before = rf"(?<!{_MARKS})"
    after = r"(?!\w)(?![-.]\w)(?![+#])" if re.search(r"\w$", bare) else rf"(?!{_MARKS})"
    return before + re.escape(bare) + after


def holds(identifier: str, text: str) -> bool:
    """Return whether the text holds the identifier as a whole token: `v2.1` is not in `v2.11`, nor `C` in `C++`."""
    return _pattern(identifier).search(text.translate(_DASHES)) is not None


def nearest(identifier: str, texts: list[str]) -> str | None:
    """Return the token of `texts` that resembles the identifier most, or None when none does."""
    import difflib

    wanted = identifier.removesuffix("()").lower()
    if len(wanted) < 4:
        return None
    known: dict[str, str] = {}
    for text in texts:
        for raw in re.split(r"[\s,;|“”\"()\[\]`]+", text.translate(_DASHES)):
            token = raw.strip(".:'*?!")
            if 2 < len(token) <= 60 and re.search(r"[\d_]|[a-z][A-Z]", token):
                known.setdefault(token.lower(), token)
    close = difflib.get_close_matches(wanted, known, n=1, cutoff=0.7)
    return known[close[0]] if close else None
