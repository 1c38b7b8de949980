"""Reading of the `filters` of a request: every fault is refused with its place, the rule and the remedy."""

from __future__ import annotations

import difflib
import math
from typing import Any, NoReturn

from argosy.contracts.documents import MAX_METADATA_KEY_CHARS, MAX_METADATA_VALUE_CHARS
from argosy.contracts.errors import InvalidRequest
from argosy.contracts.filters import Between, Condition, Every, Exists, Filters, Not, OneOf, Scalar, Some, instant
from argosy.contracts.strict_json import printable

MAX_FILTERS = 32
"""Most conditions of a request, at all levels together."""
MAX_DEPTH = 4
"""Deepest nesting of `and`, `or` and `not`."""
MAX_VALUES = 256
"""Most values in the sets of a request, all together."""
MAX_INTEGER = 2**53
"""Largest integer accepted in a filter: JSON readers disagree about larger integers."""

RANGE = ("gt", "gte", "lt", "lte")
OPERATORS = ("eq", "in", *RANGE, "exists")
GROUPS = ("and", "or", "not")

_VALUE: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "maxLength": MAX_METADATA_VALUE_CHARS},
        {"type": ["boolean", "number", "null"]},
    ]
}
_BOUND: dict[str, Any] = {"type": ["number", "string"]}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "maxProperties": MAX_FILTERS,
    "propertyNames": {"minLength": 1, "maxLength": MAX_METADATA_KEY_CHARS},
    "additionalProperties": {
        "anyOf": [
            *_VALUE["anyOf"],
            {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": False,
                "properties": {
                    "eq": _VALUE,
                    "in": {"type": "array", "minItems": 1, "maxItems": MAX_VALUES, "items": _VALUE},
                    **dict.fromkeys(RANGE, _BOUND),
                    "exists": {"type": "boolean"},
                },
            },
        ]
    },
    "properties": {
        "and": {"description": "An array of filters that must all be met, or the value of a key of this name."},
        "or": {"description": "An array of filters of which one must be met, or the value of a key of this name."},
        "not": {"description": "A filter that must not be met, or the value of a key of this name."},
    },
    "description": (
        "Conditions on document_id, source, name, title or metadata keys. A plain value must be equal; an object holds "
        "operators: eq, in (a set), gt, gte, lt, lte (numbers, or ISO dates and times), exists. and, or and not "
        f"combine filters, up to {MAX_DEPTH} levels deep, with up to {MAX_FILTERS} conditions together."
    ),
}


def read_filters(value: object) -> Filters:
    """Return the filters. Plain equalities stay a mapping.

    Raises: InvalidRequest, naming the place of the first fault, the limit or rule, and the remedy.
    """
    reader = _Reader()
    found = reader.group(value, "filters", 0)
    if isinstance(value, dict) and all(_is_scalar(one) for one in value.values()):
        return dict(value)
    return found[0] if len(found) == 1 else Every(found)


class _Reader:
    """Reader of one request's filters, which counts their conditions and values."""

    def __init__(self) -> None:
        self._conditions = 0
        self._values = 0

    def group(self, value: object, place: str, depth: int) -> list[Condition]:
        """Return the conditions of an object of filters, all of which must be met."""
        if not isinstance(value, dict):
            _refuse(place, 'must be an object such as {"year": {"gte": 2020}}')
        if len(value) > MAX_FILTERS:
            _refuse(place, f"holds {len(value)} members, the limit is {MAX_FILTERS}; send fewer")
        found: list[Condition] = []
        for key, wanted in value.items():
            at = f"{place}.{printable(key)}"
            if not 1 <= len(key) <= MAX_METADATA_KEY_CHARS:
                _refuse(at, f"a key has 1 to {MAX_METADATA_KEY_CHARS} characters; correct it")
            if key in GROUPS and isinstance(wanted, dict if key == "not" else list):
                found.append(self._combined(key, wanted, at, depth + 1))
            else:
                found.extend(self._key(key, wanted, at))
        return found

    def _combined(self, name: str, wanted: dict[str, object] | list[object], at: str, depth: int) -> Condition:
        if depth > MAX_DEPTH:
            _refuse(at, f"and, or and not are nested more than {MAX_DEPTH} levels deep, the limit; send them flatter")
        if isinstance(wanted, dict):
            if not wanted:
                _refuse(at, "holds no filter; send at least one")
            return Not(_every(self.group(wanted, at, depth)))
        if not 1 <= len(wanted) <= MAX_FILTERS:
            _refuse(at, f"holds {len(wanted)} filters; send 1 to {MAX_FILTERS}")
        members = []
        for index, one in enumerate(wanted):
            if one == {}:
                _refuse(f"{at}.{index}", "holds no filter; remove it")
            members.append(_every(self.group(one, f"{at}.{index}", depth)))
        return Some(members) if name == "or" else Every(members)

    def _key(self, key: str, wanted: object, at: str) -> list[Condition]:
        if not isinstance(wanted, dict):
            if isinstance(wanted, list):
                _refuse(at, 'must be a value or an object; for a set of values send {"in": [...]}')
            self._count(at)
            return [OneOf(key, [self._value(wanted, at)])]
        for name in wanted:
            if name not in OPERATORS:
                _refuse(f"{at}.{printable(name)}", _unknown(name))
        if not wanted:
            _refuse(at, f"is an object without an operator; send one of {', '.join(OPERATORS)}")
        found: list[Condition] = []
        if "eq" in wanted:
            self._count(at)
            found.append(OneOf(key, [self._value(wanted["eq"], f"{at}.eq")]))
        if "in" in wanted:
            self._count(at)
            found.append(OneOf(key, self._set(wanted["in"], f"{at}.in")))
        if "exists" in wanted:
            self._count(at)
            if not isinstance(wanted["exists"], bool):
                _refuse(f"{at}.exists", "must be true or false")
            found.append(Exists(key) if wanted["exists"] else Not(Exists(key)))
        if bounds := {name: wanted[name] for name in RANGE if name in wanted}:
            self._count(at)
            found.append(_range(key, bounds, at))
        return found

    def _set(self, values: object, at: str) -> list[Scalar]:
        if not isinstance(values, list) or not values:
            _refuse(at, "must be an array of at least one value")
        self._values += len(values)
        if self._values > MAX_VALUES:
            _refuse(at, f"the sets of the filters hold more than {MAX_VALUES} values, the limit; send fewer")
        return [self._value(value, f"{at}.{index}") for index, value in enumerate(values)]

    def _value(self, value: object, at: str) -> Scalar:
        if not _is_scalar(value):
            _refuse(at, "must be a string, a number, true, false or null")
        if isinstance(value, str) and len(value) > MAX_METADATA_VALUE_CHARS:
            _refuse(at, f"has more than {MAX_METADATA_VALUE_CHARS} characters, the limit; shorten it")
        _check_number(value, at)
        return value  # type: ignore[return-value]  # checked above

    def _count(self, at: str) -> None:
        self._conditions += 1
        if self._conditions > MAX_FILTERS:
            _refuse(at, f"the filters hold more than {MAX_FILTERS} conditions, the limit; send fewer")


def _range(key: str, bounds: dict[str, object], at: str) -> Between:
    for first, second in (("gt", "gte"), ("lt", "lte")):
        if first in bounds and second in bounds:
            _refuse(f"{at}.{second}", f"stands beside {first}; send one of them")
    placed = {name: _bound(value, f"{at}.{name}") for name, value in bounds.items()}
    dates = [isinstance(value, str) for value in bounds.values()]
    if any(dates) and not all(dates):
        _refuse(at, "has one bound that is a number and one that is a date; send two numbers or two dates")
    return Between(key, **placed, dates=dates[0])


def _bound(value: object, at: str) -> int | float:
    if isinstance(value, str):
        found = instant(value)
        if found is None:
            _refuse(at, "is no ISO date or time; send one such as 2024-05-31 or 2024-05-31T12:00:00Z, or a number")
        return found
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse(at, "must be a number, or a date such as 2024-05-31 or 2024-05-31T12:00:00Z")
    _check_number(value, at)
    return value


def _check_number(value: object, at: str) -> None:
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        _refuse(at, "is over 2^53; send a smaller number, or compare a string")
    if isinstance(value, float) and not math.isfinite(value):
        _refuse(at, "is not a finite number; send another")


def _unknown(name: str) -> str:
    if name in GROUPS:
        return f"is no operator of a key: {name} stands around keys, such as " + (
            '{"not": {"year": 2020}}' if name == "not" else f'{{"{name}": [{{"year": 2020}}, …]}}'
        )
    close = difflib.get_close_matches(name[:20].lower().lstrip("$"), [*OPERATORS, *_ALIASES], n=1, cutoff=0.5)
    said = f"did you mean {_ALIASES.get(close[0], close[0])}" if close else f"known are {', '.join(OPERATORS)}"
    return f"is no operator; {said}"


_ALIASES = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte", "==": "eq", "min": "gte", "max": "lte", "any": "in"}
"""Names that other systems use, with our operator."""


def _every(found: list[Condition]) -> Condition:
    return found[0] if len(found) == 1 else Every(found)


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, str | int | float)


def _refuse(place: str, rule: str) -> NoReturn:
    raise InvalidRequest(f"{place}: {rule}.", param=place)
