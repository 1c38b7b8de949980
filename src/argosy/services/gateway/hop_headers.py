"""Headers that pass through the gateway from a caller to a custom service, and back."""

from __future__ import annotations

import re
from collections.abc import Iterable

from argosy.contracts.errors import InvalidRequest, UpstreamFailed
from argosy.contracts.request import LOAD_HEADER, REQUEST_ID_HEADER, TRACEPARENT_HEADER

Header = tuple[bytes, bytes]

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"expect",
        b"http2-settings",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Headers of one connection (RFC 9110, 7.6.1). `Expect` is included: uvicorn answers it before the body is read."""
RENEWED = frozenset({b"host", b"content-length", REQUEST_ID_HEADER.encode(), TRACEPARENT_HEADER.encode()})
"""Request headers that the gateway replaces with its own."""
OF_THE_SERVER = frozenset({b"date", b"server", LOAD_HEADER.encode(), REQUEST_ID_HEADER.encode()})
"""Response headers that the gateway replaces with its own or removes."""
OF_THE_ORIGIN = frozenset(
    {
        b"alt-svc",
        b"clear-site-data",
        b"nel",
        b"report-to",
        b"service-worker-allowed",
        b"strict-transport-security",
    }
)
"""Response headers that set a rule for everything at the gateway's address, not only for the response."""
PRIVATE_PREFIX = b"x-argosy-"
WITHOUT_BODY = frozenset({204, 304})
MAX_LENGTH_DIGITS = 18
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")
_VALUE = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*")


def request_headers(headers: Iterable[Header]) -> list[tuple[str, str]]:
    """Return the caller's headers that are sent to the service. A name may occur more than once."""
    passed = _end_to_end(headers, RENEWED)
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in passed]


def response_headers(headers: Iterable[Header], status: int) -> list[Header]:
    """Return the service's headers that are sent to the caller.

    Raises: UpstreamFailed when a header contains bytes that HTTP does not allow.
    """
    passed = _end_to_end(headers, OF_THE_SERVER | OF_THE_ORIGIN)
    if not all(_NAME.fullmatch(name) and _VALUE.fullmatch(value) for name, value in passed):
        raise UpstreamFailed("The service sent a header with bytes that HTTP does not allow. Correct the service.")
    if status in WITHOUT_BODY:
        return [header for header in passed if header[0] != b"content-length"]
    return passed


def body_length(headers: Iterable[Header]) -> int | None:
    """Return the size of a request's body in bytes: None for a chunked body, 0 for no body.

    Raises: InvalidRequest when the headers can be read in more than one way.
    """
    given = list(headers)
    lengths = {value.strip() for name, value in given if name.lower() == b"content-length"}
    if any(name.lower() == b"transfer-encoding" for name, _ in given):
        if lengths:
            raise InvalidRequest("The request has a Content-Length and a Transfer-Encoding. Send one of them.")
        return None
    if not lengths:
        return 0
    length = lengths.pop()
    if lengths or not length.isdigit() or len(length) > MAX_LENGTH_DIGITS:
        raise InvalidRequest("Content-Length must be one whole number of bytes. Correct it.")
    return int(length)


def _end_to_end(headers: Iterable[Header], dropped: frozenset[bytes]) -> list[Header]:
    lowered = [(name.lower(), value) for name, value in headers]
    named = {option.strip().lower() for name, value in lowered if name == b"connection" for option in value.split(b",")}
    unwanted = HOP_BY_HOP | dropped | named
    return [header for header in lowered if header[0] not in unwanted and not header[0].startswith(PRIVATE_PREFIX)]
