"""Bytes on the wire between services: MessagePack by default, JSON for people and tools."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from argosy.contracts.errors import InvalidRequest

MSGPACK = "application/msgpack"
JSON = "application/json"

T = TypeVar("T")


def encode(message: object, content_type: str = MSGPACK) -> bytes:
    """`message` (a Struct or plain values) as `content_type`. Bytes fields are raw in MessagePack, base64 in JSON."""
    return msgspec.json.encode(message) if content_type == JSON else msgspec.msgpack.encode(message)


def decode(body: bytes, into: type[T], content_type: str = MSGPACK) -> T:
    """The message in `body`. Raises: InvalidRequest naming the field that does not fit."""
    try:
        if content_type == JSON:
            return msgspec.json.decode(body, type=into)
        return msgspec.msgpack.decode(body, type=into)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The body is not a valid {into.__name__}: {error}") from error
