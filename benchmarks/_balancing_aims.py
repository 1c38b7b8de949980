"""Aims of `adaptive` in the simulated regimes, compared with the finished runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from argosy.simulation.balancing.summary import Summary
from argosy.simulation.bootstrap import mean_interval, ratio_interval
from benchmarks._balancing_cases import ALL, BOTH, CASES
from benchmarks._balancing_cells import Cells

OURS = "adaptive"
RIVALS = tuple(name for name in ALL if name != OURS)
SEEDS_LEAST = 10
"""Number of seeds below which a figure is only preliminary."""
Runs: TypeAlias = Mapping[str, Sequence[Summary]]


@dataclass(frozen=True, slots=True)
class Figure:
    value: float
    low: float
    """Lower end of the 95 % interval."""
    high: float
    of: str = ""
    """Best rival, which the figure compares with."""


@dataclass(frozen=True, slots=True)
class Aim:
    case: str
    what: str
    figure: Callable[[Runs], Figure | None]
    """Function that returns the figure; None when a strategy that it needs was unstable or has no runs."""
    bound: float
    at_most: bool
    rivals: tuple[str, ...] = ()
    """Strategies whose runs the figure needs; of several, those with runs."""
    callers: tuple[int, ...] = BOTH

    def verdict(self, figure: Figure) -> str:
        """Return whether the aim is met by the whole interval, by the mean alone, or missed."""
        worst = figure.high if self.at_most else figure.low
        if worst <= self.bound if self.at_most else worst >= self.bound:
            return "met"
        near = figure.value <= self.bound if self.at_most else figure.value >= self.bound
        return "met on average" if near else "**missed**"


def _column(runs: Runs, subject: str, name: str) -> list[float]:
    return [summary.figures[name] for summary in runs.get(subject, ())]


def _mean(name: str, scale: float = 1.0) -> Callable[[Runs], Figure | None]:
    def of(runs: Runs) -> Figure | None:
        values = [value * scale for value in _column(runs, OURS, name)]
        return Figure(sum(values) / len(values), *mean_interval(values)) if values else None

    return of


def _stable(runs: Runs, subject: str) -> bool:
    return all(summary.stable for summary in runs[subject])


def _over(name: str, *, theirs_first: bool, least_is_best: bool = True) -> Callable[[Runs], Figure | None]:
    """Return the ratio of ours and the best rival's figure, by means over the same seeds."""

    def of(runs: Runs) -> Figure | None:
        ours = _column(runs, OURS, name)
        rivals = {s: _column(runs, s, name) for s in runs if s != OURS and _stable(runs, s)}
        if not ours or not rivals:
            return None
        best = (min if least_is_best else max)(rivals, key=lambda subject: sum(rivals[subject]))
        pair = (rivals[best], ours) if theirs_first else (ours, rivals[best])
        return Figure(sum(pair[0]) / sum(pair[1]), *ratio_interval(*pair), of=best)

    return of


def _times_below(case: str, rival: str, bound: float, name: str = "p99_ms", callers: tuple[int, ...] = BOTH) -> Aim:
    what = f"{name.removesuffix('_ms')} of {rival}, times ours"
    return Aim(case, what, _over(name, theirs_first=True), bound, at_most=False, rivals=(rival,), callers=callers)


def _within(case: str, bound: float, rivals: tuple[str, ...]) -> Aim:
    of = _over("p99_ms", theirs_first=False)
    who = (
        rivals[0]
        if len(rivals) == 1
        else "the best other's"
        if len(rivals) > 2
        else "the better of " + ", ".join(rivals)
    )
    return Aim(case, f"p99 over {who}", of, bound, at_most=True, rivals=rivals)


def _aims() -> Iterator[Aim]:
    yield _times_below("unequal", "round_robin", 8)
    yield _times_below("unequal", "least_connections", 4, callers=(1,))
    yield _times_below("unequal", "least_connections", 7, callers=(8,))
    yield Aim("unequal", "share to the slow pair, %", _mean("slow_share", 100), 0.2, at_most=True)
    yield Aim("unequal", "p99.9, ms", _mean("p999_ms"), 100, at_most=True)
    yield _within("unequal", 1.02, ("peak_ewma", "prequal"))
    for case in ("equal", "equal_fcfs"):
        yield _within(case, 1.03, RIVALS)
        goodput = _over("goodput", theirs_first=False, least_is_best=False)
        yield Aim(case, "goodput over the best other's", goodput, 0.97, at_most=False, rivals=RIVALS)
    yield _within("mixed", 1.05, ("peak_ewma",))
    for case, times in (("fast_fail", 50), ("fast_fail_50", 20), ("fast_fail_20", 10)):
        yield _times_below(case, "least_connections", times, name="failed")
        yield Aim(case, "back in service after, s", _mean("back_in_service_s"), 15, at_most=True)
    yield Aim("brownout", "share of fair 10 s after repair", _mean("fair_share_10s"), 0.7, at_most=False)
    yield Aim("brownout", "picks of the new slow one in 10 s", _mean("picks_10s"), 30, at_most=True, callers=(1,))
    for case in ("retry_storm", "flash_crowd"):
        yield Aim(case, "least goodput over capacity", _mean("floor_of_capacity"), 0.95, at_most=False)
        yield Aim(case, "back to normal after, s", _mean("recovered_after_s"), 10, at_most=True)


def print_aims(seeds: int, requests: int | None) -> None:
    print("\n| regime | callers | seeds | figure | measured (95 %) | aim | |\n|---|---|---|---|---|---|---|")
    for aim in _aims():
        known = Cells(aim.case)
        for callers in aim.callers:
            length = requests or CASES[aim.case].regime.requests
            done = {rival: len(known.seeds(rival, callers, length, seeds)) for rival in aim.rivals}
            most = max(done.values(), default=0)
            # Rivals that were run with fewer seeds, for display only, must not shorten the comparison with close
            # rivals.
            rivals = [rival for rival, count in done.items() if count == most]
            runs = known.paired((OURS, *rivals), callers, length, seeds)
            figure = aim.figure(runs)
            if figure is None:
                print(f"| {aim.case} | {callers} | – | {aim.what} | not run | | |")
                continue
            what = f"{aim.what} ({figure.of})" if len(aim.rivals) > 1 else aim.what
            bound = f"{'≤' if aim.at_most else '≥'} {aim.bound:g}"
            measured = f"{figure.value:.4g} ({figure.low:.4g}–{figure.high:.4g})"
            seen = len(runs[OURS])
            verdict = aim.verdict(figure) + ("" if seen >= SEEDS_LEAST else ", few seeds")
            print(f"| {aim.case} | {callers} | {seen} | {what} | {measured} | {bound} | {verdict} |")
