"""A user's own service. What stands in the file `behave/REPLICA` of its folder makes that replica misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

ME = Path(os.environ.get("ARGOSY_RUN_FILE", "echo-0")).stem

HOARD: list[bytes] = []


def wish() -> str:
    try:
        return (Path("behave") / ME).read_text()
    except FileNotFoundError:
        return ""


async def say(request: Request) -> Response:
    if wish() == "fail":
        return PlainTextResponse("no", 500)
    if wish() == "dawdle":
        await asyncio.sleep(0.4)
    while wish() == "never answer":
        await asyncio.sleep(0.05)
    while wish() == "compute":  # on the event loop, so that probes are not answered either
        sum(range(100_000))
    while wish() == "block":
        time.sleep(0.05)  # noqa: ASYNC251 - this is the mistake to be found
    if wish() == "grow":
        HOARD.append(b"x" * 400_000_000)
    return PlainTextResponse(f"{ME} says {request.path_params['word']}")


@contextlib.asynccontextmanager
async def starting(app: Starlette) -> AsyncIterator[None]:
    while wish() == "start slowly":
        await asyncio.sleep(0.05)
    yield


def create_app() -> Starlette:
    if wish() == "crash":
        raise RuntimeError("the echo is lost")
    return Starlette(routes=[Route("/say/{word}", say)], lifespan=starting)
