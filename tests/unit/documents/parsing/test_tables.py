"""Merged cells, header rows, and tables that continue on the next page."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.services.documents.parsing.continued_tables import with_continued_headers
from argosy.services.documents.parsing.grids import Budget, Cell, filled, head_shape, joined_head, take_titles
from argosy.services.documents.parsing.parsed import PageSpan, ParsedDocument
from argosy.services.documents.parsing.pdf import join_pages

pytestmark = pytest.mark.unit

HEAD = "| Bay | Tenant |\n| --- | --- |\n"


def pages(*texts: str) -> list[str]:
    text, spans = join_pages(texts)
    parsed = with_continued_headers(ParsedDocument(text, "application/pdf", pages=spans))
    return [parsed.text[span.start : span.end] for span in parsed.pages]


def test_a_part_without_a_header_gets_the_one_of_the_page_before() -> None:
    first, second, third = (
        HEAD + "| B1 | Ann |",
        "| B2 | Bob |\n| --- | --- |\n| B3 | Cid |",
        "| B4 | Dan |\n| --- | --- |\n| B5 | Eve |\n\nAfter.",
    )
    assert pages(first, second, third) == [
        first,
        HEAD + "| B2 | Bob |\n| B3 | Cid |",
        HEAD + "| B4 | Dan |\n| B5 | Eve |\n\nAfter.",
    ]


@pytest.mark.parametrize(
    "second",
    [
        HEAD + "| B2 | Bob |",
        "| Crane | Load |\n| --- | --- |\n| C1 | 5 |\n| C2 | 7 |",
        "| A | B | C |\n| --- | --- | --- |\n| 1 | 2 | 3 |",
        "Other text.\n\n| B2 | Bob |\n| --- | --- |\n| B3 | Cid |",
    ],
)
def test_a_part_with_a_header_of_its_own_keeps_it(second: str) -> None:
    first = HEAD + "| B1 | Ann |"
    assert pages(first, second) == [first, second]


def test_page_numbers_between_the_parts_do_not_matter() -> None:
    assert pages(HEAD + "| B1 | Ann |\n\nPage 1 of 2", "| B2 | Bob |\n| --- | --- |")[1] == HEAD + "| B2 | Bob |\n"


def test_text_between_the_parts_ends_the_table() -> None:
    second = "| B2 | Bob |\n| --- | --- |\n| B3 | Cid |"
    assert pages(HEAD + "| B1 | Ann |\n\nThe end.", second)[1] == second


def test_merged_cells_are_filled_down_and_right() -> None:
    grid = filled(
        [
            [Cell("Zone", down=2), Cell("2026", right=2)],
            [Cell("May"), Cell("June")],
            [Cell("North"), Cell("1"), Cell("2")],
        ],
        Budget(),
    )
    assert grid.rows == [["Zone", "2026", "2026"], ["Zone", "May", "June"], ["North", "1", "2"]]
    assert joined_head(grid)[0] == ["Zone", "2026 / May", "2026 / June"]


def test_a_cell_over_the_whole_width_is_a_title() -> None:
    grid = filled([[Cell("Fees", right=2)], [Cell("Class"), Cell("Fee")], [Cell("A"), Cell("8")]], Budget())
    assert take_titles(grid) == ["Fees"]
    assert grid.rows[0] == ["Class", "Fee"]


def test_copies_stop_when_the_budget_is_spent() -> None:
    grid = filled([[Cell("x" * 100, right=50), Cell("y")]], Budget(chars=1_000))
    assert sum(map(len, grid.rows[0])) <= 1_200


@pytest.mark.parametrize(
    ("head", "body", "shape"),
    [
        (["Bay", "Rent"], [["B1", "7"], ["B2", "8"]], "names"),
        (["B0", "6"], [["B1", "7"], ["B2", "8"]], "data"),
        (["Name", "2025"], [["North", "7"], ["South", "8"]], "names"),
        (["Ann", "Cook"], [["Bob", "Mate"]], "unknown"),
    ],
)
def test_a_row_tells_whether_it_names_columns(head: list[str], body: list[list[str]], shape: str) -> None:
    assert head_shape(head, body) == shape


CELLS = st.builds(Cell, st.text(alphabet="ab 1", max_size=3), st.integers(0, 5), st.integers(0, 5), st.booleans())


@given(st.lists(st.lists(CELLS, max_size=5), max_size=6))
def test_any_table_becomes_rows_of_equal_length(rows: list[list[Cell]]) -> None:
    grid = filled(rows, Budget())
    assert len({len(row) for row in grid.rows}) <= 1
    titles = take_titles(grid)
    assert all(titles)
    if grid.rows:
        assert len({len(row) for row in joined_head(grid)}) == 1


@given(st.lists(st.text(alphabet="|-a1 \n", max_size=40), min_size=1, max_size=4))
def test_pages_stay_pages_whatever_they_hold(texts: list[str]) -> None:
    text, spans = join_pages(texts)
    parsed = with_continued_headers(ParsedDocument(text, "application/pdf", pages=spans))
    assert [type(span) for span in parsed.pages] == [PageSpan] * len(texts)
    at = 0
    for span in parsed.pages:
        assert at <= span.start <= span.end <= len(parsed.text)
        at = span.end
