"""Small files that grow when they are unpacked or expanded, and files that refer to other files."""

from __future__ import annotations

import binascii
import io
import zipfile
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from argosy.contracts.errors import ArgosyError, ParserTimedOut
from argosy.services.documents.parsing.pool import ParserPool
from tests.samples.bad_samples import xlsx
from tests.samples.make_samples import docx
from tests.samples.office_samples import epub, odt, pptx

pytestmark = pytest.mark.security

LIMIT_S = 15.0
LAUGHS = (
    "<!DOCTYPE x [<!ENTITY l0 'ha'>" + "".join(f"<!ENTITY l{n} '{f'&l{n - 1};' * 10}'>" for n in range(1, 12)) + "]>"
)
SECRET = "argosy-secret-9471"
KINDS: dict[str, tuple[Callable[[], bytes], str]] = {
    "docx": (docx, "word/document.xml"),
    "xlsx": (xlsx, "xl/worksheets/sheet1.xml"),
    "pptx": (pptx, "ppt/slides/slide1.xml"),
    "odt": (odt, "content.xml"),
    "epub": (epub, ""),
}


def edited(container: bytes, member: str, change: Callable[[str], str], packing: int = zipfile.ZIP_STORED) -> bytes:
    """Return the container with that member changed; with an empty name, each member that is a page.

    The member is stored unpacked, because otherwise the container might be refused for its compression ratio.
    """
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(container)) as old, zipfile.ZipFile(target, "w") as new:
        changed = 0
        for name in old.namelist():
            data = old.read(name)
            if name == member or (not member and name.endswith("html")):
                data = change(data.decode()).encode()
                changed += 1
            new.writestr(name, data, compress_type=packing)
    assert changed
    return target.getvalue()


def with_entity(xml: str, doctype: str, entity: str) -> str:
    """Return the XML with a doctype and with the entity in front of each text."""
    head, mark, rest = xml.partition("?>") if xml.startswith("<?xml") else ("", "", xml)
    if "<!DOCTYPE" in rest:
        rest = rest[rest.index(">", rest.index("<!DOCTYPE")) + 1 :]
    for tag in ("t", "v", "p", "text:p", "a:t", "w:t"):
        rest = rest.replace(f"<{tag}>", f"<{tag}>{entity}")
    return head + mark + doctype + rest


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool() -> AsyncIterator[ParserPool]:
    pool = ParserPool(1)
    yield pool
    await pool.close()


async def text_of(pool: ParserPool, data: bytes, name: str) -> str:
    try:
        return (await pool.parse(data, name, LIMIT_S)).text
    except ParserTimedOut:
        pytest.fail("the file held its parser")
    except ArgosyError:
        return ""


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("kind", KINDS)
async def test_entities_that_grow_are_not_expanded(pool: ParserPool, kind: str) -> None:
    make, member = KINDS[kind]
    bomb = edited(make(), member, lambda xml: with_entity(xml, LAUGHS, "&l11;"))
    assert "hahahaha" * 100 not in await text_of(pool, bomb, f"a.{kind}")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("kind", KINDS)
async def test_a_document_cannot_ask_for_a_file_of_the_machine(pool: ParserPool, kind: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    doctype = f"<!DOCTYPE x [<!ENTITY e SYSTEM 'file://{tmp_path}/secret'>]>"
    make, member = KINDS[kind]
    asks = edited(make(), member, lambda xml: with_entity(xml, doctype, "&e;"))
    holds = edited(make(), member, lambda xml: with_entity(xml, "", SECRET))
    assert SECRET not in await text_of(pool, asks, f"a.{kind}")
    assert SECRET in await text_of(pool, holds, f"a.{kind}")  # the place of the entity is read


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("kind", ["docx", "odt"])
async def test_a_deep_tree_does_not_harm_the_parser(pool: ParserPool, kind: str) -> None:
    make, member = KINDS[kind]
    deep = edited(make(), member, lambda xml: with_entity(xml, "", "<x>" * 100_000))
    await text_of(pool, deep, f"a.{kind}")
    assert "Tides" in await text_of(pool, b"Tides", "a.txt")


def pdf_bomb(unpacked_bytes: int) -> bytes:
    """Return a PDF of one page whose stream is packed twice."""
    stream = zlib.compress(zlib.compress(b"BT (a) Tj ET " * (unpacked_bytes // 13), 9), 9)
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Contents 4 0 R>>",
        b"<</Filter[/FlateDecode/FlateDecode]/Length %d>>stream\n%s\nendstream" % (len(stream), stream),
    ]
    out, places = b"%PDF-1.5\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return out + b"xref\n0 5\n0000000000 65535 f \n%strailer<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (
        table,
        len(out),
    )


@pytest.mark.asyncio(loop_scope="module")
async def test_a_stream_of_a_pdf_that_grows_a_thousandfold_ends(pool: ParserPool) -> None:
    bomb = pdf_bomb(16 << 20)
    assert len(bomb) < 64 << 10
    await text_of(pool, bomb, "a.pdf")
    assert "Tides" in await text_of(pool, b"Tides", "a.txt")


@pytest.mark.asyncio(loop_scope="module")
async def test_bombs_in_a_mail_are_left_out_and_the_rest_is_read(pool: ParserPool) -> None:
    bomb = edited(
        docx(),
        "word/document.xml",
        lambda xml: with_entity(xml, LAUGHS, "&l11;") + " " * (80 << 20),
        zipfile.ZIP_DEFLATED,
    )
    head = b"Subject: Tides\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nThe moon pulls.\r\n"
    part = b"--b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=a.docx\r\n"
    mail = head + (part + b"Content-Transfer-Encoding: base64\r\n\r\n" + base64(bomb) + b"\r\n") * 5 + b"--b--\r\n"
    text = await text_of(pool, mail, "a.eml")
    assert "The moon pulls." in text
    assert "hahahaha" not in text


def base64(data: bytes) -> bytes:
    return b"\r\n".join(binascii.b2a_base64(data[at : at + 57], newline=False) for at in range(0, len(data), 57))
