"""Benchmark of the rerank stage: CPU time and latency of a cross-encoder of MiniLM-L6's size.

`python benchmarks/reranking.py` makes a cross-encoder with random weights (the time does not depend on their values)
and the tokenizer of the default model, which must be in the cache. It scores 20 and 50 passages of about 200 tokens
with one thread and with two, and prints a Markdown table of medians. The last column compares the CPU time with that of
embedding the same passages with the default model, measured in turn with it: this ratio holds on a busy machine too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from argosy.contracts.embedding import TextKind
from argosy.contracts.request import Deadline, RequestContext
from argosy.models.catalog import DEFAULT_MODEL
from argosy.models.cross_encoder import CrossEncoder
from argosy.models.resolver import resolve
from argosy.models.sample import PASSAGES
from argosy.services.embedding.backends.onnx import OnnxEngine
from argosy.services.retrieval.reranking.local import LocalReranker

HIDDEN, HEADS, INNER, VOCABULARY, POSITIONS = 384, 12, 1536, 30522, 512
QUERY = "When does the harbour office open on public holidays?"
PASSAGE_TOKENS = 200
EMBEDDED_AT_ONCE = 4


def write_model(folder: Path, layers: int) -> None:
    """Write a cross-encoder with random weights in the layout of sentence-transformers."""
    rng = np.random.default_rng(5)
    tensors: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]] = {}

    def dense(name: str, outputs: int, inputs: int) -> None:
        tensors[f"{name}.weight"] = rng.normal(0, 0.02, (outputs, inputs)).astype(np.float32)
        tensors[f"{name}.bias"] = np.zeros(outputs, np.float32)

    def norm(name: str) -> None:
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = np.ones(HIDDEN, np.float32), np.zeros(HIDDEN, np.float32)

    sizes = (("word", VOCABULARY), ("position", POSITIONS), ("token_type", 2))
    for kind, size in sizes:
        name = f"bert.embeddings.{kind}_embeddings.weight"
        tensors[name] = rng.normal(0, 0.02, (size, HIDDEN)).astype(np.float32)
    norm("bert.embeddings.LayerNorm")
    for layer in (f"bert.encoder.layer.{number}" for number in range(layers)):
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            dense(f"{layer}.attention.{part}", HIDDEN, HIDDEN)
        dense(f"{layer}.intermediate.dense", INNER, HIDDEN)
        dense(f"{layer}.output.dense", HIDDEN, INNER)
        norm(f"{layer}.attention.output.LayerNorm")
        norm(f"{layer}.output.LayerNorm")
    dense("bert.pooler.dense", HIDDEN, HIDDEN)
    dense("classifier", 1, HIDDEN)
    save_file(tensors, folder / "model.safetensors")
    config = {
        "model_type": "bert",
        "hidden_size": HIDDEN,
        "num_hidden_layers": layers,
        "num_attention_heads": HEADS,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": POSITIONS,
        "id2label": {"0": "LABEL_0"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    shutil.copyfile(resolve(DEFAULT_MODEL, fetch=False).path / "tokenizer.json", folder / "tokenizer.json")


def passages(model: CrossEncoder, count: int) -> list[str]:
    """Return passages of about PASSAGE_TOKENS tokens without the query's."""
    rng = random.Random(3)
    own = len(model.read(QUERY, ["x"])[0].ids)
    found = []
    for _ in range(count):
        text = ""
        while len(model.read(QUERY, [text])[0].ids) - own < PASSAGE_TOKENS:
            text += " " + rng.choice(PASSAGES)
        found.append(text)
    return found


def embedding_cpu_ms(engine: OnnxEngine, texts: list[str]) -> float:
    """Return the CPU time of embedding the texts in batches as large as those of the reranker."""
    began_s = time.process_time()
    for at in range(0, len(texts), EMBEDDED_AT_ONCE):
        engine.embed(texts[at : at + EMBEDDED_AT_ONCE], TextKind.PASSAGE)
    return (time.process_time() - began_s) * 1000


async def measure(
    reranker: LocalReranker, engine: OnnxEngine, texts: list[str], rounds: int
) -> tuple[float, float, float, int]:
    """Return the medians of CPU time, latency and CPU time of embedding in ms, and the tokens of a request."""
    cpu_ms, wall_ms, embedding_ms, tokens = [], [], [], 0
    for _ in range(rounds):
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        found = await reranker.scores(QUERY, texts, RequestContext("b", Deadline.after(120)))
        cpu_ms.append((time.process_time() - cpu_s) * 1000)
        wall_ms.append((time.perf_counter() - wall_s) * 1000)
        embedding_ms.append(embedding_cpu_ms(engine, texts))
        tokens = found.tokens
    return statistics.median(cpu_ms), statistics.median(wall_ms), statistics.median(embedding_ms), tokens


async def run(model: CrossEncoder, rounds: int) -> None:
    engine = OnnxEngine(resolve(DEFAULT_MODEL, fetch=False))
    print("| candidates | tokens in all | threads | CPU ms | latency ms | CPU ms a candidate | of embedding |")
    print("|---|---|---|---|---|---|---|")
    for count in (20, 50):
        texts = passages(model, count)
        for threads in (1, 2):
            reranker = LocalReranker(model, threads=threads, max_batch_tokens=1024)
            await measure(reranker, engine, texts, 1)
            cpu_ms, wall_ms, embedding_ms, tokens = await measure(reranker, engine, texts, rounds)
            await reranker.close()
            times = f"{cpu_ms:.0f} | {wall_ms:.0f} | {cpu_ms / count:.1f} | {cpu_ms / embedding_ms:.2f}"
            print(f"| {count} | {tokens} | {threads} | {times} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=6, help="Layers of the model.")
    parser.add_argument("--rounds", type=int, default=7, help="Requests whose median is taken.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "cross-encoder")
        folder.mkdir()
        write_model(folder, options.layers)
        model = CrossEncoder(resolve(str(folder), fetch=False, cache=Path(temporary, "cache")))
        asyncio.run(run(model, options.rounds))


if __name__ == "__main__":
    main()
