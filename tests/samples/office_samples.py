"""Small documents in office formats, e-books, mail and tables, made from text with the standard library only."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from email.message import EmailMessage

from tests.samples.bad_samples import xlsx

_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_RELS_TYPE = "application/vnd.openxmlformats-package.relationships+xml"
_SLIDES = "application/vnd.openxmlformats-officedocument.presentationml"


def pptx() -> bytes:
    """Two slides, each with a title and a text."""
    drawing = "http://schemas.openxmlformats.org/drawingml/2006/main"
    show = "http://schemas.openxmlformats.org/presentationml/2006/main"

    def shape(number: int, kind: str, text: str) -> str:
        return (
            f'<p:sp><p:nvSpPr><p:cNvPr id="{number}" name="{kind}"/><p:cNvSpPr/><p:nvPr><p:ph type="{kind}"/></p:nvPr>'
            f"</p:nvSpPr><p:spPr/><p:txBody><a:bodyPr/><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp>"
        )

    def slide(title: str, text: str) -> str:
        return (
            f'<p:sld xmlns:a="{drawing}" xmlns:p="{show}" xmlns:r="{_OFFICE}"><p:cSld><p:spTree><p:nvGrpSpPr>'
            '<p:cNvPr id="1" name=""/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr/>'
            f"{shape(2, 'title', title)}{shape(3, 'body', text)}</p:spTree></p:cSld></p:sld>"
        )

    return _zip(
        {
            "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" '
            f'ContentType="{_RELS_TYPE}"/><Default Extension="xml" ContentType="application/xml"/>'
            f'<Override PartName="/ppt/presentation.xml" ContentType="{_SLIDES}.presentation.main+xml"/>'
            f'<Override PartName="/ppt/slides/slide1.xml" ContentType="{_SLIDES}.slide+xml"/>'
            f'<Override PartName="/ppt/slides/slide2.xml" ContentType="{_SLIDES}.slide+xml"/></Types>',
            "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="r1" '
            f'Target="ppt/presentation.xml" Type="{_OFFICE}/officeDocument"/></Relationships>',
            "ppt/presentation.xml": f'<p:presentation xmlns:p="{show}" xmlns:r="{_OFFICE}"><p:sldIdLst>'
            '<p:sldId id="256" r:id="r1"/><p:sldId id="257" r:id="r2"/></p:sldIdLst></p:presentation>',
            "ppt/_rels/presentation.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
            f'<Relationship Id="r1" Target="slides/slide1.xml" Type="{_OFFICE}/slide"/>'
            f'<Relationship Id="r2" Target="slides/slide2.xml" Type="{_OFFICE}/slide"/></Relationships>',
            "ppt/slides/slide1.xml": slide("Tides", "High water comes twice a day."),
            "ppt/slides/slide2.xml": slide("Berths", "Heron quay is nine metres deep."),
        }
    )


def odt() -> bytes:
    name = "urn:oasis:names:tc:opendocument:xmlns"
    return _zip(
        {
            "mimetype": "application/vnd.oasis.opendocument.text",
            "content.xml": f'{_XML}<office:document-content xmlns:office="{name}:office:1.0" '
            f'xmlns:text="{name}:text:1.0"><office:body><office:text><text:h text:outline-level="1">Moorings</text:h>'
            "<text:p>Double the lines before a gale.</text:p></office:text></office:body></office:document-content>",
        },
        first_stored=True,
    )


def epub() -> bytes:
    """Return a book of two chapters."""
    chapter = '<html xmlns="http://www.w3.org/1999/xhtml"><body><h1>{0}</h1><p>{1}</p></body></html>'
    return _zip(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": f'{_XML}<container version="1.0" '
            'xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile full-path="book.opf" '
            'media-type="application/oebps-package+xml"/></rootfiles></container>',
            "book.opf": f'{_XML}<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="i">'
            '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:identifier id="i">x</dc:identifier>'
            "<dc:title>The pilot</dc:title><dc:creator>Ines Falk</dc:creator><dc:language>en</dc:language></metadata>"
            '<manifest><item id="a" href="a.xhtml" media-type="application/xhtml+xml"/>'
            '<item id="b" href="b.xhtml" media-type="application/xhtml+xml"/></manifest>'
            '<spine><itemref idref="a"/><itemref idref="b"/></spine></package>',
            "a.xhtml": chapter.format("Fog", "Sound the horn every two minutes."),
            "b.xhtml": chapter.format("Ice", "Keep to the lee of the island."),
        },
        first_stored=True,
    )


def rtf() -> bytes:
    return (
        rb"{\rtf1\ansi{\info{\title Log book}{\author Tomas Reed}}"
        rb"\pard The \b master\b0  signs at noon.\par R\'e9vis\'e9 en mai.\par}"
    )


def eml() -> bytes:
    """Return a message with a table, a workbook and another message attached, and one file that cannot be read."""
    inner = EmailMessage()
    inner["Subject"] = "Fog"
    inner.set_content("Sound the horn.")
    mail = EmailMessage()
    mail["Subject"] = "Watch plan für May"
    mail["From"] = "Ines Falk <ines@tern.example>"
    mail["To"] = "crew@tern.example"
    mail["Date"] = "Mon, 06 May 2024 10:00:00 +0200"
    mail.set_content("Der zwölfte Mann fehlt.", charset="iso-8859-1")
    mail.add_attachment(b"Name,Depth\nHeron quay,9\n", maintype="text", subtype="csv", filename="berths.csv")
    mail.add_attachment(xlsx(), maintype="application", subtype="octet-stream", filename="berths.xlsx")
    mail.add_attachment(inner)
    mail.add_attachment(b"\0\1\2\3", maintype="application", subtype="octet-stream", filename="tool.exe")
    return mail.as_bytes()


def _zip(parts: Mapping[str, str], *, first_stored: bool = False) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, (name, text) in enumerate(parts.items()):
            archive.writestr(name, text, zipfile.ZIP_STORED if first_stored and not number else None)
    return target.getvalue()
