"""Bounded reading of files that people write: each error names the file, the line, the field and the remedy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from argosy.contracts.errors import InvalidRequest, NotFound

MAX_FILE_BYTES = 64 * 2**20
MAX_LINE_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Place:
    """Place in a file, for messages: the file, and the line or the entry."""

    path: Path
    line: int | None = None
    entry: str = ""

    def __str__(self) -> str:
        where = f", line {self.line}" if self.line is not None else ""
        return f"{self.path}{where}{f', {self.entry}' if self.entry else ''}"

    def refuse(self, why: str) -> NoReturn:
        raise InvalidRequest(f"{self}: {why}")


def content_of(path: Path, max_bytes: int, *, missing: str, large: str) -> bytes:
    """Return the bytes of a file. `missing` and `large` are the remedies in the messages.

    Raises: NotFound when there is no such file; InvalidRequest when it has more than `max_bytes` or cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {path}. {missing}") from error
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror}.") from error
    if len(content) > max_bytes:
        raise InvalidRequest(f"{path} is larger than {max_bytes // 2**20} MiB. {large}")
    return content


def text_of(path: Path) -> str:
    """Return the text of a UTF-8 file, without a byte order mark.

    Raises: NotFound when there is no such file; InvalidRequest when it is too large or is not UTF-8.
    """
    content = content_of(path, MAX_FILE_BYTES, missing="Check the path.", large="Split it into several files.")
    return _decoded(content, Place(path))


def lines_of(path: Path) -> Iterator[tuple[Place, str]]:
    """Yield the lines that are not blank, with their place. The file is read as it is consumed.

    Raises: NotFound when there is no such file; InvalidRequest when a line is too long or is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                place = Place(path, number)
                if len(line) > MAX_LINE_BYTES:
                    place.refuse(f"the line is longer than {MAX_LINE_BYTES // 2**20} MiB. Split the document.")
                if line.strip():
                    yield place, _decoded(line, place)
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {path}. Check the path.") from error
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror}.") from error


def json_of(text: str, place: Place) -> Any:
    """Decode JSON. Raises: InvalidRequest that names the place."""
    try:
        return msgspec.json.decode(text.encode(errors="surrogatepass"))
    except (msgspec.DecodeError, RecursionError) as error:
        place.refuse(f"this is not valid JSON ({error}). Correct it.")


def object_of(value: Any, place: Place) -> dict[str, Any]:
    if not isinstance(value, dict):
        place.refuse(f"a JSON object {{…}} is expected, not {_named(value)}.")
    return value


def string(fields: dict[str, Any], name: str, place: Place, most_chars: int, *, least_chars: int = 0) -> str:
    """Return a text field; a number is taken as its text, and a missing field as an empty text.

    Raises: InvalidRequest when it has another type or its length is out of bounds.
    """
    value = fields.get(name)
    if value is None:
        value = ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        place.refuse(f"the field {name!r} must be a text, not {_named(value)}.")
    if len(value) > most_chars:
        place.refuse(f"the field {name!r} has {len(value)} characters; the limit is {most_chars}. Shorten it.")
    if len(value.strip()) < least_chars:
        place.refuse(f"the field {name!r} is missing or empty. Fill it in.")
    return value


def strings(fields: dict[str, Any], name: str, place: Place, most: int, most_chars: int) -> tuple[str, ...]:
    """Return a field that is a list of texts; a single text or number counts as a list of one.

    Raises: InvalidRequest when it has another type or is out of bounds.
    """
    value = fields.get(name)
    if value is None or value == "":
        return ()
    listed = value if isinstance(value, list) else [value]
    if len(listed) > most:
        place.refuse(f"the field {name!r} has {len(listed)} entries; the limit is {most}. Send fewer.")
    return tuple(string({name: one}, name, place, most_chars, least_chars=1) for one in listed)


def _decoded(content: bytes, place: Place) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place.refuse(f"byte {error.start} is not UTF-8. Save the file as UTF-8.")


def _named(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")
