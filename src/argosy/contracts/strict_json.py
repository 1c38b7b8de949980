"""Strict parser of JSON from outside.

Common parsers accept values that other readers interpret differently: a repeated key, NaN, half a surrogate pair. They
also accept a depth of a thousand or more, which later code that walks the value cannot handle. `parse` refuses all of
these and says where the fault is.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from functools import partial
from typing import NoReturn

import msgspec

from argosy.contracts.errors import InvalidRequest

MAX_DEPTH = 32
MAX_DIGITS = 19
"""Most digits of a whole number; more do not fit into 64 bits."""
MAX_SHOWN = 60
_BOM = b"\xef\xbb\xbf"
_BRACKETS = bytes.maketrans(b"[{]}", b"(())")
_NO_BRACKETS = bytes(sorted(set(range(256)) - set(b"[]{}")))
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def parse(body: bytes) -> object:
    """Return the value in `body`, which is UTF-8. Whole numbers have at most MAX_DIGITS digits; others are finite.

    Raises: InvalidRequest, with the place of the fault, when the body is not strict JSON.
    """
    text = _text(body)
    check_depth(body)
    try:
        value: object = _DECODER.decode(text)
    except _WrongValue as error:
        raise _refused(text, str(error)) from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise InvalidRequest(
            f"The body is not valid JSON at {place}: {_lower(error.msg.removesuffix(' at'))}. Correct it."
        ) from None
    except RecursionError:
        raise _too_deep() from None
    if _SURROGATE.search(body) and not _is_encodable(value):
        raise _refused(text, "half of a surrogate pair (\\ud800 to \\udfff); send whole characters")
    return value


def _text(body: bytes) -> str:
    if not body or body.isspace():
        raise InvalidRequest("The body is empty, which is not valid JSON. Send a JSON object.")
    if body.startswith(_BOM):
        raise InvalidRequest("The body is not valid JSON: it begins with a byte order mark. Send UTF-8 without it.")
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"The body is not valid JSON: it is not UTF-8 at byte {error.start}. Send it encoded as UTF-8."
        ) from None


def check_depth(body: bytes) -> None:
    """Check the depth of the bytes before a parser builds values from them.

    Raises: InvalidRequest when the body is nested too deep.
    """
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _is_deep(_outside_strings(body)):
        raise _too_deep()


def _outside_strings(body: bytes) -> bytes:
    """Return the parts of a JSON text between its strings."""
    return b'"'.join(body.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])


def _is_deep(outside: bytes) -> bool:
    """Return whether brackets are nested deeper than MAX_DEPTH.

    Each round removes the innermost pairs. Brackets left after MAX_DEPTH rounds are deeper or never closed.
    """
    brackets = outside.translate(_BRACKETS, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        fewer = brackets.replace(b"()", b"")
        if len(fewer) == len(brackets):
            break
        brackets = fewer
    # Complete pairs are gone: the rest are closing brackets without opening ones, then opening ones without closing.
    return b"()" in brackets or brackets.count(b"(") > MAX_DEPTH


def _too_deep() -> InvalidRequest:
    return InvalidRequest(f"The body is nested more than {MAX_DEPTH} levels deep, the limit. Send it flatter.")


def _is_encodable(value: object) -> bool:
    try:
        msgspec.json.encode(value)
    except UnicodeEncodeError:
        return False
    return True


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            shown = printable(name)
            raise InvalidRequest(f'The body holds the field "{shown}" twice. Send it once.', param=shown)
        seen.add(name)
    return found


class _WrongValue(Exception):
    """A number cannot be represented as it was written."""


def _integer(written: str) -> int:
    if len(written.lstrip("-")) > MAX_DIGITS:
        raise _WrongValue(f"a whole number of more than {MAX_DIGITS} digits; send it as a string")
    return int(written)


def _finite(written: str) -> float:
    number = float(written)
    if math.isfinite(number):
        return number
    raise _WrongValue("a number that is too large; correct it")


def _no_number(written: str) -> NoReturn:
    raise _WrongValue(f"{written}, which is not valid JSON; send a finite number, or null")


def _refused(text: str, what: str) -> InvalidRequest:
    """Return the error for a wrong value, with the name of the first field that holds one."""
    try:
        path = _first_wrong(_MARKING.decode(text))
    except (InvalidRequest, ValueError, RecursionError):  # the body has another fault as well
        path = None
    name = ".".join(printable(part) for part in path or ())
    return InvalidRequest(f"{name or 'The body'} holds {what}.", param=name or None)


def _first_wrong(value: object) -> list[str] | None:
    """Return the path of the first wrong value; None when there is none. The value is at most MAX_DEPTH deep."""
    if value is _WRONG or (isinstance(value, str) and not _is_encodable(value)):
        return []
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in members:
        if isinstance(name, str) and not _is_encodable(name):
            return [name]
        inner = _first_wrong(member)
        if inner is not None:
            return [str(name), *inner]
    return None


def _mark(check: Callable[[str], object], written: str) -> object:
    try:
        return check(written)
    except _WrongValue:
        return _WRONG


def printable(name: str) -> str:
    """Return the beginning of a name that a caller sent, fit for an error: short, and without broken characters."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name[:MAX_SHOWN]) or '""'


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


_WRONG = object()
_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_integer, parse_float=_finite, parse_constant=_no_number
)
_MARKING = json.JSONDecoder(
    parse_int=partial(_mark, _integer), parse_float=partial(_mark, _finite), parse_constant=partial(_mark, _no_number)
)
