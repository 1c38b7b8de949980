"""Files of many kinds, written without libraries, because none for them are among our dependencies."""

from __future__ import annotations

import email.message
import io
import json
import random
import zipfile
from collections.abc import Callable, Mapping, Sequence
from html import escape

from benchmarks._corpus import Corpus

LONGEST = 40
"""Largest number of passages of about 60 words in one file."""
SCRIPT_SHARE = (1.0, 8.0)
"""Size of a page's scripts and styles, in multiples of its text."""
_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_OPC = "http://schemas.openxmlformats.org/package/2006"
_WORD = {
    "[Content_Types].xml": f'<Types xmlns="{_OPC}/content-types"><Default Extension="rels" ContentType='
    '"application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/word/document.xml" ContentType='
    '"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_OPC}/relationships"><Relationship Id="r1" Target="word/document.xml" Type='
    '"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"/></Relationships>',
}


def markdown(passages: Sequence[str], _: random.Random) -> bytes:
    return "\n\n".join(f"## Section {at}\n\n{text}" for at, text in enumerate(passages)).encode()


def html(passages: Sequence[str], draw: random.Random) -> bytes:
    """Return a page as sites serve it, with a menu, scripts and styles around the text."""
    body = "".join(f"<h2>Section {at}</h2><p>{escape(text)}</p>" for at, text in enumerate(passages))
    lines = int(len(body) * draw.uniform(*SCRIPT_SHARE)) // 40
    script = "".join(f"var v{draw.randrange(10**6)}=f({draw.randrange(10**9)});g();\n" for _ in range(lines))
    menu = "".join(f'<li><a href="/{at}">Menu {at}</a></li>' for at in range(20))
    return (
        f"<!doctype html><html><head><script>{script}</script></head><body><ul>{menu}</ul>{body}</body></html>".encode()
    )


def csv(passages: Sequence[str], _: random.Random) -> bytes:
    words = [passage.split() for passage in passages for _ in range(4)]
    rows = (f"{at},{some[0]},{' '.join(some[1:12])}" for at, some in enumerate(words))
    return ("number,name,remark\n" + "\n".join(rows)).encode()


def document(passages: Sequence[str], _: random.Random) -> bytes:
    body = "".join(f"<w:p><w:r><w:t>{escape(text)}</w:t></w:r></w:p>" for text in passages)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        word = f"<w:document {_W}><w:body>{body}</w:body></w:document>"
        for name, xml in (_WORD | {"word/document.xml": word}).items():
            archive.writestr(name, f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>{xml}')
    return target.getvalue()


def mail(passages: Sequence[str], draw: random.Random) -> bytes:
    """Return a message with half of its text in an attachment."""
    message = email.message.EmailMessage()
    message["Subject"], message["From"], message["To"] = "Report", "a@example.org", "b@example.org"
    half = max(1, len(passages) // 2)
    message.set_content("\n\n".join(passages[:half]))
    word = document(passages[half:] or passages, draw)
    message.add_attachment(word, maintype="application", subtype="octet-stream", filename="report.docx")
    return message.as_bytes()


def notes(passages: Sequence[str], _: random.Random) -> bytes:
    return json.dumps([{"number": at, "text": text} for at, text in enumerate(passages)], indent=1).encode()


def pdf(passages: Sequence[str], _: random.Random) -> bytes:
    """Return a file with four passages per page."""
    return pdf_of(["\n".join(passages[at : at + 4]) for at in range(0, len(passages), 4)])


def pdf_of(pages: Sequence[str]) -> bytes:
    """Return a file with a page for each text, ten words per line. Its streams are not compressed."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", ""]
    objects.append("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    kids = []
    for text in pages:
        words = text.split()
        lines = [" ".join(words[at : at + 10]) for at in range(0, len(words), 10)]
        drawn = "BT /F1 11 Tf 60 760 Td 14 TL " + " ".join(f"({line}) Tj T*" for line in lines) + " ET"
        objects.append(f"<< /Length {len(drawn)} >>\nstream\n{drawn}\nendstream")
        content = len(objects)
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {content} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Count {len(kids)} /Kids [{' '.join(kids)}] >>"
    out = bytearray(b"%PDF-1.4\n")
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode()
    begins = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{place:010d} 00000 n \n".encode() for place in places)
    out += f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{begins}\n%%EOF\n".encode()
    return bytes(out)


KINDS: Mapping[str, Callable[[Sequence[str], random.Random], bytes]] = {
    "csv": csv,
    "docx": document,
    "eml": mail,
    "html": html,
    "json": notes,
    "md": markdown,
    "pdf": pdf,
}


def mixed_files(seed: int, count: int) -> dict[str, bytes]:
    """Return files by name in order of kind, the same number of each kind.

    The files have 1 to LONGEST passages, and most of them are short.
    """
    draw = random.Random(seed)
    lengths = [max(1, round(LONGEST ** draw.random())) for _ in range(count)]
    passages = iter(Corpus(seed).passages(sum(lengths)))
    files = {}
    for at, length in enumerate(lengths):
        kind = list(KINDS)[at * len(KINDS) // count]
        files[f"{kind}-{seed}-{at:04}.{kind}"] = KINDS[kind]([next(passages) for _ in range(length)], draw)
    return files
