"""A local server that behaves like the OpenAI API, correctly or with a chosen fault."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

WORDS = ["The ", "tide ", "turns ", "[1", "]", ", ", "twice [3][9]."]


@dataclass
class Endpoint:
    """Fake OpenAI endpoint. `behaviour` is ok, a status to answer with, or the name of a fault (see `chat`)."""

    behaviour: str = "ok"
    retry_after: str | None = None
    words: list[str] = field(default_factory=lambda: list(WORDS))
    asked: list[dict[str, Any]] = field(default_factory=list)
    authorization: list[str | None] = field(default_factory=list)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def chat(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(await request.json())
        self.authorization.append(request.headers.get("authorization"))
        if self.behaviour.isdigit():
            headers = {"location": "/v1/elsewhere"} if self.behaviour == "302" else {}
            if self.retry_after:
                headers["retry-after"] = self.retry_after
            body = {"error": {"message": "secret detail", "type": "x"}}
            return web.json_response(body, status=int(self.behaviour), headers=headers)
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b": a comment\n\n")
        await self._say(response, {"delta": {"role": "assistant", "content": ""}, "finish_reason": None})
        if self.behaviour == "break_at_once":
            _cut(request)
            return response
        if self.behaviour == "nonsense":
            await response.write(b"data: {not json\n\n")
            return response
        if self.behaviour == "slow":
            await self._wait_for_hang_up(response)
            return response
        for n, word in enumerate([] if self.behaviour == "silent" else self.words):
            await self._say(response, {"delta": {"content": word}, "finish_reason": None})
            if n == 2 and self.behaviour == "break":
                _cut(request)
                return response
            if n == 2 and self.behaviour == "error_event":
                await response.write(b'data: {"error": {"message": "overloaded"}}\n\n')
                return response
            if n == 2 and self.behaviour == "stall":
                await self._wait_for_hang_up(response)
                return response
        if self.behaviour == "no_finish":
            return response
        await self._say(response, {"delta": {}, "finish_reason": "stop"})
        usage = {"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 7}}
        await response.write(f"data: {json.dumps(usage)}\n\n".encode())
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _say(self, response: web.StreamResponse, choice: dict[str, object]) -> None:
        chunk = {"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0, **choice}], "usage": None}
        data = f"data: {json.dumps(chunk)}\n\n".encode()
        await response.write(data[:20])
        await response.write(data[20:])

    async def _wait_for_hang_up(self, response: web.StreamResponse) -> None:
        try:
            while True:
                await asyncio.sleep(0.02)
                await response.write(b": still here\n\n")
        except (ConnectionError, asyncio.CancelledError):
            self.hung_up.set()


def _cut(request: web.Request) -> None:
    assert request.transport is not None
    request.transport.abort()


@asynccontextmanager
async def running() -> AsyncIterator[Endpoint]:
    endpoint = Endpoint()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", endpoint.chat)
    app.router.add_post("/{proxied:.*}", endpoint.chat)
    runner = web.AppRunner(app, shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    endpoint.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield endpoint
    finally:
        await runner.cleanup()
