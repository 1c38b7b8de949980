"""Office files made from the XML of their parts, for tests of what readers keep."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence

PACKAGE = "http://schemas.openxmlformats.org/package/2006"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_WORD_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml"
_SHEET_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"


def archive(members: Mapping[str, str]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name, text in members.items():
            new.writestr(name, text)
    return target.getvalue()


def relations(targets: Mapping[str, tuple[str, str]]) -> str:
    """Return a relations part: by id, the kind and the target."""
    lines = "".join(
        f'<Relationship Id="{key}" Type="{OFFICE}/{kind}" Target="{target}"/>'
        for key, (kind, target) in targets.items()
    )
    return f'<Relationships xmlns="{PACKAGE}/relationships">{lines}</Relationships>'


def types(overrides: Mapping[str, str]) -> str:
    lines = "".join(f'<Override PartName="/{part}" ContentType="{kind}+xml"/>' for part, kind in overrides.items())
    return (
        f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="application/xml"/>{lines}</Types>'
    )


def docx(body: str, parts: Mapping[str, str] | None = None) -> bytes:
    """Return a Word document. `parts` are further parts by kind ("footnotes", "header"), without their namespace."""
    roots = {"footnotes": "footnotes", "header": "hdr", "footer": "ftr", "comments": "comments", "styles": "styles"}
    members = {
        "_rels/.rels": relations({"r1": ("officeDocument", "word/document.xml")}),
        "word/document.xml": f'<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>',
    }
    kinds = {"word/document.xml": f"{_WORD_TYPE}.document.main"}
    targets = {}
    for kind, inner in (parts or {}).items():
        members[f"word/{kind}.xml"] = f'<w:{roots[kind]} xmlns:w="{WORD}">{inner}</w:{roots[kind]}>'
        kinds[f"word/{kind}.xml"] = f"{_WORD_TYPE}.{kind}"
        targets[f"r{kind}"] = (kind, f"{kind}.xml")
    members["word/_rels/document.xml.rels"] = relations(targets)
    return archive({"[Content_Types].xml": types(kinds), **members})


def paragraph(inner: str) -> str:
    return f"<w:p>{inner}</w:p>"


def run(text: str, properties: str = "") -> str:
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def cell(text: str, properties: str = "") -> str:
    return f"<w:tc><w:tcPr>{properties}</w:tcPr><w:p>{run(text)}</w:p></w:tc>"


def xlsx(sheets: Mapping[str, tuple[str, str]], formats: Mapping[int, str] | None = None) -> bytes:
    """Return a workbook: by title, the state ("visible") and the XML inside of the worksheet.

    Style 1 and up have the number formats of `formats`, in their order.
    """
    codes = dict(formats or {})
    own = "".join(f'<numFmt numFmtId="{number}" formatCode="{code}"/>' for number, code in codes.items() if code)
    styles = "".join(f'<xf numFmtId="{number}"/>' for number in (0, *codes))
    listed = "".join(
        f'<sheet name="{title}" sheetId="{at}" state="{state}" r:id="s{at}"/>'
        for at, (title, (state, _)) in enumerate(sheets.items(), 1)
    )
    members = {
        "_rels/.rels": relations({"r1": ("officeDocument", "xl/workbook.xml")}),
        "xl/workbook.xml": f'<workbook xmlns="{SHEET}" xmlns:r="{OFFICE}"><sheets>{listed}</sheets></workbook>',
        "xl/styles.xml": f'<styleSheet xmlns="{SHEET}"><numFmts>{own}</numFmts><cellXfs>{styles}</cellXfs>'
        "</styleSheet>",
    }
    kinds = {"xl/workbook.xml": f"{_SHEET_TYPE}.sheet.main", "xl/styles.xml": f"{_SHEET_TYPE}.styles"}
    targets = {"st": ("styles", "styles.xml")}
    for at, (_, inner) in enumerate(sheets.values(), 1):
        members[f"xl/worksheets/sheet{at}.xml"] = f'<worksheet xmlns="{SHEET}">{inner}</worksheet>'
        kinds[f"xl/worksheets/sheet{at}.xml"] = f"{_SHEET_TYPE}.worksheet"
        targets[f"s{at}"] = ("worksheet", f"worksheets/sheet{at}.xml")
    members["xl/_rels/workbook.xml.rels"] = relations(targets)
    return archive({"[Content_Types].xml": types(kinds), **members})


def rows(*lines: Sequence[str | float], style: Mapping[str, int] | None = None) -> str:
    """Return the rows of a worksheet; `style` gives the style of a cell by its reference."""
    out = []
    for number, line in enumerate(lines, 1):
        cells = []
        for column, value in enumerate(line):
            place = f"{chr(65 + column)}{number}"
            look = (style or {}).get(place, 0)
            if isinstance(value, str) and value:
                cells.append(f'<c r="{place}" t="inlineStr"><is><t>{value}</t></is></c>')
            elif value != "":
                cells.append(f'<c r="{place}" s="{look}"><v>{value}</v></c>')
        out.append(f'<row r="{number}">{"".join(cells)}</row>')
    return f"<sheetData>{''.join(out)}</sheetData>"
