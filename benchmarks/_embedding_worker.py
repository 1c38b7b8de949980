"""Worker that runs inside one engine's own environment, by path. It imports Argosy only for the engine `argosy`.

`library ENGINE FOLDER`: reads one list of texts per line from standard input, embeds it on one thread, and answers
seconds; with `"out"` it writes the vectors there. `server FOLDER PORT`: sentence-transformers behind FastAPI, written
in the usual way.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

Encode = Callable[[Sequence[str]], Any]
BATCH_TOKENS = 1024
THREADS = 1


def sentence_transformers(folder: str) -> Encode:
    """Return sentence-transformers with its defaults: torch in fp32, batches of 32, sorted by length."""
    importlib.import_module("torch").set_num_threads(THREADS)
    model = importlib.import_module("sentence_transformers").SentenceTransformer(folder, device="cpu")
    return lambda texts: model.encode(list(texts), show_progress_bar=False)


def argosy(folder: str) -> Encode:
    """Return the engine alone, with batches sorted by length under the default token budget."""
    numpy = importlib.import_module("numpy")
    resolver = importlib.import_module("argosy.models.resolver")
    backend = importlib.import_module("argosy.services.embedding.backends.onnx")
    passage = importlib.import_module("argosy.contracts.embedding").TextKind.PASSAGE
    engine = backend.OnnxEngine(resolver.resolve(folder, fetch=False), threads=THREADS)

    def encode(texts: Sequence[str]) -> Any:
        lengths = engine.count_tokens(texts, passage)
        order = sorted(range(len(texts)), key=lambda index: -lengths[index])
        found = numpy.empty((len(texts), engine.info.dimensions), dtype="float32")
        while order:
            fitting = max(1, BATCH_TOKENS // lengths[order[0]])
            batch, order = order[:fitting], order[fitting:]
            found[batch] = engine.embed([texts[index] for index in batch], passage)
        return found

    return encode


def library(encode: Encode) -> None:
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        began_s, cpu_s = time.perf_counter(), time.process_time()
        vectors = encode(asked["texts"])
        spent = {"wall_s": time.perf_counter() - began_s, "cpu_s": time.process_time() - cpu_s}
        if "out" in asked:
            importlib.import_module("numpy").save(asked["out"], vectors)
        print(json.dumps(spent), flush=True)


def server(folder: str, port: int) -> None:
    base64 = importlib.import_module("base64")
    fastapi = importlib.import_module("fastapi")
    model = importlib.import_module("sentence_transformers").SentenceTransformer(folder, device="cpu")
    app = fastapi.FastAPI()

    async def embeddings(body: dict[str, Any]) -> dict[str, Any]:
        # One text at a time: encoding on a thread per request makes torch's threads compete for the cores.
        vectors = model.encode(body["input"], show_progress_bar=False)
        data = [
            {"object": "embedding", "index": n, "embedding": base64.b64encode(vector.tobytes()).decode()}
            for n, vector in enumerate(vectors)
        ]
        return {"object": "list", "model": body["model"], "data": data}

    app.post("/embeddings")(embeddings)
    importlib.import_module("uvicorn").run(app, host="127.0.0.1", port=port, log_level="warning")


def main() -> None:
    what, *rest = sys.argv[1:]
    if what == "server":
        server(rest[0], int(rest[1]))
    else:
        engine = {"sentence-transformers": sentence_transformers, "argosy": argosy}[rest[0]]
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        library(engine(rest[1]))


if __name__ == "__main__":
    main()
