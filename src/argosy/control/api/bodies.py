"""Bodies of admin requests."""

from __future__ import annotations

from typing import TypeVar

from fastapi import Request

from argosy.serving.bodies import json_message

MAX_BODY_BYTES = 2**20
"""Largest body. A calibration of 200 steps takes a tenth of it."""

T = TypeVar("T")


async def body_as(request: Request, kind: type[T]) -> T:
    """Return the body as a message. Raises: InvalidRequest naming the field; TooLarge; UnsupportedType."""
    return await json_message(request, kind, MAX_BODY_BYTES)
