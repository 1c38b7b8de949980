"""Numbers, dates and times in the formats of Excel."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.services.documents.parsing.number_formats import BUILT_IN, shown

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (0.475, "0.0%", "47.5%"),
        (-0.031, "0.0%", "-3.1%"),
        (1234567.891, "#,##0.00", "1,234,567.89"),
        (731, "00000", "00731"),
        (-1234.5, '"$"#,##0.00;[Red]("$"#,##0.00)', "($1,234.50)"),
        (-3.5, "$#,##0.00", "-$3.50"),
        (1234.5, "[$€-407] #,##0.00", "€ 1,234.50"),
        (1500000, '0.0,,"M"', "1.5M"),
        (0, '#,##0;-#,##0;"none"', "none"),
        (0, '_-* #,##0.00 "€"_-;-* #,##0.00 "€"_-;_-* "-"?? "€"_-;_-@_-', "- €"),
        (5.25, "0.##", "5.25"),
        (2.675, "0.00", "2.68"),
        (12345, "0.00E+00", "1.23E+04"),
        (0.5, "# ?/?", "0.5"),
        (46095, "dd/mm/yyyy", "14/03/2026"),
        (46095.7, "m/d/yy h:mm AM/PM", "3/14/26 4:48 PM"),
        (46328.38541666666, "d. mmmm yyyy hh:mm", "2. November 2026 09:15"),
        (0.6041666666666666, "h:mm:ss", "14:30:00"),
        (1.5, "[h]:mm", "36:00"),
        (59, "yyyy-mm-dd", "1900-02-28"),
        (61, "yyyy-mm-dd", "1900-03-01"),
        (0.1 + 0.2, None, "0.3"),
        (4006381333931, None, "4006381333931"),
        (-1, "yyyy-mm-dd", "-1"),
    ],
)
def test_a_number_appears_as_excel_shows_it(value: float, code: str | None, text: str) -> None:
    assert shown(value, code) == text


def test_dates_count_from_1904_where_the_workbook_says_so() -> None:
    assert shown(0, "yyyy-mm-dd", since_1904=True) == "1904-01-01"


MARKS = '0#?.,%E+-;"[]$@ymdhs/\\_* AP'


@given(
    st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300),
    st.one_of(
        st.sampled_from(sorted(BUILT_IN.values())), st.text(alphabet='0#?.,%E+-;"[]$@ymdhs/\\_* AP', max_size=30)
    ),
)
def test_any_format_shows_any_number(value: float, code: str) -> None:
    assert isinstance(shown(value, code), str)
