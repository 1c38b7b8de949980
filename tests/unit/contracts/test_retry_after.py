"""`Retry-After` as other servers send it."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.contracts.retry_after import MAX_RETRY_AFTER_S, retry_after_s

pytestmark = pytest.mark.unit

NOW_S = 784_111_777.0
"""Sun, 06 Nov 1994 08:49:37 GMT."""


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("9" * 60, MAX_RETRY_AFTER_S),
        ("Sun, 06 Nov 1994 08:50:37 GMT", 60.0),
        ("Sunday, 06-Nov-94 08:50:37 GMT", 60.0),
        ("Sun Nov  6 08:50:37 1994", 60.0),
        ("Sun, 06 Nov 1994 08:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_RETRY_AFTER_S),
    ],
)
def test_seconds_and_dates_are_read_within_bounds(header: str, expected: float) -> None:
    assert retry_after_s(header, lambda: NOW_S) == expected


@pytest.mark.parametrize(
    "header",
    [
        *(None, "", " ", "\u00b2", "\u0663", "-1", "+1", "1e3", "1_0", "inf", "nan", "0x10", "soon", "1, 2"),
        *("Sun, 99 Nov 1994 08:50:37 GMT", "Sun, 06 Nov 99999 08:50:37 GMT", "Sun,", ",", "0 0 0 0 0", "9" * 5000),
    ],
)
def test_anything_else_is_as_if_it_were_not_there(header: str | None) -> None:
    assert retry_after_s(header, lambda: NOW_S) is None


@given(
    st.text()
    | st.from_regex(r"[A-Za-z0-9:,+\- ]{1,64}")
    | st.floats().map(str)
    | st.integers(0, 10**11).map(formatdate)
)
def test_whatever_is_sent_it_never_raises_and_is_bounded(header: str) -> None:
    wait_s = retry_after_s(header)
    assert wait_s is None or 0 <= wait_s <= MAX_RETRY_AFTER_S
