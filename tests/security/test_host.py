"""Host and Origin are accepted only when they are exactly an address."""

from __future__ import annotations

import pytest

from argosy.contracts.errors import ArgosyError, Forbidden, InvalidRequest, Misdirected, Unauthorized
from argosy.serving.defences import Defences, headers_of

pytestmark = pytest.mark.security

DEFENCES = Defences("secret", frozenset({"127.0.0.1", "localhost", "::1"}), public_prefixes=("/v1/",))
NO_TOKEN = Defences("", frozenset({"127.0.0.1"}))
HERE = "127.0.0.1:8080"


def refusal(*headers: tuple[str, str], defences: Defences = DEFENCES, path: str = "/v1/models") -> ArgosyError | None:
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return defences.check("GET", path, headers_of(raw))


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:80@evil.com",
        "127.0.0.1@evil.com",
        "user@127.0.0.1",
        "user:secret@127.0.0.1:80",
        "localhost:8080/evil",
        "localhost/",
        "localhost?x",
        "localhost#x",
        "localhost:",
        "localhost:0",
        "localhost:65536",
        "localhost:8080:80",
        "localhost:80a",
        "localhost:-1",
        "localhost:+80",
        "localhost: 80",
        "localhost:\u0662",
        "localhost.",
        "localhost.:80",
        ".localhost",
        "[::1",
        "::1]",
        "::1",
        "[::1]x",
        "[::1]:",
        "[::1]80",
        "[::1%lo]",
        "[::1]evil.com",
        "[127.0.0.1]",
        "[localhost]",
        "[]",
        "",
        " ",
        " localhost",
        "localhost ",
        "localhost\t",
        "localhost\n",
        "localhost,evil.com",
        "localhost, localhost",
        "http://localhost",
        "//localhost",
        "127.0.0.1.evil.com",
        "evil.com",
        "local\\host",
        "localhost\x00",
        "127.1",
    ],
)
def test_what_is_not_exactly_an_address_of_the_fleet_is_refused(host: str) -> None:
    encoded = host.encode("utf-8").decode("latin-1")
    assert isinstance(refusal(("host", encoded)), Misdirected)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", HERE, "127.0.0.1:9", "localhost", "LocalHost:80", "[::1]", "[::1]:8080", "[0:0:0:0:0:0:0:1]"]
)
def test_addresses_of_the_fleet_are_accepted_at_any_port(host: str) -> None:
    assert refusal(("host", host)) is None


@pytest.mark.parametrize("second", [HERE, "evil.com"])
def test_a_second_host_is_refused_in_either_order(second: str) -> None:
    assert isinstance(refusal(("host", HERE), ("host", second)), Misdirected)
    assert isinstance(refusal(("host", second), ("host", HERE)), Misdirected)


def test_an_empty_name_in_the_list_of_hosts_lets_nothing_in() -> None:
    defences = Defences("secret", frozenset({""}), public_prefixes=("/v1/",))
    assert isinstance(refusal(("host", "a@b"), defences=defences), Misdirected)


@pytest.mark.parametrize(
    "origin",
    [
        "127.0.0.1:8080",
        "http://https://127.0.0.1:8080",
        "https://http://127.0.0.1:8080",
        "http://127.0.0.1:8080/",
        "http://127.0.0.1:8080@evil.com",
        "http://user@127.0.0.1:8080",
        "http://127.0.0.1:8081",
        "http://127.0.0.1",
        "http://localhost:8080",
        "HTTP://127.0.0.1:8080",
        "ftp://127.0.0.1:8080",
        "http:127.0.0.1:8080",
        "http//127.0.0.1:8080",
        "http://127.0.0.1:8080.evil.com",
        "http://127.0.0.1:8080, http://evil.com",
        "null",
        "",
        " http://127.0.0.1:8080",
    ],
)
def test_an_origin_that_is_not_exactly_this_one_is_refused(origin: str) -> None:
    assert isinstance(refusal(("host", HERE), ("origin", origin)), Forbidden)


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        (HERE, "http://127.0.0.1:8080"),
        (HERE, "https://127.0.0.1:8080"),
        ("localhost", "http://localhost"),
        ("localhost", "https://localhost"),
        ("localhost:80", "http://localhost"),
        ("LOCALHOST:80", "http://localhost:80"),
        ("[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_the_same_origin_is_accepted(host: str, origin: str) -> None:
    assert refusal(("host", host), ("origin", origin)) is None


def test_a_second_origin_token_or_length_does_not_replace_the_first() -> None:
    own = ("origin", f"http://{HERE}")
    assert isinstance(refusal(("host", HERE), ("origin", "http://evil.com"), own), Forbidden)
    token = ("authorization", "Bearer secret")
    twice = refusal(("host", HERE), ("authorization", "Bearer wrong"), token, path="/internal/status")
    assert isinstance(twice, Unauthorized)
    raw = [(b"host", HERE.encode()), (b"content-length", b"99999999999"), (b"content-length", b"1")]
    assert isinstance(DEFENCES.check("POST", "/v1/search", headers_of(raw)), InvalidRequest)


@pytest.mark.parametrize("given", ["Bearer ", "Bearer", "", "bearer  "])
def test_without_a_token_nobody_is_of_the_fleet(given: str) -> None:
    headers = (("host", "127.0.0.1"), ("authorization", given))
    assert isinstance(refusal(*headers, defences=NO_TOKEN, path="/internal/status"), Unauthorized)


def test_a_second_sec_fetch_site_does_not_hide_that_a_write_is_cross_site() -> None:
    raw = [(b"host", HERE.encode()), (b"sec-fetch-site", b"cross-site"), (b"sec-fetch-site", b"same-origin")]
    for order in (raw, raw[::-1]):
        assert isinstance(DEFENCES.check("DELETE", "/v1/documents/x", headers_of(order)), Forbidden)
