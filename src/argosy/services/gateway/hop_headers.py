"""Which headers pass through the gateway to a service of the user's own, and back."""

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
"""Headers of one connection (RFC 9110, 7.6.1). `Expect` is among them: uvicorn answers it before the body is read."""
RENEWED = frozenset({b"host", b"content-length", REQUEST_ID_HEADER.encode(), TRACEPARENT_HEADER.encode()})
"""Headers of a request that the gateway writes anew."""
OF_THE_SERVER = frozenset({b"date", b"server", LOAD_HEADER.encode(), REQUEST_ID_HEADER.encode()})
"""Headers of an answer that the gateway writes anew, or keeps to itself."""
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
"""Headers of an answer that set a rule for everything at the gateway's address, not for the answer alone."""
PRIVATE_PREFIX = b"x-argosy-"
WITHOUT_BODY = frozenset({204, 304})
MAX_LENGTH_DIGITS = 18
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")
_VALUE = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*")


def request_headers(headers: Iterable[Header]) -> list[tuple[str, str]]:
    """Return the headers of a caller's request that a service is sent. A name may stand there more than once."""
    passed = _end_to_end(headers, RENEWED)
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in passed]


def response_headers(headers: Iterable[Header], status: int) -> list[Header]:
    """Return the headers of a service's answer that the caller is sent.

    Raises: UpstreamFailed, a header holds bytes that none may hold.
    """
    passed = _end_to_end(headers, OF_THE_SERVER | OF_THE_ORIGIN)
    if not all(_NAME.fullmatch(name) and _VALUE.fullmatch(value) for name, value in passed):
        raise UpstreamFailed("The service answered with a header that cannot be passed on.")
    if status in WITHOUT_BODY:
        return [header for header in passed if header[0] != b"content-length"]
    return passed


def body_length(headers: Iterable[Header]) -> int | None:
    """Return the size of a request's body in bytes; None for one in chunks, 0 when there is none.

    Raises: InvalidRequest, the headers can be read in more than one way.
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
        raise InvalidRequest("Content-Length is not one whole number of bytes.")
    return int(length)


def _end_to_end(headers: Iterable[Header], dropped: frozenset[bytes]) -> list[Header]:
    lowered = [(name.lower(), value) for name, value in headers]
    named = {option.strip().lower() for name, value in lowered if name == b"connection" for option in value.split(b",")}
    unwanted = HOP_BY_HOP | dropped | named
    return [header for header in lowered if header[0] not in unwanted and not header[0].startswith(PRIVATE_PREFIX)]
