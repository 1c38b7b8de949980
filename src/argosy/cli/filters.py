"""Filters written on the command line, such as `year>=2020`, as the gateway's filters."""

from __future__ import annotations

import re
from collections.abc import Sequence

import typer

_FORM = re.compile(r"(?s)([^!<>=].*?)\s*(!=|>=|<=|=|>|<)\s*(.*)")
_BOUNDS = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
MAX_NUMBER_CHARS = 16


def filters_of(written: Sequence[str]) -> dict[str, object]:
    """Return the filters, all of which must be met.

    Raises: typer.BadParameter, with the forms that are known, when one of them is malformed.
    """
    return {"and": [_filter(one) for one in written]} if len(written) > 1 else _filter(written[0])


def _filter(written: str) -> dict[str, object]:
    found = _FORM.fullmatch(written.strip())
    if found is None:
        raise typer.BadParameter(
            f"{written!r} is no filter. Write KEY=VALUE, KEY!=VALUE, KEY>=NUMBER or KEY<2024-05-31; "
            "in quotes, because a shell reads < and > itself.",
            param_hint="--filter",
        )
    key, operator, value = found.groups()
    if operator in _BOUNDS:
        return {key: {_BOUNDS[operator]: _number(value)}}
    equal: dict[str, object] = {key: {"in": _readings(value)}}
    return {"not": equal} if operator == "!=" else equal


def _readings(value: str) -> list[object]:
    """Return what a written value may mean: metadata may hold 2020 as a number or as a text."""
    if value in _WORDS:
        return [_WORDS[value], value]
    number = _number(value)
    return [value] if number is value else [number, value]


def _number(value: str) -> int | float | str:
    if len(value) > MAX_NUMBER_CHARS or _NUMBER.fullmatch(value) is None:
        return value
    return float(value) if "." in value else int(value)
