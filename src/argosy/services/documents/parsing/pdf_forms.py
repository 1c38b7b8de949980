"""Form fields of a PDF: the value of each is written behind its label."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable

import pypdfium2
import pypdfium2.raw as pdfium

MAX_FIELDS = 2_000
"""Annotations that are read of one page."""
MAX_VALUE_CHARS = 4_000
_LABEL_CHARS = 80
_LABEL_WIDTH_PT = 300.0
_BUTTON, _CHECKBOX, _RADIO = 1, 2, 3
"""Kinds of fields as PDFium numbers them."""


def has_form(document: pypdfium2.PdfDocument) -> bool:
    """Return whether the document has a form, and prepare it for reading. Call this before its pages are opened."""
    if document.get_formtype() != pdfium.FORMTYPE_ACRO_FORM:
        return False
    try:
        document.init_forms()
    except pypdfium2.PdfiumError:
        return False
    return document.formenv is not None


def fields_of(document: pypdfium2.PdfDocument, page: pypdfium2.PdfPage) -> list[tuple[str, str]]:
    """Return label and value of each filled field of a page."""
    words = page.get_textpage()
    found: dict[tuple[str, str], None] = {}
    for number in range(min(MAX_FIELDS, pdfium.FPDFPage_GetAnnotCount(page))):
        annotation = pdfium.FPDFPage_GetAnnot(page, number)
        if not annotation:
            continue
        try:
            if pdfium.FPDFAnnot_GetSubtype(annotation) == pdfium.FPDF_ANNOT_WIDGET:
                value = _value(document, annotation)
                if value:
                    found[_label(document, annotation, words), value] = None
        finally:
            pdfium.FPDFPage_CloseAnnot(annotation)
    return list(found)


def with_fields(text: str, fields: list[tuple[str, str]]) -> str:
    """Return the text of a page with each value behind its label, or at the end where the label is not in the text."""
    lines = text.split("\n")
    places: dict[str, int] = {}
    for at, line in enumerate(lines):
        places.setdefault(line.strip().strip("*").rstrip(" :"), at)
    rest = []
    for label, value in fields:
        at = places.pop(label, -1)
        if at < 0:
            rest.append(f"{label}: {value}")
        else:
            lines[at] = f"{lines[at].rstrip().rstrip(':')}: {value}"
    return "\n\n".join(part for part in ("\n".join(lines), "\n\n".join(rest)) if part)


def _value(document: pypdfium2.PdfDocument, annotation: pdfium.FPDF_ANNOTATION) -> str:
    kind = pdfium.FPDFAnnot_GetFormFieldType(document.formenv, annotation)
    if kind == _BUTTON:
        return ""
    value = _text(pdfium.FPDFAnnot_GetFormFieldValue, document, annotation)
    if kind == _CHECKBOX:
        return (value if value.lower() not in ("", "off", "on") else "Yes") if _checked(document, annotation) else "No"
    if kind == _RADIO and not _checked(document, annotation):
        return ""
    return " ".join(value.split())[:MAX_VALUE_CHARS]


def _checked(document: pypdfium2.PdfDocument, annotation: pdfium.FPDF_ANNOTATION) -> bool:
    return bool(pdfium.FPDFAnnot_IsChecked(document.formenv, annotation))


def _label(document: pypdfium2.PdfDocument, annotation: pdfium.FPDF_ANNOTATION, words: pypdfium2.PdfTextPage) -> str:
    """Return the field's description, else the words left of it, else its name."""
    described = _text(pdfium.FPDFAnnot_GetFormFieldAlternateName, document, annotation)
    box = pdfium.FS_RECTF()
    pdfium.FPDFAnnot_GetRect(annotation, box)
    beside = words.get_text_bounded(
        left=max(0.0, box.left - _LABEL_WIDTH_PT), bottom=box.bottom, right=box.left, top=box.top
    )
    near = " ".join(beside.split()).rstrip(" :")
    name = _text(pdfium.FPDFAnnot_GetFormFieldName, document, annotation)
    if near and len(near) <= _LABEL_CHARS:
        return near
    if described:
        return " ".join(described.split())[:_LABEL_CHARS].rstrip(" :")
    last = name.rsplit(".", 1)[-1]
    return re.sub(r"[_\s]+", " ", last.partition("[")[0]).strip()[:_LABEL_CHARS] or name[:_LABEL_CHARS] or "Field"


def _text(read: Callable[..., int], document: pypdfium2.PdfDocument, annotation: pdfium.FPDF_ANNOTATION) -> str:
    length = min(int(read(document.formenv, annotation, None, 0)), 4 * MAX_VALUE_CHARS)
    if length <= 2:
        return ""
    buffer = (ctypes.c_ushort * (length // 2 + 1))()
    read(document.formenv, annotation, buffer, length)
    return bytes(buffer)[: length - 2].decode("utf-16-le", "ignore").replace("\0", "")
