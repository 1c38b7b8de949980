"""Documents made to do harm, or that harm came to. All small as files, made here with the standard library."""

from __future__ import annotations

import io
import zipfile

from tests.samples.make_samples import PAGES, docx, pdf

_SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def docx_bomb(unpacked_bytes: int = 300 << 20) -> bytes:
    """Return a Word document whose text unpacks to that much of the same letter."""
    return _with_member(docx(), "word/document.xml", b"<w:document>", b"a", unpacked_bytes)


def xlsx_bomb(unpacked_bytes: int = 300 << 20) -> bytes:
    """Return an Excel workbook with one endless sheet."""
    return _with_member(xlsx(), "xl/worksheets/sheet1.xml", b"<worksheet>", b" ", unpacked_bytes)


def lying_bomb() -> bytes:
    """Return a Word document whose list of members says that its text has 1000 bytes, while it unpacks to 300 MB."""
    bomb = bytearray(docx_bomb())
    at = 0
    while (at := bomb.find(b"PK\x01\x02", at)) >= 0:
        if bomb[at + 46 :].startswith(b"word/document.xml"):
            bomb[at + 24 : at + 28] = (1000).to_bytes(4, "little")
        at += 4
    return bytes(bomb)


def nested_bomb() -> bytes:
    """Return a Word document with an archive inside, with an archive inside, with 300 MB of zeros inside."""
    content = bytes(300 << 20)
    for level in range(2):
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{level}.bin", content)
        content = target.getvalue()
    target = io.BytesIO(docx())
    with zipfile.ZipFile(target, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/embeddings/inner.zip", content)
    return target.getvalue()


def giant_member(declared_bytes: int = 5 << 30) -> bytes:
    """Return a Word document of a few words whose list of members declares 5 GB for one of them."""
    target = io.BytesIO(docx())
    with zipfile.ZipFile(target, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/media/film.bin", b"few words")
        archive.infolist()[-1].file_size = declared_bytes
    return target.getvalue()


def many_members(count: int = 30_000) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("word/document.xml", "<w:document/>")
        for number in range(count):
            archive.writestr(str(number), "")
    return target.getvalue()


def endless_pdf(pages: int = 100_000) -> bytes:
    """Return a PDF of three pages that declares many more."""
    return pdf(PAGES).replace(b"/Count 3", b"/Count %d" % pages)


def half_pdf() -> bytes:
    whole = pdf(PAGES)
    return whole[: len(whole) // 2]


def nested_divs(depth: int = 200_000) -> bytes:
    return b"<html><body>" + b"<div>" * depth + b"Mind the swell." + b"</div>" * depth


def wide_csv(columns: int = 10_000) -> bytes:
    head = ",".join(f"c{n}" for n in range(columns))
    return f"{head}\n{','.join('1' * columns)}\n".encode()


def damaged_page() -> bytes:
    """Return a PDF of three pages and a fourth that it declares but does not hold."""
    return pdf(PAGES).replace(b"/Count 3", b"/Count 4")


def nested_mail(depth: int = 200) -> bytes:
    """Return a message in a message in a message …"""
    content = b"Subject: inner\r\n\r\nThe innermost words.\r\n"
    for _ in range(depth):
        content = b"Subject: outer\r\nMIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\n" + content
    return content


def crowded_mail(attachments: int = 500) -> bytes:
    part = b"--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\nwords\r\n"
    head = b"Subject: many\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    return head + part * attachments + b"--b--\r\n"


def xlsx() -> bytes:
    """Return an Excel workbook of one sheet with two rows."""
    row = '<row r="{0}"><c r="A{0}" t="inlineStr"><is><t>{1}</t></is></c><c r="B{0}"><v>{2}</v></c></row>'
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="rels" ContentType='
        '"application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" '
        'ContentType="application/xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Target="xl/workbook.xml"'
        f' Type="{office}/officeDocument"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{_SHEET}" xmlns:r="{office}"><sheets>'
        '<sheet name="Berths" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Target="worksheets/sheet1.xml" Type="{office}/worksheet"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{_SHEET}"><sheetData>'
        f"{row.format(1, 'Heron quay', 9)}{row.format(2, 'Kestrel quay', 7)}</sheetData></worksheet>",
    }
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, xml in parts.items():
            archive.writestr(name, '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>' + xml)
    return target.getvalue()


def _with_member(container: bytes, member: str, start: bytes, filling: bytes, size: int) -> bytes:
    """Return the container with that member replaced by `start` and as much of `filling` as makes up the size."""
    target = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(container)) as old,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new,
    ):
        for name in old.namelist():
            if name != member:
                new.writestr(name, old.read(name))
        with new.open(member, "w", force_zip64=True) as file:
            file.write(start)
            block = filling * (1 << 20)
            for _ in range(size >> 20):
                file.write(block)
    return target.getvalue()
