"""Hostile uploads that try to stop the service."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import struct
import time
import zipfile
from collections.abc import AsyncIterator, Awaitable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import TypeVar

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from argosy.contracts.errors import OversizedDocument
from argosy.services.documents.app import DocumentsService
from argosy.services.documents.catalog.json_count import holds_more_values
from argosy.services.documents.catalog.upload_space import MEMORY_BYTES, SpooledUpload, UploadSpace
from argosy.services.documents.parsing.archives import MAX_MEMBERS, members_of
from argosy.serving.middleware import IncomingBody
from tests.asgi import Answer, call
from tests.kits import FLEET_HEADERS
from tests.security.documents import documents_service

pytestmark = pytest.mark.security

T = TypeVar("T")
MIB = 2**20
LONGEST_PAUSE_S = 2.0
"""Longest allowed block of the event loop; the attacks blocked it for a minute."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DocumentsService]:
    async with documents_service(tmp_path_factory.mktemp("data"), max_receiving_bytes=8 * MIB) as service:
        yield service


def part(name: str, value: bytes, file_name: str | None = None) -> bytes:
    file = "" if file_name is None else f'; filename="{file_name}"'
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + value + b"\r\n"


FILE = part("files", b"Tides are caused by the moon.", "a.txt")


async def send(
    service: DocumentsService, body: bytes | Iterable[bytes], kind: str = "multipart/form-data; boundary=b"
) -> Answer:
    return await call(service.app, "POST", "/documents", body=body, headers={**FLEET_HEADERS, "content-type": kind})


async def longest_pause_s(work: Awaitable[T]) -> tuple[T, float]:
    """Return the result of the work and the longest time that it blocked the event loop, in CPU seconds."""
    longest_s = 0.0

    async def watch() -> None:
        nonlocal longest_s
        while True:
            before_s = time.thread_time()
            await asyncio.sleep(0)
            longest_s = max(longest_s, time.thread_time() - before_s)

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0)
    try:
        return await work, longest_s
    finally:
        watching.cancel()


@pytest.mark.parametrize("charset", ["punycode", '"PUNYCODE"', "idna", "unicode_escape", "utf-7", "utf-16", "latin-1"])
@pytest.mark.asyncio(loop_scope="module")
async def test_a_body_in_another_charset_than_utf_8_is_refused(service: DocumentsService, charset: str) -> None:
    body = part("metadata", b"abcdefgh" * 16_384) + FILE + b"--b--\r\n"
    answer, pause_s = await longest_pause_s(send(service, body, f"multipart/form-data; charset={charset}; boundary=b"))
    assert answer.status == 400
    assert "utf-8" in str(answer.error()["message"])
    assert pause_s < LONGEST_PAUSE_S


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8"])
@pytest.mark.asyncio(loop_scope="module")
async def test_a_body_that_says_it_is_utf_8_is_accepted(service: DocumentsService, charset: str) -> None:
    answer = await send(service, FILE + b"--b--\r\n", f"multipart/form-data; charset={charset}; boundary=b")
    assert answer.status == 202


TEN_THOUSAND = b"x" * 10_000


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (part("sources", TEN_THOUSAND), "sources has more than"),
        (part("metadata", b"x" * MIB), "metadata has more than"),
        (part("group", b"x" * 2000), "group has more than"),
        (part("collection", b"x" * 2000), "collection has more than"),
        (part("collection", b"\xff"), "collection is not UTF-8"),
        (part("sources", b"x") * 1000, "fields besides its files"),
        (part("other", b"x"), 'Unknown form field "other"'),
        (part("x" * 10_000, b"x"), "multipart body cannot be read"),
        (b"--b\r\n" + b"X: y\r\n" * 1000 + b"\r\n\r\n", "multipart body cannot be read"),
        (b"--b\r\nContent-Disposition: form-data; name=files; filename=\xff.txt\r\n\r\nx\r\n", "files[0] is not UTF-8"),
        (b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n", "has no name"),
        (FILE, "ends before its last boundary"),
        (FILE * 65, "more than 64 documents"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.asyncio(loop_scope="module")
async def test_a_part_is_bounded_and_its_refusal_names_the_limit(
    service: DocumentsService, body: bytes, words: str
) -> None:
    answer = await send(service, body + (b"" if body == FILE else b"--b--\r\n"))
    assert answer.status in (400, 413)
    assert words in str(answer.error()["message"])
    assert service.spool.used_bytes == 0


@pytest.mark.asyncio(loop_scope="module")
async def test_the_type_of_a_body_is_bounded(service: DocumentsService) -> None:
    kind = 'multipart/form-data; boundary=b; x="' + ";" * 60_000 + '"'
    answer, pause_s = await longest_pause_s(send(service, FILE + b"--b--\r\n", kind))
    assert answer.status == 400
    assert "Content-Type" in str(answer.error()["message"])
    assert pause_s < LONGEST_PAUSE_S


@pytest.mark.asyncio(loop_scope="module")
async def test_a_body_of_a_million_documents_is_refused_before_any_is_made(service: DocumentsService) -> None:
    body = b'{"documents":[' + b'{"text":""},' * 600_000 + b'{"text":""}]}'
    began_s = time.process_time()
    answer, pause_s = await longest_pause_s(send(service, body, "application/json"))
    assert answer.status == 413
    assert "max_files_per_request" in str(answer.error()["message"])
    assert pause_s < LONGEST_PAUSE_S
    assert time.process_time() - began_s < LONGEST_PAUSE_S


@pytest.mark.parametrize("path", ["/documents/refused", "/collections"])
@pytest.mark.asyncio(loop_scope="module")
async def test_a_body_that_is_small_by_its_nature_has_a_small_limit(service: DocumentsService, path: str) -> None:
    body = b'{"name":"' + b"x" * 5 * MIB + b'"}'
    headers = {**FLEET_HEADERS, "content-type": "application/json"}
    answer = await call(service.app, "POST", path, body=body, headers=headers)
    assert answer.status == 413


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    ),
    st.booleans(),
)
def test_the_values_of_any_json_are_counted(value: object, escaped: bool) -> None:
    text = json.dumps(value, ensure_ascii=escaped)
    assert not holds_more_values(text.encode("utf-8", "replace"), marks(value))
    assert holds_more_values(text.encode("utf-8", "replace"), marks(value) - 1)


def marks(value: object) -> int:
    """Return the number of strings, commas, colons and opening brackets in the JSON of a value."""
    if isinstance(value, str):
        return 1
    if isinstance(value, list):
        return 1 + max(0, len(value) - 1) + sum(map(marks, value))
    if isinstance(value, dict):
        return 1 + max(0, len(value) - 1) + sum(2 + marks(inner) for inner in value.values())
    return 0


def test_a_string_is_followed_over_the_pieces_in_which_it_is_looked_at() -> None:
    for odd in range(3):
        body = b'["' + b"x" * (MIB - odd) + b'\\"' * MIB + b'",1]'
        assert holds_more_values(body, 2)
        assert not holds_more_values(body, 3)


def office_file(members: int) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for number in range(members):
            archive.writestr(f"{number}", b"")
    return held.getvalue()


def with_directory_in_zip64(data: bytes) -> bytes:
    """Return the container with its size and number of members in the ZIP64 record only; the old record says one."""
    end = data.rindex(b"PK\x05\x06")
    members, size, offset = struct.unpack_from("<HII", data, end + 10)
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, members, members, size, offset)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    old = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, 46, 0, 0)
    return data[:end] + record + locator + old


def with_one_member_claimed(data: bytes) -> bytes:
    end = data.rindex(b"PK\x05\x06")
    return data[: end + 8] + struct.pack("<HH", 1, 1) + data[end + 12 :]


@pytest.mark.parametrize("disguise", [bytes, with_directory_in_zip64, with_one_member_claimed])
def test_a_container_of_too_many_members_is_refused_before_they_are_read(
    monkeypatch: pytest.MonkeyPatch, disguise: type[bytes]
) -> None:
    honest = disguise(office_file(50))
    assert len(members_of(honest, "a.docx")) == 50
    hostile = disguise(office_file(MAX_MEMBERS + 1))
    monkeypatch.setattr(zipfile, "ZipFile", None)
    with pytest.raises(OversizedDocument, match=f"more than {MAX_MEMBERS} files"):
        members_of(hostile, "a.docx")


@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_being_received_is_on_disk_without_a_name(tmp_path: Path) -> None:
    spool = UploadSpace(tmp_path / "uploads", 64 * MIB)
    spool.prepare()
    data = os.urandom(4 * MIB)
    with SpooledUpload(spool) as spooled:
        for at in range(0, len(data), 65_536):
            await spooled.add(data[at : at + 65_536])
            assert spooled.in_memory_bytes <= MEMORY_BYTES
        assert spool.used_bytes == len(data)
        assert list((tmp_path / "uploads").iterdir()) == []  # no file can be left behind, however the process ends
        assert (tmp_path / "uploads").stat().st_mode & 0o777 == 0o700
        assert spooled.read(0, len(data)) == data
        assert spooled.read(MIB + 1, MIB + 5) == data[MIB + 1 : MIB + 5]
        assert spooled.append(b"more") == (len(data), len(data) + 4)
        assert spooled.read(len(data) - 1, len(data) + 4) == data[-1:] + b"more"
    assert spool.used_bytes == 0
    with pytest.raises(ValueError, match="over"):
        spooled.read(0, 1)


def test_leftovers_of_a_process_that_was_killed_are_removed_at_the_next_start(tmp_path: Path) -> None:
    left = tmp_path / "uploads" / "tmpleft"
    left.parent.mkdir()
    left.write_bytes(b"secret")
    os.utime(left, (0, 0))
    UploadSpace(tmp_path / "uploads", MIB).prepare()
    assert not left.exists()


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=b", "application/json"])
@pytest.mark.asyncio(loop_scope="module")
async def test_uploads_being_received_are_bounded_in_total(service: DocumentsService, kind: str) -> None:
    large = b"Tides. " * 300_000
    body = part("files", large, "a.txt") + b"--b--\r\n"
    if kind == "application/json":
        body = json.dumps({"documents": [{"text": large.decode()}]}).encode()
    with SpooledUpload(service.spool) as other:
        await other.add(b"x" * 7 * MIB)
        for sent in (body, [body[at : at + 65_536] for at in range(0, len(body), 65_536)]):
            answer = await send(service, sent, kind)
            assert answer.status == 429
            assert int(answer.headers["retry-after"]) >= 1
            assert "max_receiving_bytes" in str(answer.error()["message"])
            assert service.spool.used_bytes == 7 * MIB
    answer = await send(service, body, kind)
    assert answer.status == 202
    assert service.spool.used_bytes == 0


@pytest.mark.asyncio(loop_scope="module")
async def test_a_refused_upload_holds_nothing_while_the_rest_of_it_is_read(
    service: DocumentsService, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []

    async def drain(body: IncomingBody) -> None:
        held.append(service.spool.used_bytes)

    monkeypatch.setattr(IncomingBody, "drain", drain)
    body = part("files", b"Tides. " * 300_000, "a.txt") + part("other", b"x") + b"--b--\r\n"
    assert (await send(service, body)).status == 400
    assert held == [0]


@pytest.mark.asyncio(loop_scope="module")
async def test_an_upload_that_would_fill_the_disk_is_refused(
    service: DocumentsService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=16 * MIB + 100_000))
    body = part("files", b"Tides. " * 300_000, "a.txt") + b"--b--\r\n"
    for sent in (body, [body]):
        answer = await send(service, sent)
        assert answer.status == 507
        assert service.spool.used_bytes == 0


@pytest.mark.asyncio(loop_scope="module")
async def test_large_files_are_taken_whole(service: DocumentsService) -> None:
    texts = [f"Tide {n}. ".encode() * 60_000 for n in range(3)]
    body = b"".join(part("files", text, f"{n}.txt") for n, text in enumerate(texts)) + b"--b--\r\n"
    answer, pause_s = await longest_pause_s(
        send(service, [body[at : at + 50_000] for at in range(0, len(body), 50_000)])
    )
    assert answer.status == 202
    assert pause_s < LONGEST_PAUSE_S
    kept = [path.read_bytes() for path in service.folder.joinpath("blobs").rglob("*") if path.is_file()]
    assert set(texts) <= set(kept)
