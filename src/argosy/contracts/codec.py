"""Encoding of messages.

Services exchange MessagePack by default, and JSON with people and tools. A process and its child exchange MessagePack
in frames.
"""

from __future__ import annotations

import difflib
import re
from typing import TypeVar

import msgspec
import msgspec.inspect

from argosy.contracts.errors import InvalidRequest
from argosy.contracts.strict_json import parse, printable

MSGPACK = "application/msgpack"
JSON = "application/json"
NDJSON = "application/x-ndjson"
LENGTH_BYTES = 4
"""Number of bytes of a frame's length, which is big-endian."""

T = TypeVar("T")


def encode(message: object, content_type: str = MSGPACK) -> bytes:
    """Encode a Struct or plain values as `content_type`. Bytes fields are raw in MessagePack and base64 in JSON."""
    return msgspec.json.encode(message) if content_type == JSON else msgspec.msgpack.encode(message)


def frame(message: msgspec.Struct) -> bytes:
    """Return a message as a process and its child send it through a pipe: its length, then MessagePack."""
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def decode(body: bytes, into: type[T], content_type: str = MSGPACK) -> T:
    """Return the message in `body`. Decoding stops at the first field that does not fit.

    Raises: InvalidRequest, naming that field, when the body is not a valid message of type `into`.
    """
    try:
        if content_type == JSON:
            return msgspec.convert(parse(body), type=into, str_keys=True)
        return msgspec.msgpack.decode(body, type=into)
    except (msgspec.DecodeError, UnicodeDecodeError, OverflowError, RecursionError) as error:
        raise _said(error, into) from error


def _said(error: Exception, into: type[object]) -> InvalidRequest:
    """Return the error for the caller: the field, the fault, and the nearest known field for an unknown one."""
    unknown = _UNKNOWN.match(str(error))
    if unknown is not None:
        name = printable(unknown[1])
        known = _fields(into)
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        remedy = (
            f'Did you mean "{close[0]}"?' if close else f"Known are {', '.join(known)}." if known else "Leave it out."
        )
        return InvalidRequest(f'Unknown field "{name}". {remedy}', param=name)
    if not isinstance(error, msgspec.DecodeError):
        return InvalidRequest("The body is not a valid message of this API. Correct it.")
    what, path = _PLACE.match(str(error)).groups("")  # type: ignore[union-attr]  # it matches any text
    param = path.lstrip(".") or None
    said = _TYPE.sub(lambda found: " or ".join(_WORDS.get(name, name) for name in found[1].split(" | ")), what)
    return InvalidRequest(f"The body does not fit{f' at {param}' if param else ''}: {said}. Correct it.", param=param)


def _fields(into: type[object]) -> list[str]:
    """Return the names of the fields of a message and of the messages in it."""
    names: list[str] = []
    for info in msgspec.inspect.multi_type_info([into]):
        names.extend(_names(info))
    return list(dict.fromkeys(names))


def _names(info: msgspec.inspect.Type) -> list[str]:
    if isinstance(info, msgspec.inspect.StructType):
        return [name for field in info.fields for name in (field.encode_name, *_names(field.type))]
    inner = getattr(info, "item_type", None)
    return _names(inner) if inner is not None else []


_PLACE = re.compile(r"(?s)(.*?)(?: - at (?:`key` in )?`\$([^`]*)`)?\Z")
_TYPE = re.compile(r"`([a-z |]+)`")
_WORDS = {"str": "a string", "int": "a whole number", "float": "a number", "bool": "true or false", "array": "an array"}
_WORDS |= {"object": "an object", "bytes": "base64", "tuple": "an array"}
_UNKNOWN = re.compile(r"Object contains unknown field `([^`]*)`")
