"""Calls an ASGI app in this process, without sockets: what unit tests of services use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field

import msgspec
from starlette.types import ASGIApp, Message

HOST = "127.0.0.1:8080"


@dataclass(slots=True)
class Answer:
    """Answer of an app. `raised` is the exception that left the app after it began to answer."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=list)
    raised: Exception | None = None

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    def json(self) -> dict[str, object]:
        decoded: dict[str, object] = msgspec.json.decode(self.body, type=dict[str, object])
        return decoded

    def error(self) -> dict[str, object]:
        """Return the object under `error`."""
        return msgspec.convert(self.json()["error"], dict[str, object])


async def call(
    app: ASGIApp,
    method: str,
    path: str,
    *,
    json: object = None,
    body: bytes | Iterable[bytes] | None = None,
    headers: Mapping[str, str] | None = None,
    hang_up_after: int | None = None,
) -> Answer:
    """One request.

    Args:
        json: sent as JSON with its content type and length.
        body: sent as it is; an iterable in that many pieces, without a length.
        hang_up_after: the caller goes away after that many pieces of the answer.
    """
    sent = {"host": HOST}
    if json is not None:
        body = msgspec.json.encode(json)
        sent["content-type"] = "application/json"
    pieces = [body] if isinstance(body, bytes) else list(body or ())
    if isinstance(body, bytes):
        sent["content-length"] = str(len(body))
    elif body is not None:
        sent["transfer-encoding"] = "chunked"
    sent |= headers or {}
    route, _, query = path.partition("?")
    answer = Answer()
    gone = asyncio.Event()
    arriving = _arriving(pieces)

    async def receive() -> Message:
        async for message in arriving:
            return message
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
        elif message.get("body"):
            answer.pieces.append(message["body"])
            if hang_up_after is not None and len(answer.pieces) >= hang_up_after:
                gone.set()
        await asyncio.sleep(0)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": route,
        "raw_path": route.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8080),
    }
    try:
        await app(scope, receive, send)
    except Exception as error:
        answer.raised = error
    return answer


async def _arriving(pieces: list[bytes]) -> AsyncIterator[Message]:
    for n, piece in enumerate(pieces, start=1):
        yield {"type": "http.request", "body": piece, "more_body": n < len(pieces)}
    if not pieces:
        yield {"type": "http.request", "body": b"", "more_body": False}
