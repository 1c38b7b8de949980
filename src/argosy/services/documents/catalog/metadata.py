"""Validation of a document's title and metadata. Their size is limited because each search hit returns them."""

from __future__ import annotations

import math

import msgspec

from argosy.contracts.codec import JSON, decode
from argosy.contracts.documents import (
    MAX_METADATA_BYTES,
    MAX_METADATA_KEY_CHARS,
    MAX_METADATA_KEYS,
    MAX_METADATA_VALUE_CHARS,
    MAX_TITLE_CHARS,
)
from argosy.contracts.errors import InvalidRequest
from argosy.contracts.store import Metadata
from argosy.contracts.strict_json import printable

MAX_INTEGER = 2**53
"""Largest integer that all JSON readers read as the same number."""


def read_metadata(written: str) -> Metadata:
    """Return the `metadata` field of a form, which holds a JSON object.

    Raises: InvalidRequest when it is not a JSON object or not valid metadata.
    """
    _check_size(len(written.encode("utf-8", "replace")), "metadata")
    try:
        found = decode(written.encode("utf-8", "replace"), dict[str, object], JSON)
    except InvalidRequest as error:
        said = error.message.removeprefix("The body").strip()
        raise InvalidRequest(
            f"The form field metadata, which must be a JSON object, {said}", param="metadata"
        ) from None
    return checked_metadata(found, "metadata")


def checked_metadata(given: dict[str, object] | Metadata, param: str) -> Metadata:
    """Return the metadata as it is stored. `param` names it in errors.

    Raises: InvalidRequest when it has too many keys, is too long or holds a value that is not a scalar.
    """
    if len(given) > MAX_METADATA_KEYS:
        raise InvalidRequest(
            f"{param} has {len(given)} keys, the limit is {MAX_METADATA_KEYS}. Send fewer.", param=param
        )
    checked: Metadata = {}
    for key, value in given.items():
        if not 1 <= len(key) <= MAX_METADATA_KEY_CHARS:
            raise InvalidRequest(
                f'{param} has a key "{printable(key)}" of {len(key)} characters; a key has 1 to '
                f"{MAX_METADATA_KEY_CHARS}. Rename it.",
                param=param,
            )
        checked[key] = _checked_value(value, f"{param}.{printable(key)}")
    _check_size(len(msgspec.json.encode(checked)), param)
    return checked


def check_title(title: str | None, param: str) -> None:
    """Check a title given by the sender. Raises: InvalidRequest when it is too long or holds NUL."""
    if title is not None and (len(title) > MAX_TITLE_CHARS or "\0" in title):
        raise InvalidRequest(
            f"{param} has {len(title)} characters; it may have {MAX_TITLE_CHARS}, none of them NUL. Shorten it.",
            param=param,
        )


def _checked_value(value: object, place: str) -> str | int | float | bool | None:
    if not isinstance(value, str | int | float | bool | None):
        raise InvalidRequest(
            f"{place} must be a text, a number, true, false or null. Use several keys instead.",
            param=place,
        )
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise InvalidRequest(f"{place} is over 2^53; send it as a text.", param=place)
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidRequest(f"{place} is not a finite number; send it as a text.", param=place)
    if isinstance(value, str) and len(value) > MAX_METADATA_VALUE_CHARS:
        raise InvalidRequest(
            f"{place} has {len(value)} characters, the limit is {MAX_METADATA_VALUE_CHARS}. Shorten it.", param=place
        )
    return value


def _check_size(size: int, param: str) -> None:
    if size > MAX_METADATA_BYTES:
        raise InvalidRequest(
            f"{param} has {size} bytes of JSON, the limit is {MAX_METADATA_BYTES}. Keep long texts in the document.",
            param=param,
        )
