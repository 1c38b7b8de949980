"""Benchmark of the load forecast on recorded and synthetic series: coverage, and pinball loss against each expert.

`python benchmarks/forecast.py --data DIR` reads DIR/traces, prints Markdown tables with each aim as met or missed, and
writes benchmarks/results/forecast-TIME.jsonl. Every minute is forecast from the minutes over by then, and scored when
it is over; fits are made every hour from the past alone. The loss of a point is half its absolute error; that of a band
is the mean of the point's loss and the losses of its two ends. Each expert alone is judged in its own adaptive bands,
and in the plain quantiles of its errors of the last day.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from argosy.contracts.errors import ConfigError
from argosy.control.prediction.minutes.experts import NAIVE, NAMES
from argosy.control.prediction.minutes.fit import fit_load
from argosy.control.prediction.minutes.load_forecast import LoadForecast
from argosy.control.prediction.minutes.mixture import Said
from argosy.control.prediction.minutes.weighting import HIGH, LOW, MIDDLE, QUANTILES, pinball
from benchmarks._forecast_plain import PlainBand
from benchmarks._forecast_series import LEAST_SCORED, MADE_UP, Floats, made_up, recorded

RESULTS = Path(__file__).resolve().parent / "results"
HORIZONS_MIN = (1, 5, 10)
REFIT_MIN = 60
WARM_UP_MIN = 2 * 1440
COVERED = (0.93, 0.97)
MOST_LOST = 1.05
FIRST_AGAINST_LAST_MIN = 5
WHAT = {"point": "point", "band": "band", "plain": "band, experts in plain ones,"}


@dataclass
class Scores:
    """Scores of one horizon."""

    scored: int = 0
    covered: int = 0
    mixture: Floats = field(default_factory=lambda: np.zeros(len(QUANTILES)))
    """Summed losses at QUANTILES."""
    experts: Floats = field(default_factory=lambda: np.zeros((len(QUANTILES), len(NAMES))))
    plain: Floats = field(default_factory=lambda: np.zeros((len(QUANTILES), len(NAMES))))
    """Summed losses in plain bands."""
    seen: Floats = field(default_factory=lambda: np.zeros((len(QUANTILES), len(NAMES))))

    def take(self, said: Said, plain: Floats, value: float) -> None:
        if said.band is None:
            return
        low, high = said.band
        self.scored += 1
        self.covered += low <= value <= high
        self.mixture += pinball(value - np.array([[low], [said.point], [high]]))[:, 0]
        both = np.isfinite(said.experts) & np.isfinite(plain)
        self.experts += np.where(both, pinball(value - said.experts), 0.0)
        self.plain += np.where(both, pinball(value - plain), 0.0)
        self.seen += both


@dataclass(frozen=True)
class Row:
    """Results of one series and horizon. Losses of the mixture are multiples of an expert's."""

    series: str
    horizon_min: int
    scored: int
    coverage: float
    best: Mapping[str, str]
    """Expert with the least loss in hindsight: of the point, of the band, and of the plain band."""
    against_best: Mapping[str, float]
    against_last: Mapping[str, float]
    losses: Mapping[str, Sequence[float]]
    """Mean losses at QUANTILES of the mixture and of each expert that nearly always had a forecast."""

    def missed(self) -> list[str]:
        """Return the aims that are missed; none when too few minutes were scored."""
        if self.scored < LEAST_SCORED:
            return []
        missed = [] if COVERED[0] <= self.coverage <= COVERED[1] else ["coverage"]
        missed += [f"{what} against best" for what, ratio in self.against_best.items() if ratio > MOST_LOST]
        if self.horizon_min >= FIRST_AGAINST_LAST_MIN:
            missed += [f"{what} against last" for what, ratio in self.against_last.items() if ratio >= 1]
        return missed


def cost_ms(values: Floats) -> float:
    """Return the mean processor time of a minute's forecasts for all horizons of the product.

    The mean is over a day, with two days known.
    """
    forecast = LoadForecast()
    forecast.fill(0, values[:1440])
    forecast.fit = fit_load(values[:1440], 0, forecast.horizons_min)
    for bin_number in range(1440, 2 * 1440):
        forecast.add(bin_number, float(values[bin_number]))
    begun_s = time.thread_time()
    for bin_number in range(2 * 1440, 3 * 1440):
        forecast.add(bin_number, float(values[bin_number]))
    return 1000 * (time.thread_time() - begun_s) / 1440


def replay(values: Floats) -> list[Scores]:
    """Return the scores of each of HORIZONS_MIN."""
    scores, forecast = [Scores() for _ in HORIZONS_MIN], LoadForecast(HORIZONS_MIN)
    plain = [[PlainBand() for _ in NAMES] for _ in HORIZONS_MIN]
    for bin_number, value in enumerate(values.tolist()):
        if bin_number and bin_number % REFIT_MIN == 0:
            past = forecast.past(min(bin_number, 15 * 1440))
            forecast.fit = fit_load(past, bin_number - len(past), HORIZONS_MIN)
        forecast.add(bin_number, value)
        for ahead, score, said, bands in zip(HORIZONS_MIN, scores, forecast.latest, plain, strict=True):
            if said is None:
                continue
            experts = said.experts.copy()
            for i, band in enumerate(bands):
                experts[LOW, i], experts[HIGH, i] = band.next(bin_number, value, ahead, float(experts[MIDDLE, i]))
            if bin_number >= WARM_UP_MIN and bin_number + ahead < len(values):
                score.take(said, experts, float(values[bin_number + ahead]))
    return scores


def row(series: str, horizon_min: int, scores: Scores) -> Row:
    mixture = scores.mixture / scores.scored
    spoke = [i for i in range(len(NAMES)) if scores.seen[:, i].min() >= 0.9 * scores.scored]
    alone = {NAMES[i]: scores.experts[:, i] / scores.seen[:, i] for i in spoke}
    plain = {NAMES[i]: scores.plain[:, i] / scores.seen[:, i] for i in spoke}
    losses = {
        "point": {name: float(loss[MIDDLE]) for name, loss in alone.items()},
        "band": {name: float(loss.mean()) for name, loss in alone.items()},
        "plain": {name: float(loss.mean()) for name, loss in plain.items()},
    }
    ours = {"point": float(mixture[MIDDLE]), "band": float(mixture.mean()), "plain": float(mixture.mean())}
    best = {what: min(of, key=of.__getitem__) for what, of in losses.items()}
    return Row(
        series,
        horizon_min,
        scores.scored,
        scores.covered / scores.scored,
        best,
        {what: ours[what] / losses[what][best[what]] for what in losses},
        {what: ours[what] / losses[what][NAMES[NAIVE]] for what in losses},
        {"mixture": mixture.tolist()}
        | {name: loss.tolist() for name, loss in alone.items()}
        | {f"{name}, plain": loss.tolist() for name, loss in plain.items()},
    )


def table(rows: Sequence[Row]) -> None:
    print(
        f"\n**{rows[0].series}**\n\n| horizon | scored | coverage % "
        "| point: against best expert | against last | band: against best expert | against last "
        "| against best plain band | against last | aims |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    for one in rows:
        cells = [f"{one.against_best[what]:.3f} (`{one.best[what]}`) | {one.against_last[what]:.3f}" for what in WHAT]
        verdict = "too few scored" if one.scored < LEAST_SCORED else ", ".join(one.missed()) or "met"
        verdict = verdict if verdict in ("met", "too few scored") else f"missed: {verdict}"
        print(
            f"| +{one.horizon_min} min | {one.scored:,} | {100 * one.coverage:.2f} | {' | '.join(cells)} | {verdict} |"
        )
    sys.stdout.flush()


def aims(rows: Sequence[Row]) -> None:
    """Print each aim over all series and horizons that it covers."""
    judged = [one for one in rows if one.scored >= LEAST_SCORED]
    later = [one for one in judged if one.horizon_min >= FIRST_AGAINST_LAST_MIN]
    if not later:
        return
    covered = [one.coverage for one in judged]
    lines = [
        (f"coverage {COVERED[0]:.0%} to {COVERED[1]:.0%}", f"{min(covered):.2%} to {max(covered):.2%}", "coverage")
    ]
    for what, name in WHAT.items():
        worst = max(one.against_best[what] for one in judged)
        against = max(one.against_last[what] for one in later)
        lines.append(
            (f"loss of the {name} ≤ {MOST_LOST} × the best expert's", f"≤ {worst:.3f}", f"{what} against best")
        )
        lines.append((f"loss of the {name} < the last value's, +5 and +10", f"≤ {against:.3f}", f"{what} against last"))
    print("\n| aim | over all | |\n|---|---|---|")
    for aim, found, name in lines:
        missed = [f"{one.series} +{one.horizon_min}" for one in judged if name in one.missed()]
        print(f"| {aim} | {found} | {'missed: ' + ', '.join(missed) if missed else 'met'} |")


def series(data: Path | None, seeds: int) -> dict[str, Floats]:
    found = {
        kind + (f", seed {seed}" if seed else ""): made_up(kind, number + seed * len(MADE_UP))
        for seed in range(seeds)
        for number, kind in enumerate(MADE_UP, 1)
    }
    for path in sorted((data / "traces").iterdir()) if data else ():
        try:
            values = recorded(path)
        except ConfigError as error:
            print(f"{path.name} is left out: {error}", file=sys.stderr)
            continue
        if values is None:
            print(f"{path.name} is left out: coverage needs {LEAST_SCORED:,} minutes.", file=sys.stderr)
        else:
            found[path.name.partition(".")[0]] = values
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with traces/; default: synthetic series only")
    parser.add_argument("--days", type=int, help="number of days of each series")
    parser.add_argument("--seeds", type=int, default=1, help="number of synthetic series of each kind")
    parser.add_argument("--only", nargs="+", default=[""], help="series whose names contain one of these")
    options = parser.parse_args(arguments)
    RESULTS.mkdir(exist_ok=True)
    moment, rows = datetime.datetime.now().strftime("%Y%m%d-%H%M%S"), []
    with (RESULTS / f"forecast-{moment}.jsonl").open("w") as written:
        for name, values in series(options.data, options.seeds).items():
            if not any(part in name for part in options.only):
                continue
            scores = replay(values[: options.days and options.days * 1440])
            found = [row(name, ahead, one) for ahead, one in zip(HORIZONS_MIN, scores, strict=True)]
            table(found)
            for one in found:
                print(json.dumps(one.__dict__), file=written, flush=True)
            rows += found
    aims(rows)
    print(f"\nA minute's forecasts for four horizons: {cost_ms(made_up(MADE_UP[0], 1)):.2f} ms of processor time")
    return 0


if __name__ == "__main__":
    sys.exit(main())
