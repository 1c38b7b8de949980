"""Custom service whose replicas serve SLOTS requests at a time and wait WORK_S for each: more replicas serve more."""

from __future__ import annotations

import asyncio

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

SLOTS = 4
WORK_S = 0.05


def create_app() -> Starlette:
    free = asyncio.Semaphore(SLOTS)

    async def work(request: Request) -> Response:
        async with free:
            await asyncio.sleep(WORK_S)
        return PlainTextResponse("done")

    return Starlette(routes=[Route("/work", work)])
