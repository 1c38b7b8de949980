"""Preparation of Word documents for xberg: what it would lose, double or misread is rewritten in the document's XML.

This module runs in the parser child. Deleted and hidden text goes, text that moved stands once, merged cells are
filled, superscripts survive, footnotes follow their paragraph, and headers, footers and comments stand at the end.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from argosy.services.documents.parsing.docx_text import paragraph, paragraphs_of, simple_table, text_of
from argosy.services.documents.parsing.grids import Budget
from argosy.services.documents.parsing.office_xml import (
    MC,
    Element,
    Package,
    UnreadablePart,
    W,
    descendants,
    is_on,
    parents,
    written,
)
from argosy.services.documents.parsing.scripts import subscript, superscript

MAX_TABLE_DEPTH = 4
_GONE = frozenset(
    {W + "del", W + "moveFrom", MC + "Fallback", W + "instrText", W + "delInstrText", W + "commentReference"}
    | {W + "annotationRef", W + "footnoteRef", W + "endnoteRef"}
)
"""Elements that hold deleted text, the place that text was moved from, a second copy, or no text of the document."""
_UNWRAPPED = frozenset({W + "hyperlink", W + "ins", W + "moveTo", W + "smartTag", W + "fldSimple"})
_NOTES = {W + "footnoteReference": "footnotes", W + "endnoteReference": "endnotes"}
_MARGINS = {"header": "Page header", "footer": "Page footer"}


@dataclass(slots=True)
class _Styles:
    """Ids of the styles that hide, raise or lower text."""

    hidden: set[str] = field(default_factory=set)
    raised: set[str] = field(default_factory=set)
    lowered: set[str] = field(default_factory=set)


class _Document:
    def __init__(self, package: Package) -> None:
        self._package = package
        self.hidden = self.deleted = False
        relations = package.targets("").values()
        self.name = next((name for kind, name in relations if kind == "officeDocument"), "word/document.xml")
        self._targets = package.targets(self.name)
        self._styles = self._read_styles()
        self._notes = {kind: self._read_notes(kind) for kind in _NOTES.values()}
        self._budget = Budget()

    def rewritten(self) -> bytes:
        root = self._package.tree(self.name)
        self._clean(root)
        body = root.find(W + "body")
        if body is None:
            raise UnreadablePart("the document has no body")
        self._place_notes(root)
        self._simplify_tables(root)
        at = next((at for at, one in enumerate(body) if one.tag == W + "sectPr"), len(body))
        for offset, one in enumerate(self._beside()):
            body.insert(at + offset, one)
        kinds = ("footnotes", "endnotes", "comments", "header", "footer")
        without = frozenset(name for kind, name in self._targets.values() if kind in kinds)
        return self._package.rewritten({self.name: written(root)}, without)

    def _read_styles(self) -> _Styles:
        found = _Styles()
        try:
            root = self._package.tree(self._target("styles"))
        except UnreadablePart:
            return found
        for style in root.iter(W + "style"):
            name, properties = style.get(W + "styleId") or "", style.find(W + "rPr")
            if properties is None:
                continue
            if is_on(properties.find(W + "vanish")):
                found.hidden.add(name)
            align = properties.find(W + "vertAlign")
            if align is not None and "Reference" not in name:
                {"superscript": found.raised, "subscript": found.lowered}.get(align.get(W + "val") or "", set()).add(
                    name
                )
        return found

    def _target(self, kind: str) -> str:
        return next((name for of, name in self._targets.values() if of == kind), "")

    def _read_notes(self, kind: str) -> dict[str, str]:
        try:
            root = self._package.tree(self._target(kind))
        except UnreadablePart:
            return {}
        self._clean(root)
        return {one.get(W + "id") or "": text for one in root if one.get(W + "type") is None and (text := text_of(one))}

    def _clean(self, root: Element) -> None:
        """Remove deleted and hidden text, unwrap links and insertions, and write superscripts as characters."""
        for parent in list(root.iter()):
            if any(self._goes(child) for child in parent):
                kept = []
                for child in parent:
                    if self._goes(child):
                        self.deleted |= child.tag in (W + "del", W + "tr") and len(child) > 0
                    else:
                        kept.append(child)
                parent[:] = kept
        for parent in list(root.iter()):
            while any(child.tag in _UNWRAPPED for child in parent):
                inner: list[Element] = []
                for child in parent:
                    inner += list(child) if child.tag in _UNWRAPPED else [child]
                parent[:] = inner
        for run in descendants(root, W + "r"):
            self._write_script(run)

    def _goes(self, element: Element) -> bool:
        if element.tag in _GONE:
            return True
        if element.tag == W + "tr":
            return element.find(f"{W}trPr/{W}del") is not None
        if element.tag == W + "r":
            properties = element.find(W + "rPr")
            if properties is not None and self._is_hidden(properties, "rStyle"):
                self.hidden |= bool(text_of(element))
                return True
        elif element.tag == W + "p":
            properties = element.find(W + "pPr")
            style = properties.find(W + "pStyle") if properties is not None else None
            if style is not None and style.get(W + "val") in self._styles.hidden:
                self.hidden |= bool(text_of(element))
                return True
        return False

    def _is_hidden(self, properties: Element, style: str) -> bool:
        own = properties.find(W + "vanish")
        if own is not None:
            return is_on(own)
        named = properties.find(W + style)
        return named is not None and named.get(W + "val") in self._styles.hidden

    def _write_script(self, run: Element) -> None:
        properties = run.find(W + "rPr")
        if properties is None:
            return
        align, style = properties.find(W + "vertAlign"), properties.find(W + "rStyle")
        value = align.get(W + "val") if align is not None else None
        named = style.get(W + "val") if style is not None else None
        raised = value == "superscript" or (value is None and named in self._styles.raised)
        lowered = value == "subscript" or (value is None and named in self._styles.lowered)
        if raised or lowered:
            for words in run.iter(W + "t"):
                words.text = (superscript if raised else subscript)(words.text or "")
            run.remove(properties)

    def _place_notes(self, root: Element) -> None:
        """Replace the references to notes by [1], [2] and so on, and put each note after its paragraph or table."""
        above = parents(root)
        number = 0
        behind: dict[Element, list[Element]] = {}
        for reference in list(descendants(root, *_NOTES)):
            run = above.get(reference)
            text = self._notes[_NOTES[reference.tag]].get(reference.get(W + "id") or "")
            if run is None or text is None:
                continue
            number += 1
            reference.tag, reference.text = W + "t", f"[{number}]"
            place = run
            while place in above and above[place].tag != W + "body":
                place = above[place]
            behind.setdefault(place, []).append(paragraph(f"[{number}] {text}"))
        body = root.find(W + "body")
        if body is not None and behind:
            body[:] = [one for child in body for one in (child, *behind.get(child, ()))]

    def _simplify_tables(self, root: Element) -> None:
        """Replace tables by tables without merged cells, the innermost first, and dissolve those that only lay out."""
        above = parents(root)
        instead: dict[Element, list[Element]] = {}
        for table in reversed(list(root.iter(W + "tbl"))):
            depth, parent = 0, above.get(table)
            while parent is not None and depth < MAX_TABLE_DEPTH:
                depth += parent.tag == W + "tbl"
                parent = above.get(parent)
            if depth >= MAX_TABLE_DEPTH:
                continue
            titles, simple = simple_table(table, self._budget)
            if simple is not None:
                instead[table] = [*map(paragraph, titles), simple]
            elif depth == 0:
                cells = [one for row in table if row.tag == W + "tr" for one in row if one.tag == W + "tc"]
                inner = [one for cell in cells for one in cell if one.tag != W + "tcPr"]
                instead[table] = [kept for one in inner for kept in instead.get(one, (one,))]
        for parent in {above[table] for table in instead if table in above}:
            parent[:] = [kept for child in parent for kept in instead.get(child, (child,))]

    def _beside(self) -> list[Element]:
        """Return the paragraphs of headers, footers and comments, each kind below a heading; texts stand once."""
        out: list[Element] = []
        for kind, title in _MARGINS.items():
            seen: dict[str, None] = {}
            for of, name in self._targets.values():
                if of == kind:
                    seen.update(dict.fromkeys(self._paragraphs(name)))
            lines = [text for text in seen if any(map(str.isalnum, text)) and not text.isdecimal()]
            if lines:
                out += [paragraph(title, "Heading2"), *map(paragraph, lines)]
        comments = self._comments()
        return out + ([paragraph("Comments", "Heading2"), *map(paragraph, comments)] if comments else [])

    def _paragraphs(self, name: str) -> list[str]:
        try:
            root = self._package.tree(name)
        except UnreadablePart:
            return []
        self._clean(root)
        return paragraphs_of(root)

    def _comments(self) -> list[str]:
        try:
            root = self._package.tree(self._target("comments"))
        except UnreadablePart:
            return []
        self._clean(root)
        found = []
        for one in root.iter(W + "comment"):
            author = " ".join((one.get(W + "author") or "").split())[:100]
            if text := text_of(one):
                found.append(f"{author}: {text}" if author else text)
        return found


def prepared_docx(data: bytes) -> tuple[bytes, list[str]]:
    """Return the document to give to xberg, and what was left out, in one sentence each.

    A document that cannot be prepared (damaged XML, too large or too deeply nested) is returned as it is.
    """
    try:
        document = _Document(Package(data))
        made = document.rewritten()
    except (UnreadablePart, RecursionError):
        return data, []
    left_out = []
    if document.hidden:
        left_out.append("Hidden text was left out.")
    if document.deleted:
        left_out.append("Text that tracked changes delete was left out.")
    return made, left_out
