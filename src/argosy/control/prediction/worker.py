"""Process that fits: it reads requests from standard input and writes replies to standard output, one after another.

It is started as `python -m argosy.control.prediction.worker`. It may be killed at any time, and ends with its parent.
"""

from __future__ import annotations

import os
import sys

import msgspec
import numpy as np

from argosy.contracts.codec import LENGTH_BYTES, frame
from argosy.control.prediction.capacity import CapacityFit, fit_capacity
from argosy.control.prediction.minutes.experts import Fit
from argosy.control.prediction.minutes.fit import fit_load
from argosy.control.prediction.peak.window_regression import WindowFit, fit_window

NICENESS = 10


class FitRequest(msgspec.Struct):
    minutes: bytes
    """Minutes as float64, NaN where a value is not known."""
    first_bin: int
    horizons_min: list[int]
    samples: bytes
    """Samples of three float64: rate, requests in the service, ready replicas."""
    loads: bytes = b""
    """Loads as float32, in erlangs, in the last bins of BIN_S; NaN where a value is not known."""
    window: int = 0
    """Length in bins of the window whose highest load is forecast."""


class FitReply(msgspec.Struct):
    fit: Fit
    capacity: CapacityFit
    window: WindowFit | None = None


def answer(request: FitRequest) -> FitReply:
    samples = np.frombuffer(request.samples, np.float64).reshape(-1, 3)
    loads = np.frombuffer(request.loads, np.float32).astype(np.float64)
    return FitReply(
        fit_load(np.frombuffer(request.minutes, np.float64), request.first_bin, request.horizons_min),
        fit_capacity(samples[:, 0], samples[:, 1], samples[:, 2]),
        fit_window(loads, request.window) if len(loads) else None,
    )


def main() -> None:
    os.nice(NICENESS)
    source, target = sys.stdin.buffer, sys.stdout.buffer
    decoder = msgspec.msgpack.Decoder(FitRequest)
    while len(head := source.read(LENGTH_BYTES)) == LENGTH_BYTES:
        request = decoder.decode(source.read(int.from_bytes(head, "big")))
        target.write(frame(answer(request)))
        target.flush()


if __name__ == "__main__":
    main()
