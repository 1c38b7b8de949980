"""Comparison of `argosy plan` with reality on this machine.

`python benchmarks/plan.py` prints two Markdown tables and takes about seven minutes. A fleet with a service that waits
and the embedding service is calibrated first. Then each is loaded five times, in turn: beyond saturation, and at 50 and
70 % of the planned saturation. The truth is the median of the five. At the end the embedding service gets a second
replica; on a machine that one replica fills, this must not double the plan.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from argosy.cli.loadtest.calibration import ask_of
from argosy.cli.loadtest.open_loop import Ask, open_loop
from benchmarks import _waiting_service
from benchmarks._running import Afresh, Caller, RunningFleet, argosy

FLEET = f"""
[services.work]
module = "_waiting_service:create_app"
replicas = {{ min = 1, max = 4 }}
[services.work.scaling]
slots = {_waiting_service.SLOTS}
[services.embedding]
replicas = {{ min = 1, max = 2 }}
"""
SUBJECTS = {"work": ("--path", "work"), "embedding": ()}
SHARES = (0.5, 0.7)
BEYOND = 1.3
SATURATION_WITHIN, P95_WITHIN = 0.20, 0.25
MOST_WAIT_S = 90.0


@dataclass(slots=True)
class Truth:
    """Measured values, one figure per round."""

    saturation_rps: list[float] = field(default_factory=list)
    p95_ms: dict[float, list[float]] = field(default_factory=lambda: {share: [] for share in SHARES})


def asked(service: str) -> Ask:
    custom = service == "work"
    return ask_of(service, "work" if custom else None, custom)


def plan(admin: Caller, service: str, rps: float) -> dict[str, Any]:
    status, answer = admin.call("POST", "/v1/plan", {"rps": rps, "service": service})
    if status != 200:
        raise SystemExit(f"no plan for {service}: {answer}")
    view: dict[str, Any] = answer["services"][0]
    if view["state"]:
        raise SystemExit(f"no plan for {service}: {view['state']}")
    return view


def point(view: dict[str, Any], replicas: int) -> dict[str, Any]:
    found: dict[str, Any] = next(row for row in view["points"] if row["replicas"] == replicas)
    return found


def measure(url: str, service: str, saturation_rps: float, seconds: float, seed: int, truth: Truth) -> None:
    hard = open_loop(url, asked(service), BEYOND * saturation_rps, seconds, seed)
    truth.saturation_rps.append(hard.in_time / seconds)
    for share in SHARES:
        outcome = open_loop(url, asked(service), share * saturation_rps, seconds, seed + int(100 * share))
        truth.p95_ms[share].append(float(np.quantile(outcome.latencies_ms, 0.95)))
    print(f"{service}: {truth.saturation_rps[-1]:.1f}/s", file=sys.stderr, flush=True)


def verdict(said: float, seen: Sequence[float], within: float, *, spread: bool) -> str:
    met = abs(said / statistics.median(seen) - 1) <= within or (spread and min(seen) <= said <= max(seen))
    return "met" if met else "missed"


def two_replicas(url: str, admin: Caller, one_rps: float, seconds: float, rounds: int) -> list[str]:
    status, answer = admin.call("POST", "/v1/services/embedding/scale", {"replicas": 2, "expires_s": 300})
    until_s = time.monotonic() + MOST_WAIT_S
    while status == 200 and admin.get("/v1/services/embedding/scaling")["ready_instances"] != 2:
        if time.monotonic() > until_s:
            status, answer = 0, admin.get("/v1/services/embedding/scaling")["recommendation"]
        time.sleep(0.2)
    if status != 200:
        return ["–", f"two replicas do not run here: {answer}"]
    rates = [open_loop(url, asked("embedding"), 2 * one_rps, seconds, 1 + n).in_time / seconds for n in range(rounds)]
    admin.call("POST", "/v1/services/embedding/scale", {})
    return [f"{statistics.median(rates):.1f} ({min(rates):.1f}–{max(rates):.1f})", ""]


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    for cells in (heads, ["---"] * len(heads), *rows):
        print(f"| {' | '.join(cells)} |", flush=True)


def report(
    views: dict[str, dict[str, Any]], plans: dict[tuple[str, float], dict[str, Any]], found: dict[str, Truth]
) -> None:
    rows = []
    for service, truth in found.items():
        print(f"{service}: learnt from {views[service]['learnt_from']}", file=sys.stderr, flush=True)
        said, seen = point(views[service], 1)["saturation_rps"], truth.saturation_rps
        low, high = point(views[service], 1)["saturation_interval_rps"]
        shown = f"{said:.1f} ({low:.1f}–{'' if high is None else f'{high:.1f}'})"
        judged = verdict(said, seen, SATURATION_WITHIN, spread=False)
        rows.append([service, "saturation, requests/s", shown, *_seen(seen, said), judged])
        for share in SHARES:
            row, seen = point(plans[service, share], 1), truth.p95_ms[share]
            said = row["p95_ms"]
            low, high = row["p95_interval_ms"]
            shown = f"{said:.0f} ({low:.0f}–{'' if high is None else f'{high:.0f}'})"
            judged = verdict(said, seen, P95_WITHIN, spread=True)
            rows.append([service, f"p95 at {share:.0%} of it, ms", shown, *_seen(seen, said), judged])
    table(["service", "figure", "plan (interval)", "median of tests (range)", "plan ÷ truth", "aim"], rows)


def _seen(seen: Sequence[float], said: float) -> list[str]:
    middle = statistics.median(seen)
    return [f"{middle:.1f} ({min(seen):.1f}–{max(seen):.1f})", f"{said / middle:.2f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=7.0, help="seconds of each measurement")
    parser.add_argument("--calibration", type=float, default=60.0, help="seconds of each service's calibration")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="argosy-plan-") as folder:
        home = Path(folder)
        shutil.copyfile(_waiting_service.__file__, home / "_waiting_service.py")
        (home / "fleet.toml").write_text(FLEET)
        with RunningFleet(home / "data", "fleet.toml") as fleet:
            admin = Afresh(fleet.admin_url, (home / "data" / "token").read_text().strip())
            own = ("--data-dir", str(home / "data"))
            views, plans, found = {}, {}, {name: Truth() for name in SUBJECTS}
            for service, more in SUBJECTS.items():
                seconds = ("--seconds", str(given.calibration))
                held = ("--calibrate", "--service", service, "--replicas", "1")
                argosy("plan", *held, *more, *seconds, *own, folder=home)
                views[service] = plan(admin, service, 1.0)
                for share in SHARES:
                    rps = share * point(views[service], 1)["saturation_rps"]
                    plans[service, share] = plan(admin, service, rps)
                admin.call("POST", f"/v1/services/{service}/scale", {"replicas": 1, "expires_s": 3600})
            for number in range(given.rounds):
                for service, truth in found.items():
                    saturation = point(views[service], 1)["saturation_rps"]
                    measure(fleet.gateway_url, service, saturation, given.seconds, 1000 * number, truth)
            report(views, plans, found)
            said = {n: point(views["embedding"], n)["saturation_rps"] for n in (1, 2)}
            told = [note for note in views["embedding"]["notes"] if "not 2 times" in note]
            seen, why = two_replicas(fleet.gateway_url, admin, said[1], given.seconds, given.rounds)
            print(f"\nTwo replicas of embedding: plan {said[2]:.1f}/s, one {said[1]:.1f}/s, measured {seen} {why}")
            print(f"Says that capacity does not double, and why: {'met' if told else 'missed'}")
            for line in told or views["embedding"]["notes"]:
                print(f"> {line}")


if __name__ == "__main__":
    main()
