"""Sample documents in formats that cannot be written by hand, made from text here with the standard library only.

All are about a fictional ship, the Halcyon Tern. The hand-written samples beside this file are copied too.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
WRITTEN = ("handbook.md", "notices.txt", "tides.html")

PAGES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "Manual of the Halcyon Tern",
        (
            "The Halcyon Tern is a coaster of 74 metres, built for timber and grain.",
            "Her crew of nine works in two watches of six hours.",
            "The master signs the log at noon and at midnight.",
        ),
    ),
    (
        "Engine room",
        (
            "The main engine is a six-cylinder diesel of 1450 kilowatts.",
            "Change the lubricating oil every 500 running hours.",
            "If the cooling water passes 92 degrees, reduce speed and call the chief engineer.",
        ),
    ),
    (
        "Lifeboats",
        (
            "Two lifeboats hang on the boat deck, each with room for twelve people.",
            "Boat drills take place every second Friday at 10:00.",
            "Flares are kept in the orange locker behind the bridge.",
        ),
    ),
)
SECRET = b"kestrel"
_PADDING = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")


def make_samples(folder: Path) -> dict[str, Path]:
    """Write every sample into `folder` (made if missing). Returns: file name → path."""
    folder.mkdir(parents=True, exist_ok=True)
    made: dict[str, bytes] = {
        "manual.pdf": pdf(PAGES),
        "locked.pdf": pdf(PAGES, password=SECRET),
        "scan.pdf": scanned_pdf(),
        "crew.docx": docx(),
        "image.pdf": png(),
        "empty.docx": b"",
    }
    paths = {name: folder / name for name in (*made, *WRITTEN)}
    for name, content in made.items():
        paths[name].write_bytes(content)
    for name in WRITTEN:
        shutil.copyfile(HERE / name, paths[name])
    return paths


def pdf(pages: Iterable[tuple[str, tuple[str, ...]]], password: bytes | None = None) -> bytes:
    """Return a PDF 1.4 with one heading and some lines a page; RC4-40 encrypted when there is a password."""
    contents = [_page_content(heading, lines) for heading, lines in pages]
    kids = b" ".join(b"%d 0 R" % (5 + 2 * i) for i in range(len(contents)))
    objects: list[tuple[bytes, bytes | None]] = [
        (b"<< /Type /Catalog /Pages 2 0 R >>", None),
        (b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, len(contents)), None),
        (b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>", None),
        (b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>", None),
    ]
    for i, content in enumerate(contents):
        objects.append(
            (
                b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R"
                b" /Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> >>" % (6 + 2 * i),
                None,
            )
        )
        objects.append((b"<< /Length %d >>" % len(content), content))
    return _assemble(objects, password)


@dataclass(frozen=True, slots=True)
class Picture:
    """`pixels` are greys, 0 is black, row after row."""

    width: int
    height: int
    pixels: bytes


ONE_PIXEL = Picture(1, 1, b"\x80")
PATTERN = Picture(64, 64, bytes((x * 7 + y * 3) % 256 for y in range(64) for x in range(64)))


def scanned_pdf(picture: Picture = PATTERN) -> bytes:
    """One page that is a grey picture and nothing else."""
    content = b"q 535 0 0 %d 30 30 cm /Im0 Do Q" % (535 * picture.height // picture.width)
    return _assemble(
        [
            (b"<< /Type /Catalog /Pages 2 0 R >>", None),
            (b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>", None),
            (
                b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
                b" /Resources << /XObject << /Im0 5 0 R >> >> >>",
                None,
            ),
            (b"<< /Length %d >>" % len(content), content),
            (
                b"<< /Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceGray"
                b" /BitsPerComponent 8 /Length %d >>" % (picture.width, picture.height, len(picture.pixels)),
                picture.pixels,
            ),
        ],
        None,
    )


def docx() -> bytes:
    """Return a Word document with two headings, paragraphs and a table."""
    parts = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        '<Override PartName="/word/document.xml" ContentType='
        '"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/>'
        '<Override PartName="/word/styles.xml" ContentType='
        '"application/vnd.openxmlformats-officedocument.wordprocessingml.styles+xml"/>'
        '<Override PartName="/docProps/core.xml" ContentType='
        '"application/vnd.openxmlformats-package.core-properties+xml"/></Types>',
        "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        '<Relationship Id="r1" Target="word/document.xml" Type='
        '"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"/>'
        '<Relationship Id="r2" Target="docProps/core.xml" Type='
        '"http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties"/></Relationships>',
        "docProps/core.xml": "<cp:coreProperties"
        ' xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties"'
        ' xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Crew list</dc:title></cp:coreProperties>',
        "word/_rels/document.xml.rels": "<Relationships"
        ' xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1"'
        ' Target="styles.xml" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles"/>'
        "</Relationships>",
        "word/styles.xml": f"<w:styles {_W}>{_style('Heading1', 'heading 1', 0)}{_style('Heading2', 'heading 2', 1)}"
        "</w:styles>",
        "word/document.xml": f"<w:document {_W}><w:body>"
        + _paragraph("Crew of the Halcyon Tern", "Heading1")
        + _paragraph("Nine people sail on the Halcyon Tern; the cook is also the medical officer.")
        + _paragraph("Watches", "Heading2")
        + _paragraph("The second mate keeps the watch from midnight to six.")
        + _table((("Name", "Rank"), ("Ines Falk", "Master"), ("Tomas Reed", "Chief engineer")))
        + "</w:body></w:document>",
    }
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, xml in parts.items():
            archive.writestr(name, '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>' + xml)
    return target.getvalue()


def png(picture: Picture = ONE_PIXEL) -> bytes:

    def part(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", picture.width, picture.height, 8, 0, 0, 0, 0)
    starts = range(0, len(picture.pixels), picture.width)
    rows = b"".join(b"\0" + picture.pixels[at : at + picture.width] for at in starts)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b"")


_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def _style(key: str, name: str, level: int) -> str:
    return (
        f'<w:style w:type="paragraph" w:styleId="{key}"><w:name w:val="{name}"/>'
        f'<w:pPr><w:outlineLvl w:val="{level}"/></w:pPr></w:style>'
    )


def _paragraph(text: str, style: str | None = None) -> str:
    look = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{look}<w:r><w:t>{text}</w:t></w:r></w:p>"


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    cells = ("".join(f"<w:tc>{_paragraph(cell)}</w:tc>" for cell in row) for row in rows)
    return f"<w:tbl>{''.join(f'<w:tr>{row}</w:tr>' for row in cells)}</w:tbl>"


def _page_content(heading: str, lines: Iterable[str]) -> bytes:
    shown = [b"BT /F1 24 Tf 60 760 Td (%s) Tj ET" % _literal(heading)]
    shown += [b"BT /F2 11 Tf 60 %d Td (%s) Tj ET" % (710 - 16 * i, _literal(line)) for i, line in enumerate(lines)]
    return b"\n".join(shown)


def _literal(text: str) -> bytes:
    return text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)").encode("cp1252")


def _assemble(objects: list[tuple[bytes, bytes | None]], password: bytes | None) -> bytes:
    """Objects 1… with their streams, a cross-reference table and a trailer."""
    identity = hashlib.md5(b"sample").digest()
    trailer = b"/Root 1 0 R"
    if password is not None:
        key, entry = _encryption(password, identity)
        objects = [
            (head, None if body is None else _rc4(_object_key(key, number), body))
            for number, (head, body) in enumerate(objects, 1)
        ]
        trailer += b" /Encrypt %d 0 R" % (len(objects) + 1) + b" /ID [<%s> <%s>]" % ((identity.hex().encode(),) * 2)
        objects = [*objects, (entry, None)]
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, (head, body) in enumerate(objects, 1):
        offsets.append(len(out))
        stream = b"" if body is None else b"\nstream\n" + body + b"\nendstream"
        out += b"%d 0 obj\n%s%s\nendobj\n" % (number, head, stream)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d %s >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, trailer, start)
    return bytes(out)


def _encryption(password: bytes, identity: bytes) -> tuple[bytes, bytes]:
    """Return the file key and the /Encrypt dictionary of the standard security handler, revision 2 (RC4, 40 bits)."""
    padded = (password + _PADDING)[:32]
    owner = _rc4(hashlib.md5(padded).digest()[:5], padded)
    permissions = -44
    key = hashlib.md5(padded + owner + struct.pack("<i", permissions) + identity).digest()[:5]
    user = _rc4(key, _PADDING)
    entry = b"<< /Filter /Standard /V 1 /R 2 /P %d /O <%s> /U <%s> >>"
    return key, entry % (permissions, owner.hex().encode(), user.hex().encode())


def _object_key(key: bytes, number: int) -> bytes:
    return hashlib.md5(key + struct.pack("<I", number)[:3] + b"\0\0").digest()[: len(key) + 5]


def _rc4(key: bytes, data: bytes) -> bytes:
    state = list(range(256))
    j = 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    out = bytearray()
    i = j = 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)
