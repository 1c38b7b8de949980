"""Hostile input to the readers of tables, pages, office files and mails: bombs, deep nesting, quadratic patterns."""

from __future__ import annotations

import time

import pytest

from argosy.services.documents.parsing.csv_table import read_csv
from argosy.services.documents.parsing.docx import prepared_docx
from argosy.services.documents.parsing.grids import MAX_FILLED_CHARS, Budget, Cell, filled
from argosy.services.documents.parsing.html_cleaner import read_html
from argosy.services.documents.parsing.links import without_addresses
from argosy.services.documents.parsing.mail_quotes import mark_quotes
from argosy.services.documents.parsing.office_xml import MAX_DEPTH, UnreadablePart
from argosy.services.documents.parsing.pdf_forms import with_fields
from argosy.services.documents.parsing.pdf_scripts import with_scripts
from argosy.services.documents.parsing.utf8 import mostly_utf8
from argosy.services.documents.parsing.xlsx import read_xlsx
from tests.samples.office_parts import cell, docx, paragraph, rows, run, xlsx
from tests.security.growth import grows_linearly

pytestmark = pytest.mark.security

LONGEST_S = 10.0


@pytest.mark.parametrize(
    "unit",
    [
        *(
            "<table><tr><td>",
            "<td rowspan=9 colspan=9>x",
            "<tr><td rowspan=99999>",
            "<sup>",
            "<sub>1",
            "<dt>",
            "<dd><dt>x",
        ),
        *("<a href=x>", "<a href=x><p>", "<div><a href=x>Next</a> Up", "<p hidden>", "<div class=toc><a href=x>y</a>"),
        *(
            "<details><summary>",
            "<li>",
            "<del>",
            "<pre>",
            "<code>",
            "<nav>",
            "<b>",
            "<span hidden>",
            "<option>",
            "</td>",
        ),
        *("<svg><title>", "<a href=x>¶</a>", "<h1>", "<dl><dt>x</dt>", "<table><caption>", "&amp;", "<sup>x</sup>"),
    ],
)
def test_time_to_clean_a_page_grows_with_its_length(unit: str) -> None:
    assert grows_linearly(lambda n: read_html("<html>" + unit * n + "x" * n).text, 1_500)


def test_a_cell_that_covers_everything_is_not_copied_without_end() -> None:
    page = "<table><tr><td rowspan=60000 colspan=900>" + "x" * 10_000 + "</td></tr>" + "<tr></tr>" * 5_000 + "</table>"
    began_s = time.process_time()
    assert len(read_html(page).markup) < 20 * MAX_FILLED_CHARS
    assert time.process_time() - began_s < LONGEST_S


def test_overlapping_cells_are_bounded() -> None:
    began_s = time.process_time()
    grid = filled([[Cell("x" * 50, 500, 500) for _ in range(20)] for _ in range(200)], Budget())
    assert sum(len(text) for row in grid.rows for text in row) < 2 * MAX_FILLED_CHARS
    assert time.process_time() - began_s < LONGEST_S


MERGES = "<mergeCells>" + '<mergeCell ref="A1:XFD1048576"/>' * 20_000 + "</mergeCells>"
THREE: list[str | float] = ["a", "b", 3.0]
CELL = '<row r="{0}"><c r="{1}{2}{0}"><v>7</v></c></row>'
BOOKS = {
    "merged ranges": rows(*[THREE] * 300) + MERGES,
    "far cells": '<sheetData><row r="1048576"><c r="XFD1048576"><v>1</v></c><c r="B1048576"><v>2</v></c></row>'
    "</sheetData>",
    "scattered cells": "<sheetData>"
    + "".join(CELL.format(at, chr(65 + at % 26), chr(65 + at // 26 % 26)) for at in range(1, 676))
    + "</sheetData>",
    "long formats": rows(["a", 5.0], style={"B1": 1}),
}


@pytest.mark.parametrize("name", BOOKS)
def test_a_hostile_workbook_is_read_at_once(name: str) -> None:
    data = xlsx({"Sheet": ("visible", BOOKS[name])}, {164: "0?#,." * 5_000 + "y" * 5_000})
    began_s = time.process_time()
    assert len(read_xlsx(data).text) < 5_000_000
    assert time.process_time() - began_s < LONGEST_S


@pytest.mark.parametrize("declaration", ["<!DOCTYPE worksheet>", '<!DOCTYPE w [<!ENTITY a "b">]>'])
def test_a_workbook_that_declares_a_document_type_is_not_read_here(declaration: str) -> None:
    from tests.security.test_bombs import edited

    data = edited(xlsx({"S": ("visible", rows(["a"]))}), "xl/worksheets/sheet1.xml", lambda xml: declaration + xml)
    with pytest.raises(UnreadablePart, match="document type"):
        read_xlsx(data)


def test_a_deeply_nested_document_is_left_to_the_other_reader() -> None:
    data = docx("<w:sdt>" * (MAX_DEPTH + 10) + "</w:sdt>" * (MAX_DEPTH + 10))
    assert prepared_docx(data) == (data, [])


@pytest.mark.parametrize("name", ["tables", "deletions", "notes", "links"])
def test_time_to_prepare_a_document_grows_with_its_length(name: str) -> None:
    units = {
        "tables": f"<w:tbl><w:tr>{cell('a')}{cell('b')}</w:tr><w:tr>{cell('c')}{cell('d')}</w:tr></w:tbl>",
        "deletions": f"<w:del>{run('x')}</w:del>",
        "notes": '<w:r><w:footnoteReference w:id="2"/></w:r>',
        "links": f"<w:hyperlink>{run('x')}</w:hyperlink>",
    }
    note = {"footnotes": f'<w:footnote w:id="2">{paragraph(run("n"))}</w:footnote>'}

    def prepare(count: int) -> object:
        body = units[name] * count
        return prepared_docx(docx(body if name == "tables" else paragraph(body), note))

    assert grows_linearly(prepare, 400)


QUOTED = ["> a\n", "On Monday, Bo wrote:\n", "From: a\n", "Sent: b\nSubject: c\n", "--\n", "Am b schrieb\n"]


@pytest.mark.parametrize("unit", QUOTED)
def test_time_to_mark_quotes_grows_with_the_length(unit: str) -> None:
    assert grows_linearly(lambda n: mark_quotes(unit * n), 2_000)


@pytest.mark.parametrize("unit", ['"', '"a",', "a;b\n", "\n", 'a"b"\n', "|", "\t"])
def test_time_to_read_a_csv_grows_with_its_length(unit: str) -> None:
    def read(count: int) -> object:
        return read_csv(("a,b\n" + unit * 1_000 + "\n") * count, "a.csv")

    assert grows_linearly(read, 4)


@pytest.mark.parametrize(
    "unit", ["[a](", "[", "](", '[a](x "', "`[a](b)", "[a](()", "[`](", "![[", "[a](<x", "```\n](\n"]
)
def test_time_to_remove_addresses_grows_with_the_length(unit: str) -> None:
    assert grows_linearly(lambda n: without_addresses(unit * n + "]("), 5_000)


def test_bytes_that_are_no_text_cost_little() -> None:
    assert grows_linearly(lambda n: mostly_utf8(("ü" * 3).encode() * n + b"\xff" * n), 20_000)


def test_scripts_that_are_not_found_cost_little() -> None:
    scripts = [("x" * 20, "7", "⁷")] * 5_000
    began_s = time.process_time()
    assert with_scripts("a" * 1_000_000, scripts) == "a" * 1_000_000
    assert time.process_time() - began_s < LONGEST_S
    assert with_fields("a", [("x", "y")] * 10).count("x: y") == 10
