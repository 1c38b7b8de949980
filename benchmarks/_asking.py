"""Client of a running fleet that adds documents, asks questions as a stream, and searches."""

from __future__ import annotations

import http.client
import json
import mimetypes
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from argosy.contracts.documents import TextDocument
from argosy.contracts.generation import Citation
from benchmarks._answers import Answer, Passage
from benchmarks._processes import fleet_cpu_s, fleet_processes
from benchmarks._running import Afresh, RunningFleet, argosy

UPLOAD_DOCUMENTS = 64
BATCH_WAIT_S = 20
ANSWER_TIMEOUT_S = 120.0
MEDIA_TYPES = {".md": "text/markdown", ".eml": "message/rfc822", ".csv": "text/csv", ".txt": "text/plain"}


class Asking:
    """Caller of one fleet's public API. Every unexpected status ends the benchmark with what was answered."""

    def __init__(self, fleet: RunningFleet) -> None:
        self._fleet = fleet
        self._caller = Afresh(fleet.gateway_url)

    def add_folder(self, folder: Path, collection: str) -> tuple[float, float]:
        """Add the files of a folder with the command line.

        Returns: the seconds until all are indexed, and the processor seconds of the fleet's processes meanwhile.
        """
        data_dir = ("--data-dir", str(self._fleet.data_dir))
        before_s = self._cpu_s()
        wall_s = argosy("add", str(folder), "--wait", "--collection", collection, *data_dir, folder=folder.parent)
        return wall_s, self._cpu_s() - before_s

    def _cpu_s(self) -> float:
        return sum(fleet_cpu_s(fleet_processes(self._fleet.data_dir)).values())

    def add_documents(self, documents: Iterable[TextDocument], collection: str) -> None:
        batches = []
        for part in _parts(documents, UPLOAD_DOCUMENTS):
            message = {"documents": [msgspec.to_builtins(one) for one in part], "collection": collection}
            batches.append(self._accepted(*self._caller.call("POST", "/v1/documents", message)))
        for batch in batches:
            self._wait(batch)

    def add_files(self, files: Sequence[Path], collection: str) -> None:
        edge = uuid.uuid4().hex
        body = b"".join(_form_part(edge, path) for path in files)
        body += f'--{edge}\r\ncontent-disposition: form-data; name="collection"\r\n\r\n{collection}\r\n'.encode()
        body += f"--{edge}--\r\n".encode()
        sent = self._caller.send("POST", "/v1/documents", body, f"multipart/form-data; boundary={edge}")
        self._wait(self._accepted(*sent))

    def answer(self, collection: str, turns: Sequence[str]) -> Answer:
        """Ask each turn after the answers before it and return the last answer."""
        messages: list[dict[str, str]] = []
        answer = Answer("", (), 0.0)
        for turn in turns:
            messages.append({"role": "user", "content": turn})
            answer = self._stream({"model": f"argosy/{collection}", "messages": messages, "stream": True})
            messages.append({"role": "assistant", "content": answer.text})
        return answer

    def passages(self, collection: str, query: str, top_k: int, mode: str = "hybrid") -> list[Passage]:
        found = self.results(collection, query, top_k, mode)
        return [
            Passage(*(result[name] for name in ("document_id", "name", "start", "end", "text"))) for result in found
        ]

    def results(self, collection: str, query: str, top_k: int, mode: str) -> list[dict[str, Any]]:
        """Return the results of a search as the API answers them."""
        message = {"query": query, "collection": collection, "mode": mode, "top_k": top_k}
        status, answer = self._caller.call("POST", "/v1/search", message)
        if status != 200:
            raise SystemExit(f"POST /v1/search answered {status}: {answer}")
        results: list[dict[str, Any]] = answer["results"]
        return results

    def _stream(self, message: dict[str, Any]) -> Answer:
        address = urlsplit(self._fleet.gateway_url)
        assert address.hostname is not None
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=ANSWER_TIMEOUT_S)
        try:
            began_s = time.perf_counter()
            body = json.dumps(message).encode()
            connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
            response = connection.getresponse()
            if response.status != 200:
                raise SystemExit(f"POST /v1/chat/completions answered {response.status}: {response.read()!r}")
            return _read(response, began_s)
        finally:
            connection.close()

    def _accepted(self, status: int, answer: Any) -> str:
        if status != 202:
            raise SystemExit(f"POST /v1/documents answered {status}: {answer}")
        return str(answer["batch_id"])

    def _wait(self, batch_id: str) -> None:
        while not (batch := self._caller.get(f"/v1/batches/{batch_id}?wait_s={BATCH_WAIT_S}"))["done"]:
            pass
        if batch["counts"]["failed"] + batch["counts"]["dead"]:
            failed = [one for one in batch["documents"] if one["status"] in ("failed", "dead")]
            print(f"Documents that could not be read: {failed}")


def _read(lines: Iterable[bytes], began_s: float) -> Answer:
    """Read an answer that arrives as server-sent events."""
    text, first_ms = "", 0.0
    citations: tuple[Citation, ...] = ()
    for line in lines:
        if not line.startswith(b"data: {"):
            continue
        event = json.loads(line[len(b"data: ") :])
        if "error" in event:
            raise SystemExit(f"The answer broke off: {event['error']}")
        citations = tuple(msgspec.convert(event.get("citations") or [], list[Citation])) or citations
        for choice in event["choices"]:
            if piece := choice["delta"].get("content"):
                first_ms = first_ms or 1000 * (time.perf_counter() - began_s)
                text += piece
    return Answer(text, citations, first_ms)


def _form_part(edge: str, path: Path) -> bytes:
    kind = MEDIA_TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    head = f'--{edge}\r\ncontent-disposition: form-data; name="files"; filename="{path.name}"\r\n'
    return f"{head}content-type: {kind}\r\n\r\n".encode() + path.read_bytes() + b"\r\n"


def _parts(documents: Iterable[TextDocument], size: int) -> Iterator[list[TextDocument]]:
    part: list[TextDocument] = []
    for document in documents:
        part.append(document)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part
