"""The hash and the format of a document are determined once, when it arrives."""

from __future__ import annotations

from pathlib import Path

import pytest

from argosy.contracts.codec import JSON
from argosy.services.documents.catalog import uploads
from argosy.services.documents.parsing import pool as parser_pool
from argosy.services.documents.parsing.formats import Format, detect
from argosy.services.documents.parsing.parsed import ParsedDocument
from argosy.services.documents.parsing.parser_child import ParseReply, ParseRequest
from argosy.services.documents.records import blobs
from tests.asgi import Answer, call
from tests.kits import FLEET_HEADERS
from tests.security.documents import documents_service

pytestmark = pytest.mark.integration

FILES = [(f"{n}.txt", f"Tide table number {n}.".encode()) for n in range(3)]
PARTS = [
    f'--b\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode() + data + b"\r\n"
    for name, data in FILES
]


async def test_an_uploads_content_is_hashed_once_and_kept_under_that_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[bytes] = []
    compute = blobs.content_hash

    def counted(data: bytes) -> str:
        hashed.append(data)
        return compute(data)

    monkeypatch.setattr(blobs, "content_hash", counted)
    monkeypatch.setattr(uploads, "content_hash", counted)

    async with documents_service(tmp_path) as service:
        answers: list[Answer] = [
            await call(
                service.app,
                "POST",
                "/documents",
                body=b"".join(PARTS) + b"--b--\r\n",
                headers={**FLEET_HEADERS, "content-type": "multipart/form-data; boundary=b"},
            ),
            await call(
                service.app,
                "POST",
                "/documents",
                body=b'{"documents": [{"text": "High water at noon."}]}',
                headers={**FLEET_HEADERS, "content-type": JSON},
            ),
        ]

    contents = [*(data for _, data in FILES), b"High water at noon."]
    assert [answer.status for answer in answers] == [202, 202]
    assert sorted(data for data in hashed if data in contents) == sorted(contents)
    kept = blobs.BlobStore(tmp_path / "blobs")
    assert [kept.get(compute(data), verified=True) for data in contents] == contents


@pytest.mark.parametrize(
    ("content_type", "name", "read_as", "looks"),
    [
        (Format.TEXT.value, "a.txt", Format.TEXT, 0),
        (Format.HTML.value, "page", Format.HTML, 0),
        (Format.MARKDOWN.value, "text-1", Format.MARKDOWN, 1),
        (Format.MARKDOWN.value, "page.html", Format.HTML, 1),
        ("application/x-unknown", "a.csv", Format.CSV, 1),
        (None, "a.csv", Format.CSV, 1),
    ],
)
async def test_the_format_that_an_upload_was_accepted_with_is_not_detected_again(
    monkeypatch: pytest.MonkeyPatch, content_type: str | None, name: str, read_as: Format, looks: int
) -> None:
    looked: list[str] = []

    def counted(data: bytes, name: str, declared: str | None = None) -> Format:
        looked.append(name)
        return detect(data, name, declared)

    asked: list[ParseRequest] = []

    async def ask(self: parser_pool.ParserPool, request: ParseRequest, on_progress: object) -> ParseReply:
        asked.append(request)
        return ParseReply(ParsedDocument("text", request.content_type))

    monkeypatch.setattr("argosy.services.documents.parsing.pool.detect", counted)
    monkeypatch.setattr(parser_pool.ParserPool, "_ask", ask)

    await parser_pool.ParserPool(1).parse(b"tide,hour\n1,2\n", name, 5.0, content_type)

    assert [request.content_type for request in asked] == [read_as]
    assert len(looked) == looks
