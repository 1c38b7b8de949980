"""Validation of a request's body or query against a model of `bodies`; errors name the field and the remedy."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from argosy.contracts.errors import InvalidRequest
from argosy.contracts.strict_json import parse, printable
from argosy.serving.bodies import json_body, parsed
from argosy.serving.refusal import refusal

BYTES_PER_CHAR = 12
"""Most bytes that one character takes in JSON: a pair of escaped surrogates."""
BESIDES_BYTES = 256 * 2**10
"""Bytes allowed in a body in addition to its text."""

M = TypeVar("M", bound=BaseModel)


def limit_bytes(chars: int) -> int:
    """Return the largest body, in bytes, that a route with a text of at most `chars` characters needs to accept."""
    return BYTES_PER_CHAR * chars + BESIDES_BYTES


async def read(request: Request, model: type[M], most_bytes: int) -> M:
    """Return the body as `model`.

    Raises: InvalidRequest when the body is not valid JSON of that model, with the field as `param`; TooLarge when it is
    over `most_bytes`; UnsupportedType when its content type is not JSON.
    """
    body = await json_body(request, most_bytes)

    def validated(body: bytes) -> M:
        value = parse(body)
        if not isinstance(value, dict):
            raise InvalidRequest("The body must be a JSON object.")
        return _validated(value, model)

    return await parsed(body, validated)


def read_query(request: Request, model: type[M]) -> M:
    """Return the query as `model`.

    Raises: InvalidRequest when a parameter is unknown, wrong or repeated, with its name as `param`.
    """
    query: dict[str, object] = {}
    for name, value in request.query_params.multi_items():
        if name in query:
            shown = printable(name)
            raise InvalidRequest(f"The query holds {shown} twice. Send it once.", param=shown)
        query[name] = value
    return _validated(query, model)


def _validated(value: dict[str, object], model: type[M]) -> M:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise refusal(error.errors(include_url=False, include_context=True), model, value) from None
