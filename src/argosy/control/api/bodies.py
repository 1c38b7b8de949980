"""Reads the bodies of admin requests."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from fastapi import Request

from argosy.contracts.errors import InvalidRequest

T = TypeVar("T")


async def body_as(request: Request, kind: type[T]) -> T:
    """Raises: InvalidRequest, saying what is wrong with it."""
    try:
        return msgspec.json.decode(await request.body(), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The body is wrong: {error}. Correct it.") from error
