"""Scaling of a live fleet: a step from 1 to 8 times the load, and how long each policy leaves answers above their SLO.

`python benchmarks/scaling_live.py` prints two Markdown tables and takes six minutes. Replicas of the services work on 4
requests at a time and wait 50 ms for each, so that capacity grows with replicas. Each policy scales its own service,
one after the other, with its default settings. Refused requests (429 and 503), other failures, and late answers are
counted separately. The embedding service follows at 1 and 2 replicas.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from argosy.cli.loadtest.calibration import ask_of
from argosy.cli.loadtest.open_loop import Ask, LoadResult, open_loop
from benchmarks import _waiting_service
from benchmarks._running import Afresh, Caller, RunningFleet

POLICIES = ("predictive", "target", "threshold")
CALM_RPS, FACTOR = 20.0, 8
MOST_REPLICAS = 10
SLO_MS, SLO_SHARE = 200, 0.95
WATCH_S = 0.5
MOST_WAIT_S = 90.0
CALM_S = 10.0
MOST_OPEN = 4096
"""Limit of open requests that is never reached, because users do not wait for one another."""
EMBEDDING_S = 10.0
RATES = (20.0, 40.0, 80.0, 160.0)


def fleet_file(platform_cores: int) -> str:
    tables = [
        f"""
[services.{policy}]
module = "_waiting_service:create_app"
replicas = {{ min = 1, max = {MOST_REPLICAS} }}
[services.{policy}.scaling]
policy = "{policy}"
slots = {_waiting_service.SLOTS}
[services.{policy}.slo]
latency_ms = {SLO_MS}
share = {SLO_SHARE}
"""
        for policy in POLICIES
    ]
    return "".join(tables) + f"[services.embedding]\nreplicas = {{ min = 1, max = {platform_cores} }}\n"


@dataclass(slots=True)
class Watch:
    """Record of the replicas that ran during the load."""

    ready: list[tuple[float, int]] = field(default_factory=list)
    replica_s: float = 0.0

    def first(self, count: int) -> float | None:
        return next((at_s for at_s, ready in self.ready if ready >= count), None)


@contextmanager
def watched(admin: Caller, service: str) -> Iterator[Watch]:
    watch, over, began_s = Watch(), threading.Event(), time.monotonic()

    def run() -> None:
        before_s = began_s
        while not over.wait(WATCH_S):
            view, now_s = admin.get(f"/v1/services/{service}/scaling"), time.monotonic()
            watch.ready.append((now_s - began_s, view["ready_instances"]))
            watch.replica_s += (now_s - before_s) * view["current_instances"]
            before_s = now_s

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()


def seconds_above(outcome: LoadResult, seconds: int) -> list[int]:
    """Return the seconds in which fewer than SLO_SHARE of the requests due were answered within SLO_MS."""
    good, due = np.zeros(seconds), np.zeros(seconds)
    for at_s, took_ms in zip(outcome.due_s, outcome.latencies_ms, strict=True):
        due[int(at_s)] += 1
        good[int(at_s)] += took_ms <= SLO_MS
    for at_s in outcome.lost_s:
        due[int(at_s)] += 1
    return [int(second) for second in np.flatnonzero(good < SLO_SHARE * due)]


def measure(fleet: RunningFleet, admin: Caller, policy: str, seconds: int, seed: int) -> tuple[list[str], Any]:
    ask = Ask("GET", f"/services/{policy}/work")
    calm = open_loop(fleet.gateway_url, ask, CALM_RPS, CALM_S, seed)
    with watched(admin, policy) as watch:
        outcome = open_loop(fleet.gateway_url, ask, CALM_RPS * FACTOR, seconds, seed + 1, MOST_OPEN)
    decisions = admin.get(f"/v1/services/{policy}/scaling")["decisions"][:40]
    set_replicas(admin, policy, 1)  # idle replicas would take CPU from the next policy
    wanted = (
        int(CALM_RPS * FACTOR * _waiting_service.WORK_S / _waiting_service.SLOTS) + 1
    )  # one more than the bare minimum
    at_s, above = watch.first(wanted), seconds_above(outcome, seconds)
    sent = outcome.sent + outcome.withheld
    row = [
        f"`{policy}`",
        f"{len(above)} of {seconds}",
        str(above[-1] + 1) if above else "–",
        "never" if at_s is None else f"{at_s:.1f}",
        str(max((ready for _, ready in watch.ready), default=0)),
        f"{np.quantile(calm.latencies_ms, 0.95):.0f}",
        f"{np.quantile(outcome.latencies_ms, 0.95):.0f}",
        *(f"{count} ({100 * count / sent:.1f} %)" for count in (outcome.refused, outcome.failed, outcome.withheld)),
        f"{watch.replica_s:.0f}",
    ]
    others = {status: count for status, count in sorted(outcome.statuses.items()) if status != 200}
    print(f"{policy}: {sent} due, {len(outcome.latencies_ms)} answered, others {others}", file=sys.stderr, flush=True)
    print(f"{policy}: seconds above the SLO: {above}", file=sys.stderr, flush=True)
    return row, decisions


def set_replicas(admin: Caller, service: str, replicas: int) -> str:
    """Set the number by an order and wait for it. Return why it was not reached; empty when it was."""
    status, answer = admin.call("POST", f"/v1/services/{service}/scale", {"replicas": replicas, "expires_s": 600})
    if status != 200:
        raise SystemExit(f"{service} could not be set to {replicas}: {answer}")
    until_s = time.monotonic() + MOST_WAIT_S
    while (seen := admin.get(f"/v1/services/{service}/scaling"))["ready_instances"] != replicas:
        if time.monotonic() > until_s:
            decision = seen["decisions"][0]["decision"]
            return f"not reached: {decision['reason']}: {decision['binding']}"
        time.sleep(0.2)
    return ""


def embedding(fleet: RunningFleet, admin: Caller, replicas: int, seconds: float, seed: int) -> list[str]:
    why_not = set_replicas(admin, "embedding", replicas)
    if why_not:
        return [str(replicas), why_not, *["–"] * (len(RATES))]
    ask, cells, best = ask_of("embedding", None, custom=False), [], 0.0
    for number, rate in enumerate(RATES):
        # Each with a seed of its own: from the same one came the same texts, which the cache would answer.
        outcome = open_loop(fleet.gateway_url, ask, rate, seconds, seed + 100 * replicas + number)
        best = max(best, outcome.in_time / seconds)
        p95 = f"{np.quantile(outcome.latencies_ms, 0.95):.0f} ms" if outcome.latencies_ms else "–"
        lost = outcome.refused + outcome.failed + outcome.withheld
        cells.append(f"{outcome.in_time / seconds:.0f}/s, p95 {p95}, {lost} lost")
    return [str(replicas), f"{best:.0f}", *cells]


def table(heads: list[str], rows: list[list[str]]) -> None:
    for cells in (heads, ["---"] * len(heads), *rows):
        print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=75, help="seconds of the high load, for each policy")
    parser.add_argument("--only", nargs="+", default=POLICIES, choices=POLICIES)
    parser.add_argument("--no-embedding", action="store_true")
    parser.add_argument("--decisions", action="store_true", help="print the decisions")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="argosy-scaling-") as folder:
        home = Path(folder)
        shutil.copyfile(_waiting_service.__file__, home / "_waiting_service.py")
        (home / "fleet.toml").write_text(fleet_file(platform_cores=2))
        with RunningFleet(home / "data", "fleet.toml") as fleet:
            admin = Afresh(fleet.admin_url, (home / "data" / "token").read_text().strip())
            rows = []
            for policy in given.only:
                row, decisions = measure(fleet, admin, policy, given.seconds, given.seed)
                rows.append(row)
                if given.decisions:
                    for record in reversed(decisions):
                        print(policy, record["at"], record["performed"], record["repeated"], record["decision"])
            print(
                f"\nA step from {CALM_RPS:g} to {CALM_RPS * FACTOR:g} requests/s; SLO: {SLO_SHARE:.0%} of each second "
                f"within {SLO_MS} ms; cold start as it is on this machine:\n"
            )
            heads = ["policy", "s above the SLO", "the last of them", "s until enough ready", "most ready"]
            heads += ["p95 before, ms", "p95 of the answers, ms", "refused", "failed", "not sent", "replica-seconds"]
            table(heads, rows)
            if not given.no_embedding:
                rows = [embedding(fleet, admin, n, EMBEDDING_S, given.seed) for n in (1, 2)]
                print("\nThe embedding service, texts of 24 words that no cache knows:\n")
                table(["replicas", "most answered/s", *(f"at {rate:g}/s" for rate in RATES)], rows)


if __name__ == "__main__":
    main()
