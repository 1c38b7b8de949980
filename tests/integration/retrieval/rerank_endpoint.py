"""A local server with the rerank APIs of Cohere, Jina and text-embeddings-inference, correct or with a chosen fault."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

SECRET = "secret detail of the endpoint"


@dataclass
class Endpoint:
    """Fake endpoint: a text's score is its share of the letter `x`. `behaviour` is ok, a status, or a fault."""

    behaviour: str = "ok"
    retry_after: str | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    authorization: list[str | None] = field(default_factory=list)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def rerank(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        self.asked.append(asked)
        self.paths.append(request.path)
        self.authorization.append(request.headers.get("authorization"))
        if self.behaviour.isdigit():
            headers = {"retry-after": self.retry_after} if self.retry_after else {}
            if self.behaviour == "302":
                headers["location"] = "/elsewhere"
            return web.json_response({"message": SECRET}, status=int(self.behaviour), headers=headers)
        if self.behaviour == "slow":
            await self.released.wait()
        if self.behaviour == "breaks off":
            response = web.StreamResponse(headers={"content-length": "1000", "content-type": "application/json"})
            await response.prepare(request)
            await response.write(b'{"results": [')
            assert request.transport is not None
            request.transport.abort()
            return response
        if self.behaviour == "page":
            return web.Response(text="<html>" + SECRET, content_type="text/html")
        texts = asked.get("documents", asked.get("texts"))
        scores = [(row, text.count("x") / len(text)) for row, text in enumerate(texts)]
        ranked = self.faulty(sorted(scores, key=lambda one: -one[1]))
        if request.path == "/rerank":
            return web.json_response([{"index": row, "score": score} for row, score in ranked])
        results = [{"index": row, "relevance_score": score} for row, score in ranked]
        if request.path == "/v2/rerank":
            return web.json_response({"id": "1", "results": results, "meta": {"billed_units": {"search_units": 1}}})
        return web.json_response({"model": asked["model"], "results": results, "usage": {"total_tokens": 42}})

    def faulty(self, ranked: list[tuple[int, float]]) -> list[tuple[int, Any]]:
        """Return the ranking with the fault of the behaviour in it."""
        (row, score), rest = ranked[0], ranked[1:]
        faults: dict[str, list[tuple[int, Any]]] = {
            "partial": [*rest],
            "empty": [],
            "twice": [(rest[0][0], score), *rest],
            "beyond": [(99, score), *rest],
            "negative": [(-1, score), *rest],
            "words": [(row, "high"), *rest],
            "nan": [(row, float("nan")), *rest],
            "logits": [(at, 20 * value - 5) for at, value in ranked],
        }
        return faults.get(self.behaviour, [*ranked])


@asynccontextmanager
async def serving() -> AsyncIterator[Endpoint]:
    endpoint = Endpoint()
    app = web.Application()
    for path in ("/rerank", "/v1/rerank", "/v2/rerank"):
        app.router.add_post(path, endpoint.rerank)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    endpoint.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield endpoint
    finally:
        endpoint.released.set()
        await runner.cleanup()
