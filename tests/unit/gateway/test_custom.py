"""Tests of how a path under /services/ is split."""

from __future__ import annotations

import pytest

from argosy.services.gateway.routes.custom import _addressed

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"/services/mine/", ("mine", "/")),
        (b"/services/mine/a%2Fb//c?q=1", ("mine", "/a%2Fb//c")),
        (b"/services/mine%2f@h/x", ("mine%2f@h", "/x")),
        (b"/services/mine/\xc3\xbc \r\n#x", ("mine", "/%C3%BC%20%0D%0A%23x")),
        (b"/services/mine", None),
        (b"/services", None),
        (b"/%73ervices/mine/x", None),
        (b"//services/mine/x", None),
        (b"http://h/services/mine/x", None),
        (b"/services?/mine/x", None),
        (b"*", None),
    ],
)
def test_the_raw_path_is_split_before_anything_is_decoded(raw: bytes, expected: tuple[str, str] | None) -> None:
    assert _addressed({"raw_path": raw, "path": "/services/other/y"}) == expected


@pytest.mark.parametrize("scope", [{}, {"raw_path": None}, {"raw_path": b""}])
def test_a_server_that_gives_no_raw_path_is_served_too(scope: dict[str, object]) -> None:
    assert _addressed({**scope, "path": "/services/mine/a b/@ü"}) == ("mine", "/a%20b/%40%C3%BC")
