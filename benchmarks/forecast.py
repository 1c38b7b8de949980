"""Measures the load forecast on recorded traces: coverage of its bands, and its pinball loss against each expert's.

`python benchmarks/forecast.py --data DIR` reads DIR/traces, prints a Markdown table and writes
benchmarks/results/forecast-TIME.jsonl. Every minute is forecast from what was over by then, scored when it has come,
and fits are made every hour from the past alone. A point's loss is half its absolute error; the band's adds
the 2.5 % and 97.5 % quantiles, with each expert alone in the same adaptive bands as the mixture.
"""

from __future__ import annotations

import argparse
import collections
import datetime
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from argosy.contracts.errors import ConfigError
from argosy.control.prediction.conformal import Bands
from argosy.control.prediction.experts import NAMES
from argosy.control.prediction.fit import fit_load
from argosy.control.prediction.load_forecast import LoadForecast, Said
from argosy.simulation.arrivals import Counted
from argosy.simulation.traces import read_trace

RESULTS = Path(__file__).resolve().parent / "results"
HORIZONS_MIN = (1, 5, 10)
REFIT_MIN = 60
LEAST_SCORED = 10_000
QUANTILES = (0.025, 0.5, 0.975)
MIXTURE = "mixture"
EVERY_REQUEST = 10**9
MADE_UP = ("diurnal", "weekly", "bursts by a clock", "bursts without a clock", "random walk")

Floats = npt.NDArray[np.float64]


def minutes(path: Path) -> Floats | None:
    """Requests a second, by minute; None where the trace is too short to test coverage on."""
    arrivals = read_trace(path, EVERY_REQUEST).arrivals
    if not isinstance(arrivals, Counted):
        return None
    counts = np.array(arrivals.counts, np.float64)
    whole = len(counts) // 60
    return counts[: whole * 60].reshape(whole, 60).mean(1) if whole >= LEAST_SCORED else None


def made_up(kind: str, seed: int) -> Floats:
    """Twelve days of Poisson counts (three weeks of a week's profile) over a level that wanders."""
    rng = np.random.default_rng(seed)
    time_min = np.arange((21 if kind == "weekly" else 12) * 1440)
    day = 1 + 0.6 * np.sin(2 * np.pi * time_min / 1440) + 0.2 * np.sin(4 * np.pi * time_min / 1440)
    level = np.exp(np.cumsum(rng.normal(0, 0.004, len(time_min))))
    shapes: dict[str, Callable[[], Floats]] = {
        "diurnal": lambda: day * level,
        "weekly": lambda: day * np.where(time_min // 1440 % 7 < 5, 1.0, 0.4) * level,
        "bursts by a clock": lambda: day * (1 + 3 * (time_min % 60 < 4)),
        "bursts without a clock": lambda: day * level * (1 + _bursts(rng, len(time_min))),
        "random walk": lambda: np.asarray(np.exp(np.cumsum(rng.normal(0, 0.01, len(time_min))))),
    }
    rate: Floats = rng.poisson(120 * shapes[kind]()) / 60
    return rate


def _bursts(rng: np.random.Generator, count: int) -> Floats:
    bursts: Floats = np.convolve(rng.random(count) < 0.002, 2 * np.exp(-np.arange(60) / 10))[:count]
    return bursts


class Scores:
    """Of one forecaster, horizon by horizon."""

    def __init__(self) -> None:
        self.point = [0.0] * len(HORIZONS_MIN)
        self.band = [0.0] * len(HORIZONS_MIN)
        self.covered = [0] * len(HORIZONS_MIN)
        self.scored = [0] * len(HORIZONS_MIN)

    def take(self, horizon: int, said: Said | None, value: float) -> None:
        if said is None or said.band is None or not np.isfinite(value):
            return
        low, high = said.band
        self.scored[horizon] += 1
        self.covered[horizon] += low <= value <= high
        self.point[horizon] += abs(value - said.point) / 2
        losses = [_pinball(value - x, q) for q, x in zip(QUANTILES, (low, said.point, high), strict=True)]
        self.band[horizon] += sum(losses) / len(losses)


def _pinball(error: float, quantile: float) -> float:
    return max(quantile * error, (quantile - 1) * error)


class Alone:
    """One expert in bands of its own, for one horizon."""

    def __init__(self, expert: int) -> None:
        self._expert = expert
        self._bands = Bands()
        self._open: collections.deque[Said] = collections.deque()

    def next(self, mixture: Said, bin_number: int, value: float) -> Said | None:
        """Takes the minute that is over, then says what the expert expects of the one that the mixture speaks of."""
        while self._open and self._open[0].bin_number <= bin_number:
            said = self._open.popleft()
            self._bands.take(said.point, said.band, value)
        point = float(mixture.experts[self._expert])
        if not np.isfinite(point):
            return None
        said = Said(mixture.bin_number, mixture.experts, point, self._bands.around(point), mixture.weights)
        self._open.append(said)
        return said


def replay(values: Floats) -> dict[str, Scores]:
    """The mixture and every expert over the same minutes. The first two days are not scored."""
    scores = {name: Scores() for name in (MIXTURE, *NAMES)}
    forecast = LoadForecast(HORIZONS_MIN)
    alone = {name: [Alone(i) for _ in HORIZONS_MIN] for i, name in enumerate(NAMES)}
    for bin_number, value in enumerate(values.tolist()):
        if bin_number and bin_number % REFIT_MIN == 0:
            past = forecast.past(min(bin_number, 15 * 1440))
            forecast.fit = fit_load(past, bin_number - len(past), HORIZONS_MIN)
        forecast.add(bin_number, value)
        for i, said in enumerate(forecast.latest):
            target = bin_number + HORIZONS_MIN[i]
            if said is None or target >= len(values):
                continue
            every = {MIXTURE: said} | {name: alone[name][i].next(said, bin_number, value) for name in NAMES}
            if bin_number >= 2 * 1440:
                for name, one in every.items():
                    scores[name].take(i, one, float(values[target]))
    return scores


def table(name: str, scores: dict[str, Scores]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    print(
        f"\n**{name}**\n\n| horizon | scored | coverage % | point: against best expert | against last "
        "| band: against best expert | against last |\n|---|---|---|---|---|---|---|"
    )
    mixture = scores[MIXTURE]
    for i, ahead in enumerate(HORIZONS_MIN):
        row: dict[str, object] = {"trace": name, "horizon_min": ahead, "scored": mixture.scored[i]}
        row["coverage"] = mixture.covered[i] / max(1, mixture.scored[i])
        cells = []
        for kind in ("point", "band"):
            mean = {
                expert: getattr(s, kind)[i] / s.scored[i]
                for expert, s in scores.items()
                if s.scored[i] >= 0.9 * mixture.scored[i] > 0
            }
            alone = {expert: loss for expert, loss in mean.items() if expert != MIXTURE}
            best = min(alone, key=alone.__getitem__)
            row[kind] = mean
            row[f"{kind}_best"] = best
            cells += [f"{mean[MIXTURE] / alone[best]:.3f} (`{best}`)", f"{mean[MIXTURE] / alone['last']:.3f}"]
        rows.append(row)
        print(
            f"| +{ahead} min | {mixture.scored[i]:,} | {100 * mixture.covered[i] / max(1, mixture.scored[i]):.2f} | "
            + " | ".join(cells)
            + " |"
        )
    sys.stdout.flush()
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder that holds traces/; without it, series made up only")
    parser.add_argument("--days", type=int, help="only so many days of each trace")
    options = parser.parse_args(arguments)
    series: dict[str, Floats] = {}
    for path in sorted((options.data / "traces").iterdir()) if options.data else ():
        try:
            found = minutes(path)
        except ConfigError as error:
            print(f"{path.name} is left out: {error}", file=sys.stderr)
            continue
        if found is None:
            print(f"{path.name} is left out: coverage needs {LEAST_SCORED:,} minutes.", file=sys.stderr)
        else:
            series[path.name.partition(".")[0]] = found
    made = {kind: made_up(kind, seed) for seed, kind in enumerate(MADE_UP, 1)}
    RESULTS.mkdir(exist_ok=True)
    moment = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    with (RESULTS / f"forecast-{moment}.jsonl").open("w") as written:
        for name, values in (made | series).items():
            for row in table(name, replay(values[: options.days and options.days * 1440])):
                print(json.dumps(row), file=written, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
