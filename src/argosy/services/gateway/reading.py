"""A request's body to one of the models in `bodies`, or an error that names the field and the remedy."""

from __future__ import annotations

import difflib
from typing import TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import Request

from argosy.contracts.codec import JSON
from argosy.contracts.errors import ArgosyError, InvalidRequest, TooLarge, UnsupportedType

MAX_JSON_BYTES = 32 * 2**20
LONGEST_SHOWN = 60

M = TypeVar("M", bound=BaseModel)


async def read(request: Request, model: type[M]) -> M:
    """The body as `model`. Raises: InvalidRequest with `param`; TooLarge; UnsupportedType."""
    kind = media_type(request)
    if kind and kind != JSON:
        raise UnsupportedType(f"Content-Type {kind} is not accepted here. Send {JSON}.")
    body = await _bytes(request)
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise _refusal(error.errors(include_url=False), model) from None


def read_query(request: Request, model: type[M]) -> M:
    """The query as `model`. Raises: InvalidRequest with `param`."""
    try:
        return model.model_validate(dict(request.query_params))
    except ValidationError as error:
        raise _refusal(error.errors(include_url=False), model) from None


def media_type(request: Request) -> str:
    """What the body is said to be, without parameters; empty when nothing is said."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _bytes(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_JSON_BYTES:
            raise TooLarge(f"The body is over the limit of {MAX_JSON_BYTES} bytes for JSON. Send less at once.")
    return bytes(body)


def _refusal(errors: list[ErrorDetails], model: type[BaseModel]) -> ArgosyError:
    """The error that says most: an unknown field is reported before what may follow from it."""
    same_field = [e for e in errors if e["loc"][:1] == errors[0]["loc"][:1]]
    deepest = max(same_field, key=lambda e: len(_path(e)))  # of a union's branches, the one that fitted best
    error = next((e for e in errors if e["type"] == "extra_forbidden"), deepest)
    if error["type"] == "json_invalid":
        if "hex escape" in error["msg"]:
            where = error["msg"].rpartition(" at ")[2]
            return InvalidRequest(
                f"The body is not valid JSON: half of a surrogate pair, or a broken \\u escape, at {where}. "
                "Send whole characters."
            )
        return InvalidRequest(f"The body is not valid JSON: {error['msg'].removeprefix('Invalid JSON: ')}.")
    path = _path(error)
    name = ".".join(path)
    if error["type"] == "extra_forbidden":
        return InvalidRequest(f"Unknown field {name}; {_nearest(path, model)}.", param=name)
    if error["type"] == "missing":
        return InvalidRequest(f"The field {name} is missing.", param=name)
    if not path:
        return InvalidRequest("The body must be a JSON object.")
    message = error["msg"].removeprefix("Value error, ")
    return InvalidRequest(f"{name}: {message[:1].lower()}{message[1:]}{_given(error['input'])}.", param=name)


def _path(error: ErrorDetails) -> tuple[str, ...]:
    """Where the error is, in the caller's words: a union's branch (`list[str]`, `str`) is ours, not theirs."""
    parts = [str(part) for part in error["loc"]]
    return tuple(
        p for n, p in enumerate(parts) if n == 0 or not (p in {"str", "bool", "int", "float"} or p[-1] in "])")
    )


def _given(value: object) -> str:
    if not isinstance(value, str | int | float | bool):
        return ""
    shown = repr(value)
    return f" (given: {shown if len(shown) <= LONGEST_SHOWN else shown[:LONGEST_SHOWN] + '…'})"


def _nearest(path: tuple[str, ...], model: type[BaseModel]) -> str:
    """The remedy for an unknown field: the nearest known one, or all there are at that place."""
    for part in path[:-1]:
        if part.isdigit():
            continue
        field = model.model_fields.get(part)
        below = None if field is None else _model_in(field.annotation)
        if below is None:
            return "remove it"
        model = below
    known = list(model.model_fields)
    close = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.5)
    return f"did you mean {close[0]}" if close else f"known here are {', '.join(known)}"


def _model_in(annotation: object) -> type[BaseModel] | None:
    """The model that a field holds, be it optional, one of several, or in a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)
