"""Tests of the defences on loopback: requests that a web page can make a browser send are refused."""

from __future__ import annotations

import pytest

from argosy.contracts.errors import ArgosyError, Forbidden, Misdirected, TooLarge, Unauthorized, UnsupportedType
from argosy.serving.defences import Defences, host_of

pytestmark = pytest.mark.unit

DEFENCES = Defences(
    "secret",
    frozenset({"127.0.0.1", "localhost", "::1"}),
    allowed_origins=frozenset({"https://app.example"}),
    public_prefixes=("/v1/",),
    max_body_bytes=100,
)
HERE = {"host": "127.0.0.1:8080"}
FLEET = {**HERE, "authorization": "Bearer secret"}


@pytest.mark.parametrize(
    ("method", "path", "headers", "refusal"),
    [
        ("GET", "/v1/models", HERE, None),
        ("GET", "/v1/models", {"host": "[::1]:8080"}, None),
        ("GET", "/v1/models", {"host": "LOCALHOST"}, None),
        ("GET", "/v1/models", {}, Misdirected),
        ("GET", "/v1/models", {"host": "evil.example"}, Misdirected),
        ("GET", "/v1/models", {"host": "127.0.0.1.evil.example:8080"}, Misdirected),
        ("GET", "/livez", {"host": "evil.example"}, Misdirected),
        ("GET", "/v1/models", {**HERE, "origin": "https://evil.example"}, Forbidden),
        ("GET", "/v1/models", {**HERE, "origin": "null"}, Forbidden),
        ("GET", "/v1/models", {**HERE, "origin": "http://127.0.0.1:9999"}, Forbidden),
        ("GET", "/v1/models", {**HERE, "origin": "http://127.0.0.1:8080"}, None),
        ("GET", "/v1/models", {**HERE, "origin": "https://app.example"}, None),
        ("POST", "/v1/search", {**HERE, "content-type": "application/json; charset=utf-8"}, None),
        ("POST", "/v1/documents", {**HERE, "content-type": "multipart/form-data; boundary=x"}, None),
        ("POST", "/v1/search", {**HERE, "content-type": "text/plain", "content-length": "2"}, UnsupportedType),
        ("POST", "/v1/search", {**HERE, "content-length": "2"}, UnsupportedType),
        ("POST", "/v1/search", {**HERE, "content-type": "application/x-www-form-urlencoded"}, UnsupportedType),
        ("POST", "/v1/documents/x/retry", HERE, None),
        ("DELETE", "/v1/documents/x", {**HERE, "sec-fetch-site": "cross-site"}, Forbidden),
        ("POST", "/v1/x", {**HERE, "content-type": "application/json", "content-length": "101"}, TooLarge),
        ("POST", "/v1/x", {**HERE, "content-type": "application/json", "content-length": "x"}, ArgosyError),
        ("GET", "/internal/status", HERE, Unauthorized),
        ("GET", "/internal/status", {**HERE, "authorization": "Bearer wrong"}, Unauthorized),
        ("GET", "/internal/status", {**HERE, "authorization": "Basic secret"}, Unauthorized),
        ("GET", "/internal/status", FLEET, None),
        ("GET", "/metrics", HERE, None),
    ],
)
def test_what_is_refused(method: str, path: str, headers: dict[str, str], refusal: type[ArgosyError] | None) -> None:
    found = DEFENCES.check(method, path, headers)
    assert (found is None) if refusal is None else isinstance(found, refusal)


def test_without_public_prefixes_everything_needs_the_token() -> None:
    closed = Defences("secret", frozenset({"127.0.0.1"}))
    assert isinstance(closed.check("GET", "/search", HERE), Unauthorized)
    assert closed.check("GET", "/search", FLEET) is None


@pytest.mark.parametrize(
    ("header", "host"),
    [("127.0.0.1:80", "127.0.0.1"), ("[::1]:80", "::1"), ("[::1]", "::1"), ("LocalHost", "localhost"), ("", "")],
)
def test_the_host_is_taken_without_its_port(header: str, host: str) -> None:
    assert host_of(header) == host
