"""Local server with OpenAI's embeddings API that can misbehave on command. Its caller blocks, so it uses threads."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from argosy.contracts.embedding import TextKind
from argosy.services.embedding.backends.fake import FakeEngine

SECRET_WORDS = "secret detail of the endpoint"


@dataclass
class Endpoint:
    """Endpoint of the server. Each request consumes one of `behaviours`: ok, a status, or a fault.

    When none is left, requests succeed.
    """

    url: str = ""
    behaviours: list[str] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    authorization: list[str | None] = field(default_factory=list)
    most_texts: int = 10_000
    released: threading.Event = field(default_factory=threading.Event)

    def answer(self, request: dict[str, Any], behaviour: str) -> dict[str, object]:
        texts = request["input"]
        # The vectors do not have unit length and come in reverse, because `index` determines the order of an answer.
        rows = [[3 * number for number in row] for row in FakeEngine().embed(texts, TextKind.PASSAGE).tolist()]
        if behaviour == "nan":
            rows[-1][0] = float("nan")
        if behaviour == "huge":
            rows[-1][0] = 1e300
        if behaviour == "zeros":
            rows[-1] = [0.0] * len(rows[-1])
        if behaviour == "short":
            rows[-1] = rows[-1][:-1]
        if behaviour == "few":
            rows = rows[:-1]
        data = [{"object": "embedding", "index": n, "embedding": row} for n, row in enumerate(rows)]
        if behaviour == "twice":
            data[-1]["index"] = 0
        return {"object": "list", "data": data[::-1], "model": "m", "usage": {"prompt_tokens": 1, "total_tokens": 1}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    endpoint: Endpoint

    def do_POST(self) -> None:
        endpoint = self.endpoint
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        endpoint.asked.append(request)
        endpoint.authorization.append(self.headers.get("authorization"))
        behaviour = endpoint.behaviours.pop(0) if endpoint.behaviours else "ok"
        if len(request["input"]) > endpoint.most_texts or any("refuse me" in text for text in request["input"]):
            behaviour = "413"
        if behaviour == "hang":
            endpoint.released.wait(20)
        if behaviour in ("cut", "hang"):
            self.close_connection = True
            return
        status = int(behaviour) if behaviour.isdigit() else 200
        body = json.dumps(
            {"error": {"message": SECRET_WORDS}} if status != 200 else endpoint.answer(request, behaviour)
        ).encode()
        if behaviour == "nonsense":
            body = b"<html>"
        self.send_response(status)
        if status == 429:
            self.send_header("retry-after", "7")
        if status == 302:
            self.send_header("location", "/v1/elsewhere")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@contextlib.contextmanager
def running() -> Iterator[Endpoint]:
    endpoint = Endpoint()
    handler = type("Handler", (_Handler,), {"endpoint": endpoint})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    endpoint.url = f"http://127.0.0.1:{server.server_port}/v1"
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    serving.start()
    try:
        yield endpoint
    finally:
        endpoint.released.set()
        server.shutdown()
        server.server_close()
        serving.join()
