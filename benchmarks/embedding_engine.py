"""Benchmark of the embedding engine alone, on one thread: how close it comes to the speed of the matrix products.

`python benchmarks/embedding_engine.py [FOLDER …]` prints Markdown tables. int8 is compared on FOLDERs in BEIR layout
(`corpus.jsonl`, `queries.jsonl`), or on a generated corpus, whose near-random texts are easier. Variants take turns
within one run. Figures are medians over `--rounds` of CPU time, with the quartiles. `--only products operators batches
layout precision` picks tables.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from argosy.contracts.embedding import TextKind
from argosy.contracts.vectors import Vectors
from argosy.models.agreement import agreement
from argosy.models.batch import MASKED, Feed, packed
from argosy.models.bert_onnx import Nodes
from argosy.models.catalog import DEFAULT_MODEL
from argosy.models.description import ModelDescription, describe
from argosy.models.graph import graph_for
from argosy.models.resolver import ModelFolder, resolve
from argosy.services.embedding.backends.onnx import OnnxEngine
from benchmarks._corpus import Corpus

LONG_TOKENS, BUDGET_TOKENS = 243, 1024
SEED = 11
MIXED_TOKENS = (10, 118, 243)
"""Tokens of a short query, a passage and a long passage; each length varies by a fifth."""

Run = Callable[[], object]


def cpu_times(runs: Mapping[str, Run], rounds: int) -> dict[str, list[float]]:
    """Return the CPU seconds of each run, in turn, after one round that does not count."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            began = time.process_time()
            run()
            if number:
                found[name].append(time.process_time() - began)
    return found


def spread(values: Sequence[float], factor: float = 1.0, digits: int = 1) -> str:
    """Return the median and quartiles as text."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle * factor:.{digits}f} ({low * factor:.{digits}f}–{high * factor:.{digits}f})"


def ratios(over: Sequence[float], under: Sequence[float]) -> list[float]:
    return [a / b for a, b in zip(over, under, strict=True)]


def session(graph: str | bytes, profile: str | None = None, **changes: object) -> onnxruntime.InferenceSession:
    """Return a session like the engine's own, except for `changes` to its options."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    for name, value in changes.items():
        setattr(options, name, value)
    if profile:
        options.enable_profiling, options.profile_file_prefix = True, profile
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


class Bench:
    def __init__(self, model: ModelFolder, rounds: int, folders: Sequence[Path]) -> None:
        self.model = model
        self.rounds = rounds
        self.folders = folders
        self.about: ModelDescription = replace(describe(model.path, model.name), normalise=True)
        self.graph = str(graph_for(model, self.about))
        self._draw = np.random.default_rng(SEED)

    def ids(self, *lengths: int) -> list[list[int]]:
        top = self.about.vocab_size
        return [self._draw.integers(top // 20, top, length).tolist() for length in lengths]

    def feed(self, ids: Sequence[Sequence[int]]) -> Feed:
        return packed(ids, self.about.pooling)

    # --- matrix products alone

    def products(self) -> None:
        about = self.about
        print("| batch | products with weights alone, tokens/s | engine, tokens/s | engine at the products' rate |")
        print("|---|---|---|---|")
        whole, alone = session(self.graph), session(self._dense().SerializeToString())
        for texts, length in ((1, LONG_TOKENS), (BUDGET_TOKENS // LONG_TOKENS, LONG_TOKENS), (64, 16), (1, 12)):
            feed = self.feed(self.ids(*[length] * texts))
            tokens = texts * length
            state = self._draw.normal(size=(tokens, about.hidden_size)).astype(np.float32)
            times = cpu_times(
                {
                    "engine": lambda feed=feed: whole.run(["embedding"], feed),  # type: ignore[misc]
                    "alone": lambda state=state: alone.run(None, {"x": state}),  # type: ignore[misc]
                },
                self.rounds,
            )
            inner = self._inner()
            weights = about.hidden_size * (4 * about.hidden_size + 2 * inner)
            attention = 2 * length * about.hidden_size
            work = 1 + attention / weights
            reached = [work * value for value in ratios(times["alone"], times["engine"])]
            cells = [spread([tokens / value for value in times[name]], digits=0) for name in ("alone", "engine")]
            print(f"| {texts} × {length} | {cells[0]} | {cells[1]} | {spread(reached, 100, 0)} % |")
        print("\nThe last column counts attention's products as work too, at the rate of those with weights.\n")

    def _inner(self) -> int:
        config = json.loads((self.model.path / "config.json").read_bytes())
        return int(config["intermediate_size"])

    def _dense(self) -> onnx.ModelProto:
        """Return a graph with only the products of the model, one after another, with its weights' shapes."""
        hidden, inner = self.about.hidden_size, self._inner()
        nodes, tokens = Nodes(), "x"

        def product(tokens: str, rows: int, columns: int) -> str:
            weight = self._draw.normal(0, rows**-0.5, (rows, columns))
            return nodes.op("Gemm", tokens, nodes.const(weight), nodes.const(np.zeros(columns)))

        for _ in range(self.about.layers):
            three = product(tokens, hidden, 3 * hidden)
            one = nodes.op("Slice", three, nodes.ints(0), nodes.ints(hidden), nodes.ints(1))
            tokens = product(product(product(one, hidden, hidden), hidden, inner), inner, hidden)
        given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["tokens", hidden])
        result = helper.make_tensor_value_info(tokens, TensorProto.FLOAT, ["tokens", hidden])
        graph = helper.make_graph(nodes.nodes, "products", [given], [result], nodes.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)

    # --- where the time goes

    def operators(self) -> None:
        print(
            f"| operator | share of the time, 1 × {LONG_TOKENS} tokens | in a batch of 4 | 64 × 16 |\n|---|---|---|---|"
        )
        shares = [self._shares(*batch) for batch in ((1, LONG_TOKENS), (4, LONG_TOKENS), (64, 16))]
        for name, _ in shares[0].most_common():
            print(f"| {name} | " + " | ".join(f"{100 * share[name]:.1f} %" for share in shares) + " |")
        print()

    def _shares(self, texts: int, length: int) -> Counter[str]:
        with tempfile.TemporaryDirectory() as folder:
            profiled = session(self.graph, f"{folder}/profile")
            for _ in range(self.rounds + 1):
                profiled.run(["embedding"], self.feed(self.ids(*[length] * texts)))
            events = json.loads(Path(profiled.end_profiling()).read_bytes())
        times: Counter[str] = Counter()
        for event in events:
            if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
                operator = event["args"]["op_name"]
                four = any(len(shape) == 4 for given in event["args"]["input_type_shape"] for shape in given.values())
                times["MatMul in attention" if operator == "MatMul" and four else operator] += event["dur"]
        total = sum(times.values())
        return Counter({name: value / total for name, value in times.items()})

    # --- batches at the budget

    def batches(self) -> None:
        print(f"| batch of at most {BUDGET_TOKENS} tokens | tokens | CPU ms |\n|---|---|---|")
        whole = session(self.graph)
        feeds = {
            f"{BUDGET_TOKENS // length} × {length}": self.feed(self.ids(*[length] * (BUDGET_TOKENS // length)))
            for length in (16, 64, 128, LONG_TOKENS)
        }
        runs: dict[str, Run] = {name: lambda feed=feed: whole.run(None, feed) for name, feed in feeds.items()}  # type: ignore[misc]
        for name, values in cpu_times(runs, self.rounds).items():
            print(f"| {name} | {feeds[name]['ids'].shape[0]} | {spread(values, 1000)} |")
        print()

    # --- what else was tried

    def layout(self) -> None:
        print("| 64 mixed texts, sorted, batches within the budget | tokens per CPU-second | against the engine |")
        print("|---|---|---|")
        lengths = sorted(int(n * self._draw.uniform(0.8, 1.2)) for n in MIXED_TOKENS for _ in range(21))
        lengths = [min(length, self.about.max_tokens) for length in lengths]
        ids = self.ids(*lengths)
        groups = list(_budgeted(ids, BUDGET_TOKENS))
        level = onnxruntime.GraphOptimizationLevel
        usual = [self.feed(group) for group in groups]
        own = session(self.graph)
        variants: dict[str, tuple[onnxruntime.InferenceSession, list[Feed]]] = {
            "packed, as the engine does": (own, usual),
            "padded to the longest of the batch": (own, [_padded(group, self.feed(group)) for group in groups]),
            "packed, one text a batch": (own, [self.feed([text]) for text in ids]),
            "packed, basic optimisations": (
                session(self.graph, graph_optimization_level=level.ORT_ENABLE_BASIC),
                usual,
            ),
            "packed, no memory arena": (session(self.graph, enable_cpu_mem_arena=False), usual),
        }

        def all_of(one: onnxruntime.InferenceSession, feeds: list[Feed]) -> Run:
            return lambda: [one.run(None, feed) for feed in feeds]

        times = cpu_times({name: all_of(*variant) for name, variant in variants.items()}, self.rounds)
        first = next(iter(times.values()))
        for name, values in times.items():
            rates = [sum(lengths) / value for value in values]
            print(f"| {name} | {spread(rates, digits=0)} | {spread(ratios(first, values), digits=2)} |")
        print()

    # --- int8

    def precision(self, most: int) -> None:
        print("| texts | passages a CPU-second, int8 over fp32 | top-1 agreement | mean cosine | least |")
        print("|---|---|---|---|---|")
        exact, int8 = OnnxEngine(self.model), OnnxEngine(self.model, precision="int8")
        for name, passages, queries in self._corpora(most):
            engines = {"fp32": exact, "int8": int8}
            times = dict.fromkeys(engines, 0.0)
            fine, rough = _interleaved(engines, passages, TextKind.PASSAGE, times).values()
            asked = exact.embed(queries, TextKind.QUERY)
            found = agreement((fine, asked), (rough, asked))
            print(
                f"| {name}: {len(passages)} passages, {len(queries)} queries | {times['fp32'] / times['int8']:.2f} "
                f"| {found.top1:.3f} | {found.cosine:.5f} | {(fine * rough).sum(axis=1).min():.4f} |"
            )
        print(f"\nWhen the int8 graph was built: {int8.agreement}.\n")

    def _corpora(self, most: int) -> Iterator[tuple[str, list[str], list[str]]]:
        for folder in self.folders:
            corpus, queries = (_rows(folder / f"{part}.jsonl")[:most] for part in ("corpus", "queries"))
            yield (
                folder.name,
                [f"{row.get('title', '')} {row['text']}".strip() for row in corpus],
                [row["text"] for row in queries],
            )
        if not self.folders:
            generated = Corpus(SEED)
            yield "generated", generated.passages(most), list(islice(generated.queries(SEED), most))


def _rows(file: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def _budgeted(ids: Sequence[list[int]], budget: int) -> Iterator[list[list[int]]]:
    """Yield groups of consecutive texts whose padded size is within the budget; `ids` are sorted by length."""
    group: list[list[int]] = []
    for text in ids:
        if group and (len(group) + 1) * len(text) > budget:
            yield group
            group = []
        group.append(text)
    yield group


def _padded(ids: Sequence[Sequence[int]], feed: Feed) -> Feed:
    """Return the same batch with padding computed like tokens, as graphs over [batch, sequence] do."""
    longest = max(map(len, ids))
    flat = np.zeros((len(ids), longest), np.int64)
    pool = np.zeros((len(ids), len(ids), longest), np.float32)
    for row, text in enumerate(ids):
        flat[row, : len(text)] = text
        pool[row, row, : len(text)] = 1 / len(text)
    places = np.arange(flat.size)
    assert feed["bias"].min() in (0, np.float32(MASKED))
    return {
        **feed,
        "ids": flat.ravel(),
        "positions": np.tile(np.arange(longest), len(ids)),
        "rows": places.reshape(flat.shape),
        "places": places,
        "pool": pool.reshape(len(ids), -1),
    }


def _interleaved(
    engines: Mapping[str, OnnxEngine], texts: Sequence[str], kind: TextKind, times: dict[str, float]
) -> dict[str, Vectors]:
    """Run every batch with each engine in turn and add each one's CPU seconds to `times`."""
    lengths = next(iter(engines.values())).count_tokens(texts, kind)
    order = sorted(range(len(texts)), key=lengths.__getitem__)
    found = {name: np.empty((len(texts), engine.info.dimensions), np.float32) for name, engine in engines.items()}
    for group in _budgeted([[place] * lengths[place] for place in order], BUDGET_TOKENS):
        places: list[int] = [repeated[0] for repeated in group]
        batch = [texts[place] for place in places]
        for name, engine in engines.items():
            began = time.process_time()
            rows: npt.NDArray[np.float32] = engine.embed(batch, kind)
            times[name] += time.process_time() - began
            found[name][places] = rows
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--most", type=int, default=300, help="passages and queries of each corpus")
    tables = ["products", "operators", "batches", "layout", "precision"]
    parser.add_argument("--only", nargs="+", choices=tables, default=tables)
    given = parser.parse_args()
    bench = Bench(resolve(given.model, fetch=True), given.rounds, given.folders)
    for table in given.only:
        if table == "precision":
            bench.precision(given.most)
        else:
            getattr(bench, table)()


if __name__ == "__main__":
    main()
