"""Checks of a request's head that the HTTP parser does not make. Pure: the parsed head in, an error or None out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

import httptools

from argosy.contracts.errors import ArgosyError, HeadersTooLarge, InvalidRequest

MAX_HEADERS = 200
MAX_LENGTH_DIGITS = 18
"""Digits of a Content-Length; every number of 18 digits fits into a signed 64-bit integer."""
VERSIONS = frozenset({"1.0", "1.1"})
SINGLE = frozenset(
    {
        b"host",
        b"content-length",
        b"content-type",
        b"transfer-encoding",
        b"authorization",
        b"origin",
        b"sec-fetch-site",
        b"expect",
        b"x-request-id",
        b"traceparent",
    }
)
"""Headers that may be sent only once, because some readers use the first of two values and others the last."""
OWN_PREFIX = b"x-argosy-"
NO_PATH = (
    "The request target must be a path that begins with a slash. Send 'METHOD /path HTTP/1.1' and name the server in "
    "the Host header."
)

Headers = Sequence[tuple[bytes, bytes]]


class Parser(Protocol):
    """Methods of httptools' parser that the checks use."""

    def get_http_version(self) -> str: ...
    def get_method(self) -> bytes: ...
    def should_upgrade(self) -> bool: ...


def fault(target: bytes, headers: Headers, names: Collection[bytes], parser: Parser) -> ArgosyError | None:
    """Return the error with which to refuse the request, or None. `names` are the header names in lower case."""
    if target[:1] != b"/":
        return InvalidRequest(NO_PATH)
    if len(names) < len(headers):
        if len(headers) > MAX_HEADERS:
            return _too_many(headers)
        twice = _twice(headers)
        if twice is not None:
            return InvalidRequest(f"The header {twice} may be sent only once.", param=twice)
    elif len(names) > MAX_HEADERS:
        return _too_many(headers)
    if b"host" not in names:
        return InvalidRequest("The Host header is missing. Name the server in it.", param="host")
    version, upgrade = parser.get_http_version(), parser.should_upgrade()
    if version not in VERSIONS:
        return InvalidRequest("The HTTP version of the request is not supported. Use HTTP/1.1.")
    if upgrade and parser.get_method() == b"CONNECT":
        return InvalidRequest(NO_PATH)
    if b"content-length" in names or b"transfer-encoding" in names:
        return _body_fault(version, dict(headers), upgrade)
    return None


def _too_many(headers: Headers) -> ArgosyError:
    return HeadersTooLarge(f"The request has {len(headers)} headers, the limit is {MAX_HEADERS}. Send fewer.")


def _twice(headers: Headers) -> str | None:
    seen: set[bytes] = set()
    for name, _ in headers:
        if name in seen and (name in SINGLE or name.startswith(OWN_PREFIX)):
            return name.decode("latin-1")
        seen.add(name)
    return None


def _body_fault(version: str, headers: dict[bytes, bytes], upgrade: bool) -> ArgosyError | None:
    length, encoding = headers.get(b"content-length"), headers.get(b"transfer-encoding")
    if length is not None and encoding is not None:
        return InvalidRequest("Content-Length and Transfer-Encoding exclude each other. Send one.")
    if length is not None and len(length.strip()) > MAX_LENGTH_DIGITS:
        return InvalidRequest(
            f"Content-Length has more than {MAX_LENGTH_DIGITS} digits. Send the number of bytes in the body.",
            param="content-length",
        )
    if encoding is not None and (encoding.strip().lower() != b"chunked" or version == "1.0"):
        return InvalidRequest(
            "This Transfer-Encoding is not supported. Use 'chunked' with HTTP/1.1, or send a Content-Length.",
            param="transfer-encoding",
        )
    if upgrade and length is not None and length.strip().strip(b"0") == b"":
        return None
    if upgrade:
        return InvalidRequest("A request for an upgrade may not have a body. Omit the Upgrade header.", param="upgrade")
    return None


def malformed(error: httptools.HttpParserError) -> ArgosyError:
    """Return the error for invalid syntax. The parser's reasons are constants, so they are safe to send to clients."""
    reason = "" if isinstance(error, httptools.HttpParserCallbackError) else str(error).strip()
    return InvalidRequest(f"The request is not valid HTTP/1.1{f': {reason}' if reason else ''}. Correct the client.")
