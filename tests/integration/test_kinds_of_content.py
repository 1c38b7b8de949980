"""Content that people ask about, from the file to the text: the kept and the left out parts of each format."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from argosy.services.documents.parsing.extraction import extract
from argosy.services.documents.parsing.formats import detect
from argosy.services.documents.parsing.parsed import ParsedDocument
from tests.samples import office_samples
from tests.samples.office_parts import cell, docx, paragraph, rows, run, xlsx
from tests.security.test_bombs import edited

pytestmark = pytest.mark.integration


def read(data: bytes | str, name: str) -> ParsedDocument:
    data = data.encode() if isinstance(data, str) else data
    return extract(data, name, detect(data, name))


def page(body: str) -> str:
    return read(f"<html><body><h1>Harbour</h1>{body}</body></html>", "page.html").text


HTML = {
    "rows and columns mixed": (
        "<table><tr><th rowspan=2>Zone</th><th colspan=2>2026</th></tr><tr><th>May</th><th>June</th></tr>"
        "<tr><td rowspan=2>North</td><td>410</td><td>520</td></tr><tr><td>430</td><td>540</td></tr></table>",
        ["| Zone | 2026 / May | 2026 / June |", "| North | 410 | 520 |", "| North | 430 | 540 |"],
        [],
    ),
    "title row": (
        "<table><tr><td colspan=2>Fees of 2026</td></tr><tr><td>Class</td><td>Fee</td></tr>"
        "<tr><td>A</td><td>8</td></tr><tr><td>B</td><td>9</td></tr></table>",
        ["Fees of 2026\n\n| Class | Fee |", "| A | 8 |"],
        [],
    ),
    "scripts": (
        "<p>10<sup>6</sup> of H<sub>2</sub>O, 1<sup>st</sup>, x<sup>a,b</sup>, free<sup><a href='#f'>3</a></sup></p>",
        ["10⁶ of H₂O, 1st, x^(a,b), free[3]"],
        ["106", "H2O"],
    ),
    "hidden and deleted": (
        "<p>Seen <del>old</del><ins>new</ins>.</p><p hidden>secret one</p><div style='display: none'>secret two</div>"
        "<p aria-hidden='true'>secret three</p>",
        ["Seen new."],
        ["secret", "old"],
    ),
    "links": (
        "<p>See <a href='https://a.example/x' title='The title'>the tariff</a>.</p>"
        "<p><a href='/y'><img src='z.png' alt='Chart of tides'></a></p>"
        "<h2>Fees<a class='headerlink' href='#f'>¶</a></h2>",
        ["See the tariff.", "Chart of tides", "## Fees\n"],
        ["a.example", "The title", "¶", "z.png", "]("],
    ),
    "navigation": (
        "<nav><a href='/'>Start</a></nav><div role=navigation>Site map</div>"
        "<div class='toc'><a href='#a'>Fees</a></div>"
        "<p><a href=a>Prev</a> | <a href=b>Up</a> | <a href=c>Next</a></p><ul class='breadcrumbs'><li>Where</li></ul>"
        "<div class='sphinxsidebar'>Side</div><p>The text. <a href=d>Next week</a> it rains.</p>",
        ["The text. Next week it rains."],
        ["Start", "Site map", "Fees", "Prev", "Where", "Side"],
    ),
    "definitions": (
        "<dl><dt><code>--depth</code></dt><dt><code>-d</code></dt><dd><p>Depth of the keel.</p></dd><dt>Draft</dt>"
        "<dd>Below water.</dd></dl><details><summary>What is it?</summary><p>Thirty euros.</p></details>",
        ["`--depth`, `-d`\n\nDepth of the keel.\n\n**Draft**\n\nBelow water.", "**What is it?**\n\nThirty euros."],
        [],
    ),
    "code": ("<pre>a\n  <b>b</b> &lt; c</pre>", ["```\na\n  b < c\n```"], ["**"]),
    "line numbers": (
        "<table><tr><td class='linenos'><pre>1\n2</pre></td><td><pre>x = 1\ny = 2</pre></td></tr></table>",
        ["```\nx = 1\ny = 2\n```"],
        ["| "],
    ),
}


@pytest.mark.parametrize("name", HTML)
def test_html_keeps_what_people_ask_about(name: str) -> None:
    body, kept, gone = HTML[name]
    text = page(body)
    for words in kept:
        assert words in text
    for words in gone:
        assert words not in text


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ('See [the *tariff*](https://a.example/x "The title").', "See the *tariff*."),
        ("- [![Chart (a)](z.png)](http://a.example)", "- Chart (a)"),
        ("[`code`](u_(v)) and `[a](b)`", "`code` and `[a](b)`"),
        ("```\n[a](b)\n```\n[c](d)", "```\n[a](b)\n```\nc"),
        ("[1] (see) [x][y] [a] (b)", "[1] (see) [x][y] [a] (b)"),
    ],
)
def test_links_of_a_markdown_text_keep_their_words_only(written: str, kept: str) -> None:
    assert read(written, "a.md").text == kept


def test_hidden_and_deleted_parts_of_a_page_are_named() -> None:
    parsed = read(
        "<html><body><p>Seen <s>old</s></p><p hidden>x</p><div style='display:none' role=search>y</div>", "a.html"
    )
    assert parsed.left_out == [
        "Hidden parts of the page were left out.",
        "Text that the page marks as deleted was left out.",
    ]


def test_a_page_that_is_only_navigation_is_read_whole() -> None:
    assert "Start" in read("<html><body><nav><a href='/'>Start</a></nav></body></html>", "a.html").text


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("sep=;\nName;Fee\nBirch;14,5\n", "| Name | Fee |\n| --- | --- |\n| Birch | 14,5 |"),
        ("Fees\nMade 2026, May\n\nClass,Fee,Note\nA,8,x\nB,9,\n", "Fees\n\nMade 2026, May\n\n| Class | Fee | Note |"),
        ('Class|Note\nA|"two\nlines | x"\nB|y\n', "| A | two lines \\| x |"),
        ("a\tb\n1\t2\n", "| a | b |\n| --- | --- |\n| 1 | 2 |"),
        ('Name,Note\nA,5" pipe\nB,y\n', '| A | 5" pipe |\n| B | y |'),
        (",Jan,Feb\nNorth,1,2\nSouth,3,4\n", "|  | Jan | Feb |"),
    ],
)
def test_a_csv_has_its_header_on_top(text: str, kept: str) -> None:
    assert kept in read(text, "fees.csv").text


BEGINS, GOES_ON, WIDE = '<w:vMerge w:val="restart"/>', "<w:vMerge/>", '<w:gridSpan w:val="2"/>'
RAISED, LOWERED = '<w:vertAlign w:val="superscript"/>', '<w:vertAlign w:val="subscript"/>'


def table(*lines: str) -> str:
    return f"<w:tbl>{''.join(f'<w:tr>{line}</w:tr>' for line in lines)}</w:tbl>"


MERGED = table(
    cell("Zone", BEGINS) + cell("2026", WIDE),
    cell("", GOES_ON) + cell("May") + cell("June"),
    cell("North", BEGINS) + cell("410") + cell("520"),
    cell("", GOES_ON) + cell("430") + cell("540"),
)
CHANGED = table(
    cell("Item") + cell("Fee"),
    cell("Sling") + cell("30"),
    "<w:trPr><w:del/></w:trPr>" + cell("Shackle") + cell("12"),
)
NOTE = '<w:footnote w:type="separator" w:id="0"><w:p/></w:footnote><w:footnote w:id="2">{}</w:footnote>'
WORD = docx(
    paragraph(run("10") + run("6", RAISED) + run(" litres of H") + run("2", LOWERED))
    + paragraph(run("Fee ") + f"<w:del>{run('900')}</w:del><w:ins>{run('1250')}</w:ins>")
    + paragraph(f"<w:moveFrom>{run('Moved clause.')}</w:moveFrom>")
    + paragraph(f"<w:moveTo>{run('Moved clause.')}</w:moveTo>")
    + paragraph(run("Seen.") + run(" Unseen.", "<w:vanish/>") + run(" Shown.", '<w:vanish w:val="false"/>'))
    + paragraph(run("Free in winter") + '<w:r><w:footnoteReference w:id="2"/></w:r>' + run("."))
    + MERGED
    + CHANGED,
    {
        "footnotes": NOTE.format(paragraph(run("Members only."))),
        "header": paragraph(run("Quillon Marine Works")),
        "footer": paragraph(run("Reference QMW-7781")),
        "comments": f'<w:comment w:id="1" w:author="Bo">{paragraph(run("Ask Odile."))}</w:comment>',
    },
)


@pytest.mark.parametrize(
    "kept",
    [
        *("10⁶ litres of H₂", "Fee 1250", "Seen. Shown.", "Free in winter[1].\n\n[1] Members only."),
        *("| Zone | 2026 / May | 2026 / June |", "| North | 430 | 540 |", "| Sling | 30 |", "Quillon Marine Works"),
        *("Reference QMW-7781", "Bo: Ask Odile."),
    ],
)
def test_a_word_document_keeps_what_people_ask_about(kept: str) -> None:
    assert kept in read(WORD, "letter.docx").text


def test_a_word_document_loses_deleted_moved_and_hidden_text() -> None:
    parsed = read(WORD, "letter.docx")
    assert parsed.text.count("Moved clause.") == 1
    assert not any(words in parsed.text for words in ("900", "Unseen", "Shackle"))
    assert parsed.left_out == ["Hidden text was left out.", "Text that tracked changes delete was left out."]


STYLES = {"B2": 1, "C2": 2, "D2": 3}
GRANTS = rows(["Grant", "Share", "Start", "Sum", "Paid"], ["Alder", 0.475, 46095, 1234567.891, ""], style=STYLES)
BAND_LINES: list[Sequence[str | float]] = [
    ["Site", "2026", ""],
    ["", "Visits", "Share"],
    ["Pier", 120, 3],
    ["", 90, 4],
    [],
    ["Key", "Value"],
    ["x", "y"],
]
BANDS = rows(*BAND_LINES)
MERGES = '<mergeCells><mergeCell ref="A1:A2"/><mergeCell ref="B1:C1"/><mergeCell ref="A3:A4"/></mergeCells>'
LINES = rows(["a", "b", "c"], ["1", "2", "3"], ["4", "5", "6"]).replace('<row r="2">', '<row r="2" hidden="1">')
BOOK = xlsx(
    {
        "Grants": ("visible", GRANTS.replace("</row></sheetData>", '<c r="E2" t="b"><v>1</v></c></row></sheetData>')),
        "Bands": ("visible", BANDS + MERGES),
        "Secret": ("hidden", rows(["Bonus", "9999"])),
        "Rows": ("visible", '<cols><col min="2" max="2" hidden="1"/></cols>' + LINES),
    },
    {164: "0.0%", 165: "dd/mm/yyyy", 4: ""},
)


@pytest.mark.parametrize(
    "kept",
    [
        "| Alder | 47.5% | 14/03/2026 | 1,234,567.89 | TRUE |",
        "| Site | 2026 / Visits | 2026 / Share |",
        "| Pier | 90 | 4 |\n\n| Key | Value |",
        "| a | c |\n| --- | --- |\n| 4 | 6 |",
    ],
)
def test_a_workbook_shows_values_as_excel_does(kept: str) -> None:
    assert kept in read(BOOK, "book.xlsx").text


def test_hidden_parts_of_a_workbook_are_left_out_and_named() -> None:
    parsed = read(BOOK, "book.xlsx")
    assert "9999" not in parsed.text
    assert parsed.left_out == [
        "The sheet Secret is hidden and was left out.",
        "Hidden rows or columns of the sheet Rows were left out.",
    ]


def test_a_hidden_slide_is_left_out_and_named() -> None:
    deck = edited(
        office_samples.pptx(), "ppt/slides/slide1.xml", lambda xml: xml.replace("<p:sld ", '<p:sld show="0" ', 1)
    )
    parsed = read(deck, "deck.pptx")
    assert "High water" not in parsed.text
    assert "Heron quay" in parsed.text
    assert parsed.left_out == ["Slide 1 is hidden and was left out."]


MAIL = "From: Ida <ida@a.example>\r\nSubject: Re: Crane\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"


@pytest.mark.parametrize(
    "earlier",
    [
        "On Mon, 2 Mar 2026 at 09:00, Bo wrote:\r\n> It is 09:15.",
        "Am 2. März 2026 um 09:00 schrieb Bo <bo@a.example>:\r\n\r\n> It is 09:15.",
        "On Mon, 2 Mar 2026 at 09:00, Bo\r\n<bo@a.example> wrote:\r\n\r\nIt is 09:15.",
        "-----Original Message-----\r\nIt is 09:15.",
        "From: Bo\r\nSent: Monday, 2 March 2026 09:00\r\nTo: Ida\r\nSubject: Crane\r\n\r\nIt is 09:15.",
        "Von: Bo\r\nGesendet: Montag\r\nAn: Ida\r\nBetreff: Kran\r\n\r\nIt is 09:15.",
    ],
)
def test_earlier_messages_of_a_mail_are_quotes(earlier: str) -> None:
    text = read(f"{MAIL}It is 14:30.\r\n-- \r\nIda, office\r\n\r\n{earlier}\r\n", "a.eml").text
    assert "\nIt is 14:30.\n\nIda, office" in text.replace("\n\n\n", "\n\n")
    assert "> It is 09:15." in text
    assert all(line.startswith(">") for line in text[text.index("Ida, office") + 11 :].split("\n") if line.strip())


def test_a_forwarded_message_is_no_quote() -> None:
    head = "---- Forwarded message ----\r\nFrom: Bo\r\nDate: x\r\nSubject: y"
    text = read(f"{MAIL}See below.\r\n\r\n{head}\r\n\r\nIt is 09:15.", "a.eml").text
    assert "\nIt is 09:15." in text


@pytest.mark.parametrize(
    "data",
    [
        "Die Gebühren für Gäste – zwölf Euro".encode() + b" \x96 und " + "Büro".encode(),
        "Die Gebühren für Gäste: zwölf Eü".encode()[:-1],
        b"\xef\xbb\xbf" + "Gebühren für Gäste".encode() + b"\x80",
    ],
)
def test_text_with_a_stray_byte_stays_utf_8(data: bytes) -> None:
    text = read(data, "fees.txt").text
    assert "Gebühren für Gäste" in text
    assert "Ã" not in text
    assert "�" not in text


def test_text_in_an_old_encoding_is_not_taken_for_utf_8() -> None:
    assert read("Gebühren für Gäste – zwölf".encode("cp1252"), "fees.txt").text == "Gebühren für Gäste – zwölf"
    assert "ﾃﾞｰﾀ" in read("ﾃﾞｰﾀ ﾂｱｰ 港長はチャンネルで応答し、船は外で待つ。".encode("shift_jis"), "a.txt").text


def pdf(content: bytes, fields: Sequence[str] = ()) -> bytes:
    """Return a PDF of one page with this content and these form fields."""
    listed = b" ".join(b"%d 0 R" % number for number in range(6, 6 + len(fields)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [%s] >> >>" % listed,
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Annots [%s]"
        b" /Resources << /Font << /F1 5 0 R >> >> >>" % listed,
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        *(f"<< /Type /Annot /Subtype /Widget {field} >>".encode() for field in fields),
    ]
    out, places = bytearray(b"%PDF-1.7\n"), []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)


FORM = pdf(
    b"BT /F1 12 Tf 72 704 Td (Boat name:) Tj ET",
    [
        "/FT /Tx /T (boat) /V (Gannet of Sule) /Rect [200 700 400 716]",
        "/FT /Tx /T (spare_part.no) /TU (Spare part) /V (SP-9) /Rect [200 600 400 616]",
        "/FT /Tx /T (empty) /Rect [200 500 400 516]",
    ],
)
SCRIPTS = pdf(
    b"BT /F1 12 Tf 72 700 Td (The tank holds 10) Tj /F1 7 Tf 5 Ts (6) Tj 0 Ts /F1 12 Tf ( litres of H) Tj"
    b" /F1 7 Tf -2 Ts (2) Tj 0 Ts /F1 12 Tf (O in 2024.) Tj ET"
)


def test_the_fields_of_a_form_stand_behind_their_labels() -> None:
    text = read(FORM, "form.pdf").text
    assert "Boat name: Gannet of Sule" in text
    assert "Spare part: SP-9" in text
    assert "empty" not in text


def test_superscripts_and_subscripts_of_a_pdf_survive() -> None:
    assert "The tank holds 10⁶ litres of H₂O in 2024." in read(SCRIPTS, "tank.pdf").text
