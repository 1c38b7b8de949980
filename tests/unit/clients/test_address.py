"""Tests of URLs: a path either reaches its replica unchanged or is refused."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from argosy.clients.address import url_at
from argosy.contracts.errors import InvalidRequest

pytestmark = pytest.mark.unit

BASES = ["http://127.0.0.1:9000", "https://[::1]:8443", "http://localhost", "http://user:secret@h:1"]
texts = st.text() | st.text(alphabet="/\\.%@:?#;2eEfF5cC0dDaA \t\r\n", max_size=20)


@given(st.sampled_from(BASES), texts, texts)
@example(BASES[0], "%2f@evil", "")
@example(BASES[0], "@evil:80/x", "")
@example(BASES[0], ":80@evil", "")
@example(BASES[0], "/x#@evil", "")
@example(BASES[0], "/x", "#@evil")
@example(BASES[0], "\\@evil", "")
@example(BASES[0], "//evil/x", "")
@example(BASES[0], "", "")
def test_whatever_is_joined_only_the_replica_is_reached(base: str, path: str, query: str) -> None:
    try:
        made = url_at(base, path, query)
    except InvalidRequest:
        return
    assert str(made).startswith(f"{base}/")
    assert (made.scheme, made.raw_authority) == tuple(base.split("://"))
    assert made.raw_path_qs == path + ("?" if query else "") + query
    assert not {".", ".."} & set(path.split("/"))


@pytest.mark.parametrize(
    "path", ["/", "//h/x", "/@h", "/a%2Fb", "/a%0Ab", "/.well-known/x", "/...", "/a..b", "/a;b=..", "/%252e%252e/"]
)
def test_a_path_that_stays_where_it_is_passes(path: str) -> None:
    assert url_at(BASES[0], path, "a=%20&b=/../").raw_path_qs == f"{path}?a=%20&b=/../"


@pytest.mark.parametrize(
    "path",
    ["", "x", "@h", "/..", "/a/./b", "/%2E%2e/x", "/..;a/x", "/a%2f..%2Fb", "/a%5C..", "/a\\b", "/a b", "/a#b", "/ü"],
)
def test_a_path_that_could_lead_elsewhere_is_refused_with_its_name(path: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        url_at(BASES[0], path)
    assert caught.value.param == "path"
