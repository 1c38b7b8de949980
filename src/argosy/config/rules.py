"""Rules of a setting in words, worded to follow the name of the key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import ErrorDetails

Context = Mapping[str, Any]

_KINDS: Mapping[str, tuple[str, ...]] = {
    "a text in quotes": ("string_type", "string_unicode", "path_type"),
    "a whole number": ("int_type", "int_parsing", "int_from_float", "int_parsing_size"),
    "a number": ("float_type", "float_parsing", "finite_number"),
    "true or false": ("bool_type", "bool_parsing"),
    "a list": ("list_type", "tuple_type", "set_type", "frozen_set_type"),
    "a table": ("dict_type", "model_type", "model_attributes_type"),
}
_MUST_BE = {kind: name for name, kinds in _KINDS.items() for kind in kinds}
_BOUNDS: Mapping[str, Callable[[Context], str]] = {
    "greater_than": lambda c: f"must be greater than {c['gt']:g}",
    "greater_than_equal": lambda c: f"must be at least {c['ge']:g}",
    "less_than": lambda c: f"must be less than {c['lt']:g}",
    "less_than_equal": lambda c: f"must be at most {c['le']:g}",
    "literal_error": lambda c: f"must be {c['expected']}",
    "enum": lambda c: f"must be {c['expected']}",
    "string_pattern_mismatch": lambda c: f"does not match the pattern {c['pattern']}",
    "string_too_short": lambda c: f"must have at least {c['min_length']} character(s)",
    "too_short": lambda c: f"must hold at least {c['min_length']} value(s)",
}


def rule_of(error: ErrorDetails) -> str:
    """Return the rule that a value breaks, with the value if it is a plain one."""
    kind, given = error["type"], error["input"]
    shown = f" (given: {given!r})" if isinstance(given, str | int | float | bool) else ""
    if kind in _MUST_BE:
        return f"must be {_MUST_BE[kind]}{shown}"
    if kind in _BOUNDS:
        return f"{_BOUNDS[kind](error.get('ctx', {}))}{shown}"
    message = error["msg"].removeprefix("Input ")
    return f"is wrong: {message[:1].lower() + message[1:]}{shown}"
