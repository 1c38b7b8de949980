"""Preparation of presentations for xberg: speaker notes join their slide, hidden slides go, merged cells are filled.

This module runs in the parser child.
"""

from __future__ import annotations

from argosy.services.documents.parsing.grids import Budget, Cell, filled, joined_head
from argosy.services.documents.parsing.office_xml import A, Element, P, Package, UnreadablePart, written
from argosy.services.documents.parsing.scripts import subscript, superscript

NOTES_LABEL = "Speaker notes:"
_RUNS = frozenset({A + "r", A + "fld", A + "br"})
_NOT_NOTES = frozenset({"sldNum", "hdr", "ftr", "dt", "sldImg"})
"""Placeholders of a page of notes that hold no notes."""


def prepared_pptx(data: bytes) -> tuple[bytes, list[str]]:
    """Return the presentation to give to xberg, and what was left out, in one sentence each.

    A presentation that cannot be prepared (damaged XML, too large or too deeply nested) is returned as it is.
    """
    try:
        package = Package(data)
        main = next((name for kind, name in package.targets("").values() if kind == "officeDocument"), "")
        slides = _slides(package, main)
        budget = Budget()
        changed, hidden, commented = {}, [], False
        for number, name in enumerate(slides, 1):
            root = package.tree(name)
            if root.get("show") in ("0", "false"):
                hidden.append(number)
            related = dict(package.targets(name).values())
            commented = commented or "comments" in related
            _rewrite(root, _notes(package, related.get("notesSlide")), budget, hidden=number in hidden[-1:])
            changed[name] = written(root)
        made = package.rewritten(changed)
    except (UnreadablePart, RecursionError):
        return data, []
    left_out = [f"Slide {number} is hidden and was left out." for number in hidden]
    return made, left_out + (["The comments of reviewers were left out."] if commented else [])


def _slides(package: Package, main: str) -> list[str]:
    """Return the names of the slides in their order."""
    targets = package.targets(main)
    ids = [value for one in package.tree(main).iter(P + "sldId") for key, value in one.items() if key.endswith("}id")]
    return [targets[key][1] for key in ids if key in targets and targets[key][0] == "slide"]


def _notes(package: Package, name: str | None) -> list[str]:
    """Return the paragraphs of a page of notes."""
    if name is None:
        return []
    try:
        root = package.tree(name)
    except UnreadablePart:
        return []
    out = []
    for shape in root.iter(P + "sp"):
        kind = shape.find(f"{P}nvSpPr/{P}nvPr/{P}ph")
        if kind is None or kind.get("type") not in _NOT_NOTES:
            out += [text for one in shape.iter(A + "p") if (text := _text(one))]
    return out


def _rewrite(root: Element, notes: list[str], budget: Budget, *, hidden: bool) -> None:
    shapes = root.find(f"{P}cSld/{P}spTree")
    if shapes is None:
        return
    if hidden:
        shapes[:] = [one for one in shapes if one.tag in (P + "nvGrpSpPr", P + "grpSpPr")]
        return
    for one in list(root.iter(A + "p")):
        _join_runs(one)
    for table in list(root.iter(A + "tbl")):
        _simplify(table, budget)
    if notes:
        shapes.append(_shape([f"{NOTES_LABEL} {notes[0]}", *notes[1:]]))


def _join_runs(paragraph: Element) -> None:
    """Put the text of all runs into one, because xberg puts a space between runs, also inside of words."""
    runs = [one for one in paragraph if one.tag in _RUNS]
    if not runs:
        return
    text = "".join(map(_run_text, runs))
    first = next((one for one in runs if one.tag != A + "br"), None)
    if first is None:
        return
    words = first.find(A + "t")
    if words is None:
        words = Element(A + "t")
        first.append(words)
    words.text = text
    paragraph[:] = [one for one in paragraph if one.tag not in _RUNS or one is first]


def _run_text(run: Element) -> str:
    if run.tag == A + "br":
        return " "
    text = run.findtext(A + "t") or ""
    properties = run.find(A + "rPr")
    raised = properties.get("baseline", "0") if properties is not None else "0"
    if raised.lstrip("-").isdecimal() and int(raised[:9]) and text.strip():
        return superscript(text) if int(raised[:9]) > 0 else subscript(text)
    return text


def _text(element: Element) -> str:
    return " ".join("".join(_run_text(one) for one in element.iter() if one.tag in _RUNS).split())


def _simplify(table: Element, budget: Budget) -> None:
    """Replace the rows of a table by rows without merged cells and with one header row."""
    rows = []
    for row in table.findall(A + "tr"):
        cells = []
        for cell in row.findall(A + "tc"):
            if cell.get("hMerge") in ("1", "true") or cell.get("vMerge") in ("1", "true"):
                continue
            text = " ".join(text for one in cell.iter(A + "p") if (text := _text(one)))
            cells.append(Cell(text, _number(cell.get("rowSpan")), _number(cell.get("gridSpan"))))
        rows.append(cells)
    grid = filled(rows, budget)
    if not grid.spans or not grid.rows:
        return
    lines = []
    for texts in joined_head(grid):
        line = Element(A + "tr", {"h": "1"})
        for text in texts:
            cell = Element(A + "tc")
            cell.append(_body(A + "txBody", [text]))
            line.append(cell)
        lines.append(line)
    table[:] = [one for one in table if one.tag != A + "tr"] + lines


def _number(value: str | None) -> int:
    return int(value) if value and value.isascii() and value.isdecimal() and len(value) < 4 else 1


def _shape(lines: list[str]) -> Element:
    shape, about = Element(P + "sp"), Element(P + "nvSpPr")
    about.extend([Element(P + "cNvPr", {"id": "99999", "name": "Notes"}), Element(P + "cNvSpPr"), Element(P + "nvPr")])
    shape.extend([about, Element(P + "spPr"), _body(P + "txBody", lines)])
    return shape


def _body(tag: str, lines: list[str]) -> Element:
    body = Element(tag)
    body.append(Element(A + "bodyPr"))
    for line in lines:
        paragraph, run, words = Element(A + "p"), Element(A + "r"), Element(A + "t")
        words.text = line
        run.append(words)
        paragraph.append(run)
        body.append(paragraph)
    return body
