"""Runs of cases over the public API: each case is searched or asked in a mode, and judged."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from argosy.cli.client.gateway import Api, NoFleet
from argosy.cli.client.replies import Chat, Hit, SearchReply
from argosy.cli.sending.upload import Uploader
from argosy.contracts.errors import ArgosyError, CollectionNotFound
from argosy.contracts.generation import Citation
from argosy.evaluation.cases import Case
from argosy.evaluation.citations import Stored
from argosy.evaluation.judging import (
    Found,
    Judged,
    judge_answer,
    judge_failure,
    judge_ranking,
    judge_search,
    ranking,
)
from argosy.evaluation.results import MAX_ANSWER_CHARS, MAX_RANKED, CaseResult

AT_ONCE = 4
"""Cases in flight. More would only wait, because one machine answers them."""
SEEN_CHUNKS = 50
"""Passages of the ranking that a user gets: a search considers this many, however few it returns."""
DEEP_CHUNKS = 150
"""Passages for the metrics at depth 100. A document counts once, however many of its passages are found."""
CASE_TOP_K = 5
MAX_DEGRADED_ATTEMPTS = 3
MAX_QUERY_CHARS = 1_000

Reply = TypeVar("Reply", Chat, SearchReply)


@dataclass(slots=True)
class Runner:
    """Runner of cases against the collections of a dataset, by group."""

    api: Api
    collections: Sequence[str]
    answers: bool = True
    """Whether answers are asked for, or only rankings measured."""
    rankings: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    """Whole ranking of each case by mode, for run files."""
    _uploader: Uploader = field(init=False)
    _stored: dict[tuple[str, str], list[Stored]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._uploader = Uploader(self.api)

    def run(self, cases: Sequence[Case], mode: str, done: Callable[[int], None]) -> list[CaseResult]:
        """Run all cases in a mode and return their results in order. `done` gets the number of finished cases.

        Raises: NoFleet or CollectionNotFound, which concern all cases. Other errors count against their case.
        """
        results: list[CaseResult] = []
        pool = ThreadPoolExecutor(AT_ONCE)
        try:
            for result in pool.map(lambda case: self._one(case, mode), cases):
                results.append(result)
                done(len(results))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        return results

    def _one(self, case: Case, mode: str) -> CaseResult:
        result = CaseResult(case.id, case.question, {}, case.kind)
        mode = case.mode or mode
        try:
            if case.relevance:
                self._rank(case, mode, result)
            if case.searched:
                self._search(case, mode, result)
            elif case.asks and self.answers:
                self._ask(case, mode, result)
        except (NoFleet, CollectionNotFound):
            raise
        except ArgosyError as error:
            _add(result, judge_failure(case, error.message))
        return result

    def _rank(self, case: Case, mode: str, result: CaseResult) -> None:
        hits = self._hits(case, mode, SEEN_CHUNKS, result)
        if len(hits) == SEEN_CHUNKS:
            # A deeper search may order its first passages differently, because it considers more. Users get the
            # order of the first one; the second one only continues it.
            known = {hit.chunk_id for hit in hits}
            deeper = self._hits(case, mode, DEEP_CHUNKS, result)
            hits += [hit for hit in deeper if hit.chunk_id not in known]
        found = [_found(hit) for hit in hits]
        result.values |= judge_ranking(case, found)
        ranked = ranking(case, found)
        result.found = ranked[:MAX_RANKED]
        with self._lock:
            self.rankings.setdefault(mode, {})[case.id] = ranked

    def _search(self, case: Case, mode: str, result: CaseResult) -> None:
        found = [_found(hit) for hit in self._hits(case, mode, case.top_k or CASE_TOP_K, result)]
        result.found = ranking(case, found)[:MAX_RANKED]
        _add(result, judge_search(case, found))

    def _ask(self, case: Case, mode: str, result: CaseResult) -> None:
        collection = self.collections[case.group]
        messages: list[dict[str, str]] = []
        said = Chat()
        for turn in case.turns:
            messages.append({"role": "user", "content": turn})
            request: dict[str, object] = {"model": f"argosy/{collection}", "messages": messages, "mode": mode}
            if case.top_k is not None:
                request["top_k"] = case.top_k
            said = self._undegraded(lambda request=request: self._chat(request))  # type: ignore[misc]
            messages.append({"role": "assistant", "content": _text(said)})
        citations = said.citations or []
        result.answer = _text(said)[:MAX_ANSWER_CHARS]
        result.cited = [citation.name for citation in citations]
        result.degraded = sorted({*result.degraded, *(said.degraded or [])})
        stored = {citation.document_id: self._around(collection, citation) for citation in citations}
        _add(result, judge_answer(case, _text(said), citations, stored))

    def _hits(self, case: Case, mode: str, top_k: int, result: CaseResult) -> list[Hit]:
        request = {
            "query": case.question,
            "collection": self.collections[case.group],
            "mode": mode,
            "top_k": top_k,
        }
        reply = self._undegraded(lambda: self._searched(request))
        result.degraded = sorted({*result.degraded, *reply.degraded})
        return reply.results

    def _around(self, collection: str, citation: Citation) -> list[Stored]:
        """Return the stored text of the cited document near the quote, as far as passages of it are found."""
        key = collection, citation.document_id
        with self._lock:
            known = self._stored.get(key, [])
        if _covers(known, citation):
            return known
        request: dict[str, object] = {
            "query": citation.quote[:MAX_QUERY_CHARS].strip() or citation.name,
            "collection": collection,
            "mode": "lexical",
            "top_k": SEEN_CHUNKS,
            "filters": {"document_id": citation.document_id},
        }
        found = list(known)
        for mode in ("lexical", "dense"):
            with contextlib.suppress(ArgosyError):
                for hit in self._searched(request | {"mode": mode}).results:
                    if hit.start is not None and hit.end is not None:
                        found.append(Stored(hit.start, hit.end, hit.text))
            if _covers(found, citation):
                break
        found = sorted(set(found), key=lambda part: part.start)
        with self._lock:
            self._stored[key] = sorted({*self._stored.get(key, []), *found}, key=lambda part: part.start)
        return found

    def _undegraded(self, call: Callable[[], Reply]) -> Reply:
        """Repeat a call that a fallback served: a short overload must not change the measured quality."""
        for _ in range(MAX_DEGRADED_ATTEMPTS - 1):
            reply = call()
            if not reply.degraded:
                return reply
        return call()

    def _chat(self, request: dict[str, object]) -> Chat:
        return self._uploader.patiently(lambda: self.api.post("/v1/chat/completions", request).into(Chat))

    def _searched(self, request: dict[str, object]) -> SearchReply:
        return self._uploader.patiently(lambda: self.api.post("/v1/search", request).into(SearchReply))


def trec_lines(rankings: dict[str, list[str]], name: str) -> Iterator[str]:
    """Yield the lines of a TREC run file, whose scores fall with the rank."""
    for query, ranked in rankings.items():
        for rank, document in enumerate(ranked, 1):
            yield f"{query} Q0 {document} {rank} {len(ranked) - rank + 1} {name}\n"


def _found(hit: Hit) -> Found:
    return Found(hit.document_id, hit.name, hit.source, hit.text)


def _covers(stored: Sequence[Stored], citation: Citation) -> bool:
    return any(part.start <= citation.start and citation.end <= part.end for part in stored)


def _text(said: Chat) -> str:
    return (said.choices[0].message.content or "") if said.choices else ""


def _add(result: CaseResult, judged: Judged) -> None:
    result.values |= judged.values
    result.wrong += judged.wrong
