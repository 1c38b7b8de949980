"""Loopback is not trusted: any web page can make a browser send requests to it.

Checked before a request costs anything: the Host it names, the Origin it comes from, the type of what it
writes, and the fleet's token where only the fleet may call. Pure: headers in, an error or nothing out.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
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
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
WRITE_TYPES = frozenset({JSON, MSGPACK, NDJSON, "multipart/form-data"})


@dataclass(frozen=True, slots=True)
class Defences:
    """`public_prefixes` are the paths that need no token; `/internal/` and everything else but OPEN_PATHS does."""

    token: str
    allowed_hosts: frozenset[str]
    allowed_origins: frozenset[str] = frozenset()
    public_prefixes: tuple[str, ...] = ()
    max_body_bytes: int = 256 * 2**20

    def is_fleet(self, headers: Mapping[str, str]) -> bool:
        """Whether the caller proved to be of the fleet."""
        scheme, _, given = headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self.token.encode())

    def check(self, method: str, path: str, headers: Mapping[str, str]) -> ArgosyError | None:
        """The reason to refuse the request, or None. Header names are lower case."""
        return (
            self._check_host(headers)
            or self._check_origin(headers)
            or self._check_body(method, headers)
            or self._check_token(path, headers)
        )

    def _check_host(self, headers: Mapping[str, str]) -> ArgosyError | None:
        host = host_of(headers.get("host", ""))
        if host in self.allowed_hosts:
            return None
        return Misdirected(
            "The Host header names an address this fleet does not answer for. Use 127.0.0.1 or localhost, "
            "or add the name to services.gateway.allowed_hosts."
        )

    def _check_origin(self, headers: Mapping[str, str]) -> ArgosyError | None:
        origin = headers.get("origin")
        if origin is None or origin in self.allowed_origins:
            return None
        if origin.removeprefix("http://").removeprefix("https://") == headers.get("host"):
            return None
        return Forbidden(
            "Requests from web pages of another origin are refused. "
            "Add the origin to services.gateway.allowed_origins to allow it."
        )

    def _check_body(self, method: str, headers: Mapping[str, str]) -> ArgosyError | None:
        if method not in WRITES:
            return None
        if headers.get("sec-fetch-site") == "cross-site":
            return Forbidden("Cross-site requests that write are refused.")
        length = headers.get("content-length")
        if length is not None and not (length.isascii() and length.isdigit()):
            return InvalidRequest("Content-Length is not a number.")
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


def host_of(header: str) -> str:
    """The host in a Host header, without port and brackets."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.rpartition(":")[0].lower() if ":" in header else header.lower()
