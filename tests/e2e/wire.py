"""HTTP requests with any header and any bytes, which ordinary clients refuse to send."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_S = 60.0
BOUNDARY = "an-edge"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def send(
    url: str,
    method: str,
    path: str,
    message: object = None,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Answer:
    """Send one request: `message` as JSON or `body` unchanged. Header names of the answer are in lower case."""
    sent = dict(headers or {})
    if message is not None:
        body = json.dumps(message).encode()
        sent.setdefault("content-type", "application/json")
    host = urlsplit(url).netloc
    with contextlib.closing(http.client.HTTPConnection(host, timeout=TIMEOUT_S)) as connection:
        connection.request(method, path, body, sent)
        response = connection.getresponse()
        given = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, given, response.read())


@dataclass(frozen=True)
class Part:
    """A file of a multipart upload; its name is sent unchanged."""

    name: str
    data: bytes


def multipart(files: Sequence[Part], **fields: str) -> tuple[dict[str, str], bytes]:
    """Return headers and body of an upload."""
    body = b""
    for name, value in fields.items():
        body += f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
    for part in files:
        head = f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="files"; filename="{part.name}"\r\n\r\n'
        body += head.encode() + part.data + b"\r\n"
    return {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}, body + f"--{BOUNDARY}--\r\n".encode()
