"""Quality of search on collections in BEIR layout, by the product's chunker, model, store and fusion in one process.

Example: `python -m benchmarks.ranking data/cranfield data/xquad-en`. It prints nDCG@10 with linear gain, recall@10 and
recall@50 of documents for each mode, and the duration of a search in the store. Vectors are cached in `--cache`.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from argosy.config.services import EmbeddingSettings
from argosy.contracts.embedding import EmbedResponse, TextKind
from argosy.contracts.request import RequestContext
from argosy.contracts.retrieval import RetrievalRequest, SearchMode
from argosy.contracts.store import (
    Chunk,
    DocumentFields,
    EnsureCollection,
    PublishRequest,
    StoreSearchRequest,
    StoreSearchResponse,
    UpsertRequest,
)
from argosy.contracts.vectors import EmbeddingEngine
from argosy.services.documents.chunking.packer import ChunkLimits, cut
from argosy.services.documents.chunking.tokenization import ModelTokenizer
from argosy.services.documents.parsing.parsed import ParsedDocument
from argosy.services.embedding.loading import load
from argosy.services.retrieval.engine import RetrievalEngine
from argosy.services.store.engine import StoreEngine
from tests.kits import context

CHUNK_TOKENS = 200
BATCH = 16


@dataclass
class Collection:
    folder: Path
    documents: list[dict[str, str]]
    queries: list[dict[str, str]]
    judged: dict[str, dict[str, int]]

    @classmethod
    def read(cls, folder: Path) -> Collection:
        documents = [json.loads(line) for line in (folder / "corpus.jsonl").read_text().splitlines()]
        queries = [json.loads(line) for line in (folder / "queries.jsonl").read_text().splitlines()]
        judged: dict[str, dict[str, int]] = {}
        for line in (folder / "qrels" / "test.tsv").read_text().splitlines()[1:]:
            query, document, grade = line.split("\t")
            judged.setdefault(query, {})[document] = int(grade)
        kept = [query for query in queries if max(judged.get(str(query["_id"]), {"": 0}).values()) > 0]
        return cls(folder, documents, kept, judged)


class Embedder:
    """Embedder with a cache on disk, in the place of the embedding service."""

    def __init__(self, engine: EmbeddingEngine, cache: Path) -> None:
        self._engine = engine
        self._cache = cache
        cache.mkdir(parents=True, exist_ok=True)

    def vectors(self, texts: list[str], kind: TextKind) -> np.ndarray:
        key = hashlib.sha256(json.dumps([self._engine.info.revision, kind, texts]).encode()).hexdigest()[:24]
        file = self._cache / f"{key}.npy"
        if file.exists():
            found: np.ndarray = np.load(file)
            return found
        order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
        rows = np.zeros((len(texts), self._engine.info.dimensions), np.float32)
        for first in range(0, len(order), BATCH):
            part = order[first : first + BATCH]
            rows[part] = self._engine.embed([texts[at] for at in part], kind)
        np.save(file, rows)
        return rows


class KnownQueries:
    """Embedding client that knows all queries beforehand."""

    def __init__(self, queries: list[str], rows: np.ndarray, engine: EmbeddingEngine) -> None:
        self._rows = dict(zip(queries, rows, strict=True))
        self._info = engine.info

    async def embed(self, texts: Sequence[str], kind: TextKind, context: RequestContext) -> EmbedResponse:
        vectors = np.stack([self._rows[text] for text in texts]).astype("<f4").tobytes()
        return EmbedResponse(self._info.model, self._info.dimensions, vectors, [1], [False], revision="")


class TimedStore:
    def __init__(self, engine: StoreEngine) -> None:
        self._engine = engine
        self.took_ms: list[float] = []

    async def search(self, request: StoreSearchRequest, context: RequestContext) -> StoreSearchResponse:
        began_s = time.process_time()
        answer = self._engine.search(request)
        self.took_ms.append((time.process_time() - began_s) * 1000)
        return answer


def index(engine: StoreEngine, collection: Collection, embedder: Embedder, with_title: bool) -> None:
    tokenizer = ModelTokenizer(EmbeddingSettings())
    engine.ensure(EnsureCollection("c"))
    cut_documents = []
    for document in collection.documents:
        _, drafts = cut(ParsedDocument(document["text"] or " ", "text/plain"), tokenizer, ChunkLimits(CHUNK_TOKENS))
        cut_documents.append((document, drafts))
    texts = [
        f"{document['title']}\n{draft.text}" if with_title and document.get("title") else draft.text
        for document, drafts in cut_documents
        for draft in drafts
    ]
    rows = embedder.vectors(texts, TextKind.PASSAGE)
    at = 0
    began_s = time.process_time()
    for document, drafts in cut_documents:
        if not drafts:
            continue
        fields = DocumentFields(document["_id"], document["_id"], document.get("title") or None)
        chunks = [
            Chunk(str(uuid.uuid4()), str(document["_id"]), 1, d.ordinal, "", "", d.text, d.start, d.end,
                  heading_path=d.heading_path)
            for d in drafts
        ]  # fmt: skip
        part = rows[at : at + len(chunks)]
        at += len(chunks)
        engine.upsert(UpsertRequest("c", "m", rows.shape[1], chunks, part.astype("<f4").tobytes(), 0, fields))
        engine.publish(PublishRequest("c", str(document["_id"]), 1, len(chunks), fields))
    print(f"{len(texts)} chunks, stored in {time.process_time() - began_s:.1f} s of CPU")


async def measure(
    folder: Path, embedder: Embedder, engine: EmbeddingEngine, modes: list[str], with_title: bool
) -> None:
    collection = Collection.read(folder)
    with tempfile.TemporaryDirectory() as data:
        store = StoreEngine(Path(data))
        index(store, collection, embedder, with_title)
        asked = [query["text"] for query in collection.queries]
        known = KnownQueries(asked, embedder.vectors(asked, TextKind.QUERY), engine)
        for mode in modes:
            timed = TimedStore(store)
            retrieval = RetrievalEngine(known, timed, 100, languages=["en"])
            scores = []
            for query in collection.queries:
                answer = await retrieval.search(RetrievalRequest(query["text"], "c", 200, SearchMode(mode)), context())
                ranked = list(dict.fromkeys(passage.chunk.document_id for passage in answer.passages))
                chunks50 = {passage.chunk.document_id for passage in answer.passages[:50]}
                scores.append(_scores(ranked, chunks50, collection.judged[str(query["_id"])]))
            ndcg, recall10, recall50, passages50 = np.mean(scores, axis=0)
            print(
                f"{folder.name:12s} {mode:8s} nDCG@10 {ndcg:.4f}  recall@10 {recall10:.4f}  recall@50 {recall50:.4f}  "
                f"recall in 50 passages {passages50:.4f}  store {np.median(timed.took_ms):.2f} ms CPU"
            )
        store.close()


def _scores(ranked: list[str], passages50: set[str], judged: dict[str, int]) -> tuple[float, float, float, float]:
    gains = [max(0, judged.get(document, 0)) for document in ranked]
    ideal = sorted((grade for grade in judged.values() if grade > 0), reverse=True)
    discounts = 1 / np.log2(np.arange(2, 12))
    ndcg = float(np.dot(gains[:10], discounts[: len(gains[:10])]) / np.dot(ideal[:10], discounts[: len(ideal[:10])]))
    hits = [gain > 0 for gain in gains]
    inside = sum(judged.get(document, 0) > 0 for document in passages50)
    return ndcg, sum(hits[:10]) / len(ideal), sum(hits[:50]) / len(ideal), inside / len(ideal)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--mode", action="append", choices=["hybrid", "dense", "lexical"])
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "ranking-vectors")
    parser.add_argument("--without-title", action="store_true", help="Embed chunks without their document's title.")
    options = parser.parse_args()
    engine = load(EmbeddingSettings(), 1.0, {}).engine
    embedder = Embedder(engine, options.cache)
    for folder in options.folders:
        modes = options.mode or ["hybrid", "lexical", "dense"]
        asyncio.run(measure(folder, embedder, engine, modes, not options.without_title))


if __name__ == "__main__":
    main()
