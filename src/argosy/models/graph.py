"""ONNX graph of a model: built once from its weights, then cached by a hash of its inputs.

The weights are in a second file, which ONNX Runtime maps instead of copying: a quarter of the load time and 30 MB less
memory than with one file. A ledger beside them shows whether a graph was damaged later.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from argosy.contracts.errors import ModelMissing
from argosy.models.agreement import write_agreement
from argosy.models.description import ModelDescription, UnsupportedModel
from argosy.models.integrity import LEDGER, Damaged, Ledger, read_ledger, recheck, record, write_ledger
from argosy.models.resolver import ModelFolder
from argosy.models.weights import load_weights

GRAPH_VERSION = 2
"""Part of the cache's key. Increase it with every change to the output of the builders."""

GRAPH_FILE, WEIGHTS_FILE = "graph.onnx", "weights.bin"
Precision = Literal["fp32", "int8"]
Task = Literal["embed", "score"]
"""Use of a model: a vector for each text, or a score for each pair of a query and a passage."""


def graph_for(
    model: ModelFolder,
    description: ModelDescription,
    precision: Precision = "fp32",
    *,
    task: Task = "embed",
    anew: bool = False,
) -> Path:
    """Return the path of the model's graph. It is built if the cache has no intact one, or always when `anew` is set.

    When replicas start together, one builds and the others wait. The graph takes the arrays of `argosy.models.batch`:
    padded ones if the folder brought the graph, packed ones otherwise. Its output is `embedding` (float32, [batch,
    hidden_size]) or, for the task `score`, `score` (float32, [batch]).

    Raises: ModelMissing when the weights do not fit the description or the cache cannot be written; UnsupportedModel
    when the model is not available in this precision.
    """
    if precision == "int8" and model.exported:
        raise UnsupportedModel('int8 is built from model.safetensors only; use precision = "fp32" with an ONNX file.')
    folder = graph_folder(model, description, precision, task)
    try:
        if anew or not _whole(folder):
            with _only_builder(folder):
                if anew or not _whole(folder):
                    _build(model, description, precision, task, folder)
    except OSError as error:
        raise ModelMissing(f"The model's graph cannot be written: {error.strerror}.") from error
    return folder / GRAPH_FILE


def graph_folder(
    model: ModelFolder, description: ModelDescription, precision: Precision = "fp32", task: Task = "embed"
) -> Path:
    """Return the cache folder of this graph, named by the weights, the description and the builder's version."""
    inputs: tuple[object, ...] = (GRAPH_VERSION, model.weights_sha256, model.exported, description, precision)
    if task != "embed":
        inputs = (*inputs, task)
    return model.cache / "graphs" / hashlib.sha256(repr(inputs).encode()).hexdigest()[:24]


def _whole(folder: Path) -> bool:
    known = read_ledger(folder / LEDGER)
    if known is None or not {GRAPH_FILE, WEIGHTS_FILE} <= known.files.keys():
        return False
    try:
        fresh = recheck(folder, known, {})
    except Damaged:
        return False
    if fresh != known:
        write_ledger(folder / LEDGER, fresh)
    return True


@contextlib.contextmanager
def _only_builder(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(model: ModelFolder, description: ModelDescription, precision: Precision, task: Task, folder: Path) -> None:
    prefix = f".building-{folder.name}-"
    for left in folder.parent.glob(f"{prefix}*"):  # left by a killed builder: the lock excludes others
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=prefix) as temporary:
        staged = Path(temporary, "graph")
        staged.mkdir()
        _write(model, description, precision, task, staged)
        files = sorted(file.name for file in staged.iterdir())
        write_ledger(staged / LEDGER, Ledger(model.name, "built", record(staged, files)))
        if folder.exists():  # damaged: processes keep their mapping of the old files
            folder.rename(Path(temporary, "replaced"))
        staged.rename(folder)


def _write(model: ModelFolder, description: ModelDescription, precision: Precision, task: Task, into: Path) -> None:
    from argosy.models import bert_onnx, exported, int8  # these import onnx, which only a build needs

    if task == "score" and model.exported:
        graph = exported.adapt_scores(model.path, model.weights)
    elif task == "score":
        graph = bert_onnx.build_scores(load_weights(model.weights), description)
    elif model.exported:
        graph = exported.adapt(model.path, model.weights, description)
    elif precision == "int8":
        graph, found = int8.build(load_weights(model.weights), description, model.path)
        write_agreement(into, found)
    else:
        graph = bert_onnx.build(load_weights(model.weights), description)
    bert_onnx.save(graph, str(into), GRAPH_FILE, WEIGHTS_FILE)
    (into / WEIGHTS_FILE).touch()  # absent when the model is so small that all of it went into the first file
