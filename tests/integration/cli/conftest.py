"""A fake fleet: a real HTTP server in a thread with just enough behaviour for the commands."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from typer.testing import CliRunner, Result

from argosy.cli.main import app
from argosy.contracts import proof
from argosy.contracts.errors import ArgosyError, ErrorResponse

Invoke = Callable[..., Result]

VIEW = {
    "version": 1,
    "bytes": 4,
    "pages": None,
    "title": None,
    "content_type": "text/plain",
    "created_at": 0.0,
    "updated_at": 0.0,
}


def refusal(error: ArgosyError) -> web.Response:
    headers = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
    return web.Response(
        status=error.status,
        body=msgspec.json.encode(ErrorResponse(error.body("r-1"))),
        content_type="application/json",
        headers=headers,
    )


@dataclass
class FakeFleet:
    """Fake fleet that gives the configured `answers` and records requests."""

    url: str = ""
    token: str = "a5" * 32
    answers: dict[str, list[Any]] = field(default_factory=dict)
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    uploads: list[dict[str, list[Any]]] = field(default_factory=list)
    refuse_upload: Callable[[list[str]], ArgosyError | None] = lambda names: None
    failing: frozenset[str] = frozenset()
    polls_until_done: int = 1
    polls: dict[str, int] = field(default_factory=dict)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def answer(self, method: str, path: str, *answers: Any) -> None:
        """Configure answers: each is given once, the last one from then on."""
        self.answers[f"{method} {path}"] = list(answers)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if request.path == proof.PATH:
            return web.Response(text=proof.proof(self.token, request.query["nonce"], "127.0.0.1", self.port))
        self.seen.append((request.method, request.raw_path, dict(request.headers)))
        if request.path == "/v1/documents" and request.method == "POST":
            return await self._upload(request)
        if request.path.startswith("/v1/batches/"):
            return self._batch(request.path.rpartition("/")[2])
        if request.can_read_body:
            self.bodies.append(await request.json())
        known = self.answers.get(f"{request.method} {request.path}")
        assert known, f"no answer for {request.method} {request.path}"
        given = known.pop(0) if len(known) > 1 else known[0]
        if isinstance(given, ArgosyError):
            return refusal(given)
        if isinstance(given, bytes):
            return web.Response(body=given, content_type="text/event-stream")
        return web.json_response(given)

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        files: list[Any] = form.getall("files")
        names = [file.filename for file in files]
        error = self.refuse_upload(names)
        if error is not None:
            return refusal(error)
        self.uploads.append(
            {
                "names": names,
                "sources": list(form.getall("sources")),
                "collection": list(form.getall("collection", [])),
                "data": [file.file.read() for file in files],
            }
        )
        documents = [{"id": f"id-{name}", "name": name, "status": "queued"} for name in names]
        batch = {"batch_id": str(len(self.uploads) - 1), "documents": documents}
        return web.json_response({**batch, "queue_position": 0, "estimated_seconds": None}, status=202)

    def _batch(self, batch_id: str) -> web.Response:
        self.polls[batch_id] = self.polls.get(batch_id, 0) + 1
        done = self.polls[batch_id] > self.polls_until_done
        upload = self.uploads[int(batch_id)]
        documents = [
            {
                **VIEW,
                "id": f"id-{name}",
                "collection": next(iter(upload["collection"]), "default"),
                "name": name,
                "source": source,
                "status": "queued" if not done else "failed" if name in self.failing else "indexed",
                "stage": None,
                "attempts": 1,
                "chunks": None,
                "error": {"code": "no_text", "detail": f"{name} holds no text."} if name in self.failing else None,
            }
            for name, source in zip(upload["names"], upload["sources"], strict=True)
        ]
        states = [document["status"] for document in documents]
        return web.json_response(
            {
                "id": batch_id,
                "total": len(documents),
                "counts": {state: states.count(state) for state in set(states)},
                "progress": 1.0 if done else 0.0,
                "done": done,
                "eta_s": None,
                "documents": documents,
            }
        )


@pytest.fixture
def fleet() -> Iterator[FakeFleet]:
    fake = FakeFleet()
    loop = asyncio.new_event_loop()
    started = threading.Event()
    stop = asyncio.Event()

    async def serve() -> None:
        server = web.Application(client_max_size=2**26)
        server.router.add_route("*", "/{path:.*}", fake.serve)
        runner = web.AppRunner(server, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        started.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert started.wait(10)
    yield fake
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


@pytest.fixture
def nobody() -> Iterator[str]:
    """Yield an address where nothing listens and nothing else can start to listen."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@pytest.fixture
def argosy(fleet: FakeFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Return a function that runs a command on the fake fleet, in an empty folder, without the caller's variables."""
    for name in [name for name in os.environ if name.startswith("ARGOSY_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    addresses = {"ARGOSY_URL": fleet.url, "ARGOSY_ADMIN_URL": fleet.url}

    def invoke(*arguments: str, stdin: bytes | None = None, env: dict[str, str] | None = None) -> Result:
        return CliRunner(env={**addresses, **(env or {})}).invoke(app, list(arguments), input=stdin)

    return invoke
