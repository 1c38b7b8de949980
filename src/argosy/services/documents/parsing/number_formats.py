"""Numbers, dates and times as Excel shows them, from a cell's value and its number format.

Formats are described in ECMA-376, part 1, 18.8.30 and 18.8.31. The two formats that depend on the reader's region
(14 and 22) are shown as ISO dates. Names of months and weekdays are English.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

BUILT_IN = {
    **{1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 5: "$#,##0", 6: "$#,##0", 7: "$#,##0.00", 8: "$#,##0.00"},
    **{9: "0%", 10: "0.00%", 11: "0.00E+00", 14: "yyyy-mm-dd", 15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy"},
    **{18: "h:mm AM/PM", 19: "h:mm:ss AM/PM", 20: "h:mm", 21: "h:mm:ss", 22: "yyyy-mm-dd h:mm"},
    **{37: "#,##0;(#,##0)", 38: "#,##0;(#,##0)", 39: "#,##0.00;(#,##0.00)", 40: "#,##0.00;(#,##0.00)"},
    **{41: "#,##0", 42: "$#,##0", 43: "#,##0.00", 44: "$#,##0.00", 45: "mm:ss", 46: "[h]:mm:ss", 47: "mm:ss.0"},
    **{48: "##0.0E+0", 49: "@"},
    **dict.fromkeys((*range(27, 32), 36, *range(50, 55), 57, 58), "yyyy-mm-dd"),
    **dict.fromkeys((32, 33, 34, 35, 55, 56), "h:mm:ss"),
}
"""Formats that a workbook names only by number; any other number means General."""
_FORMAT_CHARS = 300
_TOKEN = re.compile(
    r'"([^"]*+)"|\\(.)|[_*].|\[\$([^\]-]*+)[^\]]*+\]|\[([^\]]*+)\]|(AM/PM|A/P)'
    r"|(y+|Y+|m+|M+|d+|D+|h+|H+|s+|S+)|([0#?][0#?,.]*|\.[0#?,]+)|(E[+-][0#?]+)|(.)",
    re.DOTALL,
)
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November")
_MONTH_NAMES = (*_MONTHS, "December")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_LAST_DAY = 2_958_465
"""The day 9999-12-31."""


@dataclass(frozen=True, slots=True)
class _Token:
    """Part of a format: `kind` is "text", "date", "elapsed", "digits" or "exponent"."""

    kind: str
    text: str


def shown(value: float, code: str | None, *, since_1904: bool = False) -> str:
    """Return a number as a cell of this format shows it; without a format, or with one that is unknown, as General."""
    if code is None or code.lower() == "general" or code == "@":
        return general(value)
    sections = _sections(code[:_FORMAT_CHARS])
    tokens, magnitude = _chosen(sections, value), value
    if value < 0 and len(sections) > 1 and any(token.kind == "digits" for token in tokens):
        magnitude = -value
    try:
        if any(token.kind in ("date", "elapsed") for token in tokens):
            return _moment(value, tokens, since_1904=since_1904)
        return _number(magnitude, tokens)
    except (InvalidOperation, OverflowError, ValueError):
        return general(value)


def general(value: float) -> str:
    """Return a number without a format: whole numbers in full, others with up to eleven digits that count."""
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.11g}"


@functools.lru_cache(maxsize=512)
def _sections(code: str) -> tuple[tuple[_Token, ...], ...]:
    sections: list[list[_Token]] = [[]]
    for quoted, escaped, currency, bracket, noon, letters, digits, exponent, other in _TOKEN.findall(code):
        here = sections[-1]
        if noon or letters:
            here.append(_Token("date", (noon or letters).lower()))
        elif digits:
            here.append(_Token("digits", digits))
        elif exponent:
            here.append(_Token("exponent", exponent))
        elif bracket:
            if bracket.lower().strip("hms") == "":
                here.append(_Token("elapsed", bracket.lower()))
        elif other == ";":
            sections.append([])
        elif text := quoted or escaped or currency or other:
            here.append(_Token("text", text))
    return tuple(map(tuple, sections))


def _chosen(sections: tuple[tuple[_Token, ...], ...], value: float) -> tuple[_Token, ...]:
    if value < 0 and len(sections) > 1:
        return sections[1]
    return sections[2] if value == 0 and len(sections) > 2 else sections[0]


def _number(value: float, tokens: tuple[_Token, ...]) -> str:
    digits = [token.text for token in tokens if token.kind == "digits"]
    if not digits:
        return "".join(token.text for token in tokens).strip()
    literal = "".join(token.text for token in tokens if token.kind == "text")
    if "/" in literal and len(digits) > 1:
        return general(value)  # a fraction
    pattern = "".join(digits) if len(digits) == 2 and digits[1].startswith(".") else digits[0]
    scaled = Decimal(repr(value)) * (100 ** literal.count("%"))
    while pattern.endswith(","):
        pattern, scaled = pattern[:-1], scaled / 1000
    whole, _, fraction = pattern.partition(".")
    exponent = next((token.text for token in tokens if token.kind == "exponent"), None)
    if exponent is not None:
        return f"{float(scaled):.{len(fraction)}E}"
    places = sum(1 for mark in fraction if mark in "0#?")
    rounded = scaled.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    integer, _, rest = f"{abs(rounded):f}".partition(".")
    least = whole.count("0")
    integer = integer.lstrip("0").rjust(least, "0") if least else integer.lstrip("0")
    if "," in whole:
        integer = f"{int(integer or 0):,}".rjust(least, "0")
    kept = fraction.rstrip("#?,")
    rest = rest[: len(kept)] + rest[len(kept) :].rstrip("0")
    number = ("-" if rounded < 0 else "") + integer + ("." + rest if rest else "")
    return _around(number, tokens)


def _around(number: str, tokens: tuple[_Token, ...]) -> str:
    """Return the number with the texts of the format, its sign in front of a currency."""
    out, placed = [], False
    for token in tokens:
        if token.kind == "digits":
            out.append("" if placed else number)
            placed = True
        elif token.kind == "text":
            out.append(token.text)
    text = "".join(out).strip()
    return "-" + text.replace("-", "", 1) if number.startswith("-") and not text.startswith("-") else text


def _moment(value: float, tokens: tuple[_Token, ...], *, since_1904: bool) -> str:
    if not 0 <= value < _LAST_DAY + 1:
        return general(value)
    finest = any(token.kind == "digits" and token.text.startswith(".") for token in tokens)
    seconds = round(value * 86_400, 3 if finest else 0)
    begin = datetime(1904, 1, 1) if since_1904 else datetime(1899, 12, 30) + timedelta(days=value < 61 and value >= 1)
    moment = begin + timedelta(seconds=seconds)
    noon = any(token.text in ("am/pm", "a/p") for token in tokens)
    out: list[str] = []
    for at, token in enumerate(tokens):
        if token.kind == "elapsed":
            per = {"h": 3600, "m": 60, "s": 1}[token.text[0]]
            out.append(str(int(seconds // per)).rjust(len(token.text), "0"))
        elif token.kind == "date":
            out.append(_date_part(moment, token.text, noon=noon, minutes=_means_minutes(tokens, at)))
        elif token.kind == "digits" and token.text.startswith("."):
            out.append(f".{moment.microsecond // 1000:03d}"[: len(token.text)])
        elif token.kind == "text":
            out.append(token.text)
    return "".join(out).strip()


def _means_minutes(tokens: tuple[_Token, ...], at: int) -> bool:
    """Return whether an "m" stands for minutes: it follows hours or comes before seconds."""
    units = [(place, token.text[0]) for place, token in enumerate(tokens) if token.kind in ("date", "elapsed")]
    place = next(number for number, (where, _) in enumerate(units) if where == at)
    before = units[place - 1][1] if place else ""
    after = units[place + 1][1] if place + 1 < len(units) else ""
    return before == "h" or after == "s"


def _date_part(moment: datetime, letters: str, *, noon: bool, minutes: bool) -> str:
    first, length = letters[0], len(letters)
    if first == "a":
        return "AM" if moment.hour < 12 else "PM"
    if first == "y":
        return f"{moment.year:04d}" if length > 2 else f"{moment.year % 100:02d}"
    if first == "m" and not minutes:
        name = _MONTH_NAMES[moment.month - 1]
        return {1: str(moment.month), 2: f"{moment.month:02d}", 3: name[:3], 5: name[:1]}.get(length, name)
    if first == "d":
        name = _DAYS[moment.weekday()]
        return {1: str(moment.day), 2: f"{moment.day:02d}", 3: name[:3]}.get(length, name)
    number = {"h": (moment.hour % 12 or 12) if noon else moment.hour, "m": moment.minute, "s": moment.second}[first]
    return str(number).rjust(min(length, 2), "0")
