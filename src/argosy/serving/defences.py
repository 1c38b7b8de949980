"""Defences against untrusted requests on loopback: any web page can make a browser send requests to it.

Each request is checked before it costs anything: its Host, its Origin, its content type if it writes, and the fleet's
token on internal routes. Pure: headers in, an error or None out.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from argosy.contracts import proof
from argosy.contracts.codec import JSON, MSGPACK, NDJSON
from argosy.contracts.errors import (
    ArgosyError,
    Forbidden,
    InvalidRequest,
    Misdirected,
    TooLarge,
    Unauthorized,
    UnsupportedType,
)

OPEN_PATHS = frozenset({"/livez", "/readyz", "/metrics", proof.PATH})
INTERNAL_PREFIX = "/internal/"
MAX_LENGTH_DIGITS = 18
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
WRITE_TYPES = frozenset({JSON, MSGPACK, NDJSON, "multipart/form-data"})

DECISIVE = frozenset({"host", "origin", "authorization", "content-length", "content-type", "sec-fetch-site"})
LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?"
AUTHORITY = re.compile(
    rf"(?:(?P<name>{LABEL}(?:\.{LABEL})*)|\[(?P<address>[0-9A-Fa-f:.]+)\])(?::(?P<port>[0-9]{{1,5}}))?"
)
DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Defences:
    """Rules of one listener. Paths under `public_prefixes` and in OPEN_PATHS need no token; all others need it.

    Paths under `/internal/` always need the token.
    """

    token: str
    allowed_hosts: frozenset[str]
    allowed_origins: frozenset[str] = frozenset()
    public_prefixes: tuple[str, ...] = ()
    max_body_bytes: int = 256 * 2**20

    def is_fleet(self, headers: Mapping[str, str]) -> bool:
        """Return whether the caller sent the fleet's token; False when the fleet has no token."""
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if not self.token or scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(given.strip().encode(), self.token.encode())

    def check(self, method: str, path: str, headers: Mapping[str, str]) -> ArgosyError | None:
        """Return the error with which to refuse the request, or None. Header names are lower case."""
        return (
            self._check_host(headers)
            or self._check_origin(headers)
            or self._check_body(method, headers)
            or self._check_token(path, headers)
        )

    def _check_host(self, headers: Mapping[str, str]) -> ArgosyError | None:
        host = host_of(headers.get("host", ""))
        if host and host in self.allowed_hosts:
            return None
        return Misdirected(
            "The Host header names an address this fleet does not answer for. Use 127.0.0.1 or localhost, "
            "or add the name to services.gateway.allowed_hosts."
        )

    def _check_origin(self, headers: Mapping[str, str]) -> ArgosyError | None:
        origin = headers.get("origin")
        if origin is None or origin in self.allowed_origins:
            return None
        if is_same_origin(origin, headers.get("host", "")):
            return None
        return Forbidden(
            "Requests from web pages of another origin are refused. "
            "Add the origin to services.gateway.allowed_origins to allow it."
        )

    def _check_body(self, method: str, headers: Mapping[str, str]) -> ArgosyError | None:
        if method not in WRITES:
            return None
        if "cross-site" in headers.get("sec-fetch-site", "") and headers.get("origin") not in self.allowed_origins:
            return Forbidden("Cross-site requests that write are refused. Send the request from a page of this origin.")
        length = headers.get("content-length")
        if length is not None and not (length.isascii() and length.isdigit() and len(length) <= MAX_LENGTH_DIGITS):
            return InvalidRequest(
                f"Content-Length is not a number of at most {MAX_LENGTH_DIGITS} digits. Send the number of bytes in "
                "the body."
            )
        if length is not None and int(length) > self.max_body_bytes:
            return TooLarge(
                f"The body has {length} bytes, the limit is {self.max_body_bytes}. Send less at once, or raise "
                "services.gateway.max_body_bytes."
            )
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        has_body = length not in (None, "0") or "transfer-encoding" in headers
        if kind in WRITE_TYPES or (not kind and not has_body):
            return None
        return UnsupportedType(f"Content-Type {kind or '(none)'} is not accepted. Send {JSON} or multipart/form-data.")

    def _check_token(self, path: str, headers: Mapping[str, str]) -> ArgosyError | None:
        is_public = path.startswith(self.public_prefixes or ("\0",)) and not path.startswith(INTERNAL_PREFIX)
        if path in OPEN_PATHS or is_public or self.is_fleet(headers):
            return None
        return Unauthorized(
            "This route is for the fleet only. Send the token in data_dir/token as 'Authorization: Bearer TOKEN'."
        )


def headers_of(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the header fields by name; the last value of a repeated field counts.

    Values of the fields in DECISIVE, which decide whether a request is admitted, are joined with commas instead. A
    second Host or Authorization therefore never replaces the first one silently: the joined value is neither an address
    nor a token, and the request is refused.
    """
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in DECISIVE and name in headers else value
    return headers


def host_of(header: str) -> str:
    """Return the host in a Host header, in lower case and without port and brackets.

    Returns: an empty string unless the header is exactly `host` or `host:port`.
    """
    found = _authority(header)
    return "" if found is None else found[0]


def is_same_origin(origin: str, host: str) -> bool:
    """Return whether the origin is exactly `http://` or `https://` followed by the address in the Host header."""
    scheme, separator, rest = origin.partition("://")
    theirs, ours = _authority(rest), _authority(host)
    if scheme not in DEFAULT_PORTS or not separator or theirs is None or ours is None:
        return False
    default = DEFAULT_PORTS[scheme]
    return theirs[0] == ours[0] and (theirs[1] or default) == (ours[1] or default)


def _authority(text: str) -> tuple[str, int | None] | None:
    """Return host and port of exactly `host` or `host:port`; None for everything else."""
    found = AUTHORITY.fullmatch(text)
    if found is None:
        return None
    name, address, port = found["name"], found["address"], found["port"]
    if address is not None:
        try:
            name = str(ipaddress.IPv6Address(address))
        except ValueError:
            return None
    if port is not None and not 0 < int(port) <= MAX_PORT:
        return None
    return name.lower(), None if port is None else int(port)
