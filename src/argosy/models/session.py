"""ONNX Runtime session of a cached graph, which is rebuilt once when ONNX Runtime refuses it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import onnxruntime

from argosy.models.integrity import unreadable

_ERRORS_ONLY = 3


class GraphSource(Protocol):
    def __call__(self, *, anew: bool) -> Path:
        """Return the path of a graph, built again when `anew` is set."""
        ...


def session_for(graph: GraphSource, weights: Path, threads: int) -> tuple[Path, onnxruntime.InferenceSession]:
    """Return the graph's path and its session. A graph that ONNX Runtime refuses is rebuilt once.

    The ledger of the graph does not show every kind of damage. `weights` is the file that the graph was made from.

    Raises: ModelMissing when the rebuilt graph is refused as well.
    """
    path = graph(anew=False)
    try:
        return path, open_session(path, threads)
    except Exception:  # ONNX Runtime's errors have no narrower base class
        path = graph(anew=True)
    try:
        return path, open_session(path, threads)
    except Exception as error:
        raise unreadable(weights, "ONNX Runtime refuses the graph made from it") from error


def open_session(graph: Path, threads: int) -> onnxruntime.InferenceSession:
    """Return a session on the CPU.

    The memory arena stays on: without it, the process took 25 MB more and was no faster. Memory patterns are off: they
    keep a plan for every shape of batch, and the number of shapes is unlimited.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False
    options.log_severity_level = _ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
