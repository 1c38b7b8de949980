"""Harbours: documents of many small chunks that change during failures, compared with the result of a calm run."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.chaos.fleet import ChaosFleet
from tests.e2e.fleet import lives, until
from tests.e2e.wire import Part, multipart

SOAK = bool(os.environ.get("ARGOSY_SOAK"))
ROUNDS = 50 if SOAK else 3
LIMIT_S = 7200 if SOAK else 300
DOCUMENTS = 64
SECTIONS = 12
MOMENTS = (0.0, 0.7)
"""Range of the share of finished documents at which a failure happens."""
SETTINGS = """
[fleet]
probe_interval_s = 0.5
[services.documents]
database = "{database}"
lease_s = 2
workers = 2
chunk_tokens = 24
"""
PARSER = "argosy.services.documents.parsing.parser_child"


def text(number: int, version: int) -> str:
    """Return a text of many chunks, each of which holds the word `harbour` and its version."""
    parts = (
        f"<h2>Berth {n}</h2><p>In harbour {number} of plan {version} berth {n} is {10 * n + version} metres long.</p>"
        for n in range(SECTIONS + number % 5 + version)
    )
    return f"<!doctype html><html><body><h1>Harbour {number}</h1>{''.join(parts)}</body></html>"


def name(number: int) -> str:
    return f"harbour-{number}.{'html' if number % 2 else 'txt'}"


@dataclass
class Harbours(ChaosFleet):
    """A fleet with harbours. `expected` is the result of an uninterrupted run."""

    expected: dict[str, list[tuple[int, int, str]]] = field(default_factory=dict)
    batches: tuple[str, ...] = ()
    met_work: int = 0
    """Number of failures that happened while work was left."""

    def send_plan(self, collection: str, version: int, which: range) -> str:
        """Send documents until they are accepted, whatever is dead meanwhile. Returns: the batch."""
        files = [Part(name(number), text(number, version).encode()) for number in which]
        headers, body = multipart(files, collection=collection)

        def accepted() -> str | None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                answer = self.call("POST", "/v1/documents", body=body, headers=headers)
                assert answer.status == 202 or answer.status >= 500, answer.body
                if answer.status == 202:
                    return str(answer.json()["batch_id"])
            return None

        return until(accepted, "the upload to be accepted")

    def wait(self, batch: str) -> dict[str, Any]:
        """Wait until the batch is done and return it. Its progress must not fall."""
        best = 0.0

        def done() -> dict[str, Any] | None:
            nonlocal best
            with contextlib.suppress(OSError, http.client.HTTPException):
                answer = self.call("GET", f"/v1/batches/{batch}?wait_s=2")
                if answer.status == 200:
                    view = dict(answer.json())
                    assert view["progress"] >= best
                    assert sum(view["counts"].values()) == view["total"]
                    best = view["progress"]
                    return view if view["done"] else None
            return None

        return until(done, f"batch {batch} to be done", within_s=120.0)

    def chunks(self, collection: str) -> dict[str, list[tuple[int, int, str]]]:
        """Return the chunks of each document in order, as a search finds them."""
        found = {}
        for number in range(DOCUMENTS):
            message = {"query": "harbour", "mode": "lexical", "top_k": 50, "filters": {"name": name(number)}}
            answer = self.call("POST", "/v1/search", {**message, "collection": collection})
            assert answer.status == 200, answer.body
            found[name(number)] = sorted((hit["start"], hit["end"], hit["text"]) for hit in answer.json()["results"])
        return found

    def fill(self, collection: str, interrupt: Callable[[], None] = lambda: None) -> None:
        """Send version 1 of all harbours and version 2 of every third, with an interruption meanwhile."""
        first = self.send_plan(collection, 1, range(DOCUMENTS))
        if not self.expected:
            self.wait(first)
        second = self.send_plan(collection, 2, range(0, DOCUMENTS, 3))
        self.batches = (first, second)
        interrupt()
        for batch in self.batches:
            view = self.wait(batch)
            assert view["counts"]["indexed"] == view["total"], view

    def pause(self, draw: random.Random) -> None:
        """Wait until a random share of the documents has finished, the random moment of these tests.

        If the fleet is dead and cannot report its progress, return at once.
        """
        share = draw.uniform(*MOMENTS)
        until(lambda: (ended := self._ended()) is None or ended >= share, "a share of the batches to be done")
        ended = self._ended()
        self.met_work += ended is not None and ended < 1.0

    def _ended(self) -> float | None:
        """Return the share of the last two batches that is done."""
        done = total = 0
        for batch in self.batches:
            try:
                answer = self.call("GET", f"/v1/batches/{batch}")
            except (OSError, http.client.HTTPException):
                return None
            if answer.status != 200:
                return None
            view = answer.json()
            total += view["total"]
            done += view["counts"].get("indexed", 0)
        return done / total

    def kill_pid(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def strike(self, victim: str) -> None:
        """Kill the victim now, without waiting for the effect. A victim that is already dead stays dead."""
        pids = self.pids()
        if victim == "everything":
            self.kill_controller(*(replica for replica, pid in pids.items() if lives(pid)))
            self.start()
        elif victim == "parser":
            for child in self.parsers():
                self.kill_pid(child)
        elif victim in pids:
            self.kill_pid(pids[victim])

    def parsers(self) -> list[int]:
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                if PARSER in process.cmdline():
                    found.append(process.pid)
        return found


def started(
    home: Path, environ: dict[str, str], database: str = "sqlite", more: str = "", data_dir: Path | None = None
) -> Iterator[Harbours]:
    """Start a fleet and make a calm run. `more` are settings of the documents service."""
    fleet = Harbours(data_dir or home / "data", home, environ, settings=SETTINGS.format(database=database) + more)
    fleet.write()
    try:
        fleet.start().ok()
        fleet.fill("calm")
        fleet.expected = fleet.chunks("calm")
        assert all(len(chunks) > SECTIONS for chunks in fleet.expected.values())
        yield fleet
        assert fleet.met_work, "every fault came when all was done: nothing was tested"
        fleet.down()
    finally:
        fleet.end()
