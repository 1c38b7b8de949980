"""HTTP as bytes over a socket: for requests that no client library would send."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field

import msgspec
from yarl import URL

ANSWER_S = 20.0
"""Longest wait for an answer; a generous bound, not a measurement."""


@dataclass(slots=True)
class RawAnswer:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def error(self) -> dict[str, object]:
        """Return the object under `error` in the body."""
        decoded = msgspec.json.decode(self.body, type=dict[str, dict[str, object]])
        return decoded["error"]


class RawConnection:
    """One connection, on which any bytes can be sent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *pieces: bytes) -> None:
        """Send the pieces one after the other; stop quietly once the server has closed the connection."""
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                self.writer.write(piece)
                await self.writer.drain()

    async def flooded(self, piece: bytes, most_bytes: int) -> tuple[RawAnswer, int]:
        """Send `piece` again and again until there is an answer. Returns it, and the bytes sent before it came."""
        answer = asyncio.create_task(self.answer())
        sent = 0
        while sent < most_bytes and not answer.done():
            await self.send(piece)
            await asyncio.sleep(0)
            sent += len(piece)
        return await answer, sent

    async def answer(self) -> RawAnswer:
        """Return the next answer, whole. Raises: EOFError, the connection ended without one."""
        async with asyncio.timeout(ANSWER_S):
            try:
                head = await self.reader.readuntil(b"\r\n\r\n")
            except ConnectionError as error:
                raise EOFError from error
            first, *lines = head.decode("latin-1").split("\r\n")[:-2]
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            answer = RawAnswer(int(first.split(" ")[1]), headers)
            if "content-length" in headers:
                answer.body = await self.reader.readexactly(int(headers["content-length"]))
            elif headers.get("transfer-encoding") == "chunked":
                answer.body = await self._chunks()
            return answer

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self.reader.readline(), 16):
            body += await self.reader.readexactly(size)
            await self.reader.readline()
        await self.reader.readline()
        return body

    async def ended(self) -> bool:
        """Wait until the server has ended the connection."""
        async with asyncio.timeout(ANSWER_S):
            with contextlib.suppress(ConnectionError):
                while await self.reader.read(65536):
                    pass
            return True


@contextlib.asynccontextmanager
async def raw(url: str) -> AsyncIterator[RawConnection]:
    """Return a connection to the server at `url`."""
    where = URL(url)
    reader, writer = await asyncio.open_connection(where.host, where.port)
    try:
        yield RawConnection(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def ask(url: str, *pieces: bytes) -> RawAnswer:
    """Return the answer to these bytes on a connection of their own."""
    async with raw(url) as connection:
        await connection.send(*pieces)
        return await connection.answer()


def request(
    target: str = "/", headers: Iterable[str] = (), *, method: str = "GET", host: str | None = "127.0.0.1"
) -> bytes:
    """Return a request's head. Headers are whole lines."""
    lines = [f"{method} {target} HTTP/1.1", *([f"Host: {host}"] if host is not None else []), *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")
