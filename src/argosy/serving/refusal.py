"""Pydantic's validation errors as messages for the sender of a request: the field, the rule and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from argosy.contracts.errors import InvalidRequest
from argosy.contracts.strict_json import MAX_SHOWN, printable

Context = Mapping[str, Any]

_TYPES = {
    "a string": ("string_type", "string_unicode"),
    "a whole number": ("int_type", "int_parsing", "int_from_float", "int_parsing_size"),
    "a number": ("float_type", "float_parsing", "finite_number"),
    "true or false": ("bool_type", "bool_parsing"),
    "an array": ("list_type",),
    "an object": ("dict_type", "model_type", "model_attributes_type"),
    "null": ("none_required",),
}
_BOUNDS: Mapping[str, Callable[[Context], str]] = {
    "greater_than": lambda c: f"greater than {c['gt']}",
    "greater_than_equal": lambda c: f"at least {c['ge']}",
    "less_than": lambda c: f"less than {c['lt']}",
    "less_than_equal": lambda c: f"at most {c['le']}",
    "literal_error": lambda c: str(c["expected"]),
    "enum": lambda c: str(c["expected"]),
}
_LENGTHS: Mapping[str, Callable[[Context], str]] = {
    "string_too_short": lambda c: f"must have at least {c['min_length']} character",
    "string_too_long": lambda c: f"has more than {c['max_length']} characters, the limit; shorten it",
    "too_short": lambda c: f"must hold at least {c['min_length']}; send more",
    "too_long": lambda c: f"may hold at most {c['max_length']}; send fewer",
}
_SAID = {kind: f"must be {name}" for name, kinds in _TYPES.items() for kind in kinds}


def refusal(errors: list[ErrorDetails], model: type[BaseModel], value: object) -> InvalidRequest:
    """Return the most specific error for `value`; an unknown field comes first because it may cause other errors."""
    in_key = errors[0]["loc"][-1:] == ("[key]",)
    same_field = [e for e in errors if e["loc"][:1] == errors[0]["loc"][:1]]
    deepest = max(same_field, key=lambda e: len(_path(e, value)))  # the best matching branch of a union
    error = next((e for e in errors if e["type"] == "extra_forbidden"), deepest)
    path = _path(error, value)
    name = ".".join(path)
    if error["type"] == "extra_forbidden":
        return InvalidRequest(f"Unknown field {name}; {_nearest(error, model)}.", param=name)
    if error["type"] == "missing":
        return InvalidRequest(f"The field {name} is missing.", param=name)
    alike = {rule_of(e) for e in same_field if _path(e, value) == path and e["type"] in _SAID}
    rule = " or ".join(sorted(alike)).replace(" or must be ", " or ") if error["type"] in _SAID else rule_of(error)
    subject = f"{name}: this key" if in_key else f"{name}:"
    return InvalidRequest(f"{subject} {rule}{_given(error['input'])}.", param=name)


def rule_of(error: ErrorDetails) -> str:
    """Return the rule for the field, worded to follow the field's name."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in _SAID:
        return _SAID[kind]
    if kind in _BOUNDS:
        return f"must be {_BOUNDS[kind](context)}"
    if kind in _LENGTHS:
        return _LENGTHS[kind](context)
    if kind == "value_error":
        return str(context["error"])
    return "is not accepted; correct it"


def _path(error: ErrorDetails, value: object) -> tuple[str, ...]:
    """Return the path of the error in `value`, without the union branches that pydantic adds and no caller knows."""
    *above, last = error["loc"]
    path = []
    for part in above:
        if _holds(value, part):
            path.append(printable(str(part)))
            value = value[part]  # type: ignore[index]
    if _holds(value, last) or error["type"] == "missing":
        path.append(printable(str(last)))
    return tuple(path)


def _holds(value: object, part: int | str) -> bool:
    return (isinstance(value, dict) and part in value) or (isinstance(value, list) and isinstance(part, int))


def _given(value: object) -> str:
    if isinstance(value, str):
        return f" (given: {(printable(value) if value else value)!r}{'…' if len(value) > MAX_SHOWN else ''})"
    return f" (given: {value!r})" if isinstance(value, int | float) else ""


def _nearest(error: ErrorDetails, model: type[BaseModel]) -> str:
    """Return the remedy for an unknown field: the most similar known field, or all fields known at that place."""
    *above, name = (str(part) for part in error["loc"])
    for part in above:
        field = model.model_fields.get(part)
        if field is None:  # an index, or a branch of a union
            continue
        below = _model_in(field.annotation)
        if below is None:
            return "remove it"
        model = below
    known = list(model.model_fields)
    close = difflib.get_close_matches(name[:MAX_SHOWN], known, n=1, cutoff=0.5)
    return f"did you mean {close[0]}" if close else f"known here are {', '.join(known)}"


def _model_in(annotation: object) -> type[BaseModel] | None:
    """Return the model in a field's annotation, also if it is optional, in a union, or in a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)
