"""Benchmark of the forecast of a window's highest load against forecasts without a model.

`python benchmarks/forecast_peak.py --data DIR` reads DIR/traces and prints a Markdown table. Load is requests in 5 s.
Of five days, the last quarter of the known data is forecast from a fit on the rest. A figure is the pinball loss at 98
% of the regression, as a multiple of the loss of the highest 15 s mean of so many past windows.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from argosy.contracts.errors import ConfigError
from argosy.control.history.arrays import Floats
from argosy.control.prediction.peak.analogue import BIN_S, DAY, LOAD_BINS, window_bins
from argosy.control.prediction.peak.skill import NAIVE_WINDOWS
from argosy.control.prediction.peak.window_regression import EVERY, SCORED, fit_window, targets
from argosy.simulation.loads.arrivals import Counted
from argosy.simulation.loads.traces import read_trace

DAYS = 5
COLD_STARTS_S = (10, 30, 120)
SHOWN_WINDOWS = (*NAIVE_WINDOWS, 8, 16)
EVERY_REQUEST = 10**9


def recorded(path: Path) -> dict[str, Floats]:
    """Return the first days of a trace and days from its middle; none when the trace is too short.

    Raises: ConfigError when the file is not a trace.
    """
    arrivals = read_trace(path, EVERY_REQUEST).arrivals
    if not isinstance(arrivals, Counted):
        return {}
    counts = np.array(arrivals.counts, np.float64)
    loads = counts[: len(counts) // BIN_S * BIN_S].reshape(-1, BIN_S).mean(1)
    name, days = path.name.partition(".")[0], len(loads) // DAY
    starts = sorted({0, days // 2 - DAYS}) if days >= 2 * DAYS else []
    return {f"{name}, from day {start}": loads[start * DAY : (start + DAYS) * DAY] for start in starts}


def made_up(seed: int = 1) -> dict[str, Floats]:
    rng, bins = np.random.default_rng(seed), np.arange(DAYS * DAY)
    bursts = np.convolve(rng.random(len(bins)) < 1 / 720, np.ones(24))[: len(bins)] > 0
    shapes = {
        "steady": np.ones(len(bins)),
        "diurnal": 1 + 0.7 * np.sin(2 * np.pi * bins / DAY),
        "bursts by a clock": 1.0 + 4 * (bins % 720 < 24),
        "bursts without a clock": 1.0 + 4 * bursts,
    }
    return {name: rng.poisson(20 * shape) / BIN_S for name, shape in shapes.items()}


def naive_losses(loads: Floats, window: int) -> list[float]:
    """Return the losses of the last value and of SHOWN_WINDOWS, over the windows on which the regression is judged."""
    at = np.arange(len(loads) - window - 2, 0, -EVERY)[::-1]
    came = targets(loads, at, window) ** 2
    at, came = at[np.isfinite(came)], came[np.isfinite(came)]
    at, came = at[len(at) * 3 // 4 :], came[len(at) * 3 // 4 :]
    means = np.convolve(np.nan_to_num(loads), np.ones(LOAD_BINS) / LOAD_BINS)[: len(loads)]
    spans = [1, *(count * (window + 2) for count in SHOWN_WINDOWS)]
    said = [np.array([means[max(0, i + 1 - span) : i + 1].max() for i in at.tolist()]) for span in spans]
    return [float(np.maximum(SCORED * (came - x), (SCORED - 1) * (came - x)).mean()) for x in said]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with traces/; default: synthetic series only")
    options = parser.parse_args(arguments)
    series = made_up()
    for path in sorted((options.data / "traces").iterdir()) if options.data else ():
        try:
            series |= recorded(path)
        except ConfigError as error:
            print(f"{path.name} is left out: {error}", file=sys.stderr)
    windows = " | ".join(f"highest of {count}" for count in SHOWN_WINDOWS)
    print(
        f"| load | cold start | coverage % | last value | {windows} | used |\n"
        + "|---" * (5 + len(SHOWN_WINDOWS))
        + "|"
    )
    for name, loads in series.items():
        for cold_start_s in COLD_STARTS_S:
            window = window_bins(cold_start_s)
            fit = fit_window(loads, window)
            if fit is None:
                continue
            ratios = " | ".join(f"{fit.loss / loss:.2f}" for loss in naive_losses(loads, window))
            used = "yes" if fit.trusted else "no"
            print(f"| {name} | {cold_start_s} s | {100 * fit.coverage:.1f} | {ratios} | {used} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
