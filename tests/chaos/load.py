"""A steady load that records how every request ended. It is an open loop: a slow fleet gets no fewer requests."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from tests.chaos.library import TUGS
from tests.e2e.fleet import names, until
from tests.e2e.wire import Answer, send

CALLERS = 96
RESETS = (ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected, http.client.IncompleteRead)


@dataclass(frozen=True)
class Outcome:
    """Outcome of a request. `wrong` says what was wrong with the answer; it is empty for a correct one."""

    kind: str
    status: int
    wrong: str
    degraded: frozenset[str]
    resets: int


def search(url: str, name: str) -> Outcome:
    answer, resets = _sent(url, "/v1/search", {"query": f"tug {name}", "top_k": 3})
    if answer.status != 200:
        return _failed("search", answer, resets)
    said = answer.json()
    wrong = "" if f"{name}.md" in names(said["results"]) else f"{name} not found: {answer.body!r}"
    return Outcome("search", 200, wrong, frozenset(said["degraded"]), resets)


def chat(url: str, name: str) -> Outcome:
    answer, resets = _sent(url, "/v1/chat/completions", _question(name))
    if answer.status != 200:
        return _failed("chat", answer, resets)
    said = answer.json()
    content = said["choices"][0]["message"]["content"]
    wrong = "" if TUGS[name] in content else f"{name} not answered: {content}"
    return Outcome("chat", 200, wrong, frozenset(said["degraded"]), resets)


def stream(url: str, name: str) -> Outcome:
    answer, resets = _sent(url, "/v1/chat/completions", {**_question(name), "stream": True})
    if answer.status != 200:
        return _failed("stream", answer, resets)
    *events, end = [line.removeprefix("data: ") for line in answer.body.decode().splitlines() if line]
    if end != "[DONE]":
        return Outcome("stream", 200, f"broke off with {end}", frozenset(), resets)
    chunks = [json.loads(event) for event in events]
    content = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    wrong = "" if TUGS[name] in content else f"{name} not answered: {content}"
    return Outcome("stream", 200, wrong, frozenset(chunks[-1]["degraded"]), resets)


def echo(url: str, name: str) -> Outcome:
    answer, resets = _sent(url, f"/services/echo/say/{name}", None)
    if answer.status != 200:
        return _failed("echo", answer, resets)
    wrong = "" if answer.body.decode().endswith(f"says {name}") else f"echoed {answer.body!r}"
    return Outcome("echo", 200, wrong, frozenset(), resets)


QUERIES = (search, chat, search, stream)
WITH_ECHO = (*QUERIES, echo)


class Load:
    """Load that runs while its context is open; on exit every request has ended."""

    def __init__(
        self, url: str, asks: tuple[Callable[[str, str], Outcome], ...] = QUERIES, rate_per_s: float = 12.0
    ) -> None:
        self.outcomes: list[Outcome] = []
        self._url = url
        self._asks = asks
        self._pause_s = 1 / rate_per_s
        self._callers = ThreadPoolExecutor(CALLERS)
        self._ending = threading.Event()
        self._pacer = threading.Thread(target=self._pace)

    def __enter__(self) -> Load:
        self._pacer.start()
        try:
            self.more(2 * len(self._asks))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._pacer.join()
        self._callers.shutdown()

    def more(self, count: int) -> None:
        """Wait until `count` further requests have ended."""
        aim = len(self.outcomes) + count
        until(lambda: len(self.outcomes) >= aim, f"{aim} requests to end")

    def of(self, kind: str) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.kind == kind]

    def degraded(self) -> set[str]:
        return {missing for outcome in self.outcomes for missing in outcome.degraded}

    def assert_none_failed(self) -> None:
        assert self.outcomes
        assert [outcome for outcome in self.outcomes if outcome.wrong] == []

    def _pace(self) -> None:
        turns = zip(itertools.cycle(self._asks), itertools.cycle(TUGS), strict=False)
        due_s = time.monotonic()
        while not self._ending.wait(max(0.0, due_s - time.monotonic())):
            self._callers.submit(self._ask, *next(turns))
            due_s += self._pause_s

    def _ask(self, ask: Callable[[str, str], Outcome], name: str) -> None:
        try:
            outcome = ask(self._url, name)
        except Exception as error:  # record it: a caller that dies must not look like one that never sent anything
            outcome = Outcome(ask.__name__, 0, f"{type(error).__name__}: {error}", frozenset(), 0)
        self.outcomes.append(outcome)


def _question(name: str) -> dict[str, Any]:
    return {"model": "argosy", "messages": [{"role": "user", "content": f"What colour is the tug {name}?"}]}


def _sent(url: str, path: str, message: Mapping[str, Any] | None) -> tuple[Answer, int]:
    """Send a request; after a connection reset, retry once. Returns: the answer and the number of resets."""
    method = "GET" if message is None else "POST"
    try:
        return send(url, method, path, message), 0
    except RESETS:
        return send(url, method, path, message), 1


def _failed(kind: str, answer: Answer, resets: int) -> Outcome:
    return Outcome(kind, answer.status, answer.body.decode(errors="replace"), frozenset(), resets)
