"""The peers row by row against what their documentation says."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from argosy.simulation.scaling.autoscaler import Autoscaler
from argosy.simulation.scaling.ledger import Ledger
from argosy.simulation.scaling.peers.hpa import Hpa
from argosy.simulation.scaling.peers.keda import Keda
from argosy.simulation.scaling.peers.kpa import Kpa
from argosy.simulation.scaling.peers.ray_serve import RayServe
from argosy.simulation.scaling.readings import Readings

pytestmark = pytest.mark.unit

SLOTS = 4
LONGEST_S = 3600


class Scene:
    """A service whose load is told second by second, and replicas that do what is wanted, at once or never."""

    def __init__(self, autoscaler: Autoscaler, replicas: int, *, most: int = 100, starts: bool = True) -> None:
        self.ledger = Ledger(LONGEST_S)
        self.seen = Readings(self.ledger, SLOTS, 1, most)
        self.seen.replicas = self.seen.ready = replicas
        self.autoscaler, self.starts = autoscaler, starts

    def run(self, seconds: int, in_flight: float, busy: float | None = None) -> list[int]:
        """Return the replicas after each decision. Without `busy`, each request keeps one slot busy."""
        ledger, seen, wanted = self.ledger, self.seen, []
        for _ in range(seconds):
            now = seen.now
            working = min(in_flight, seen.ready * SLOTS) if busy is None else busy
            ledger.present_s[now + 1] = ledger.present_s[now] + in_flight
            ledger.busy_s[now + 1] = ledger.busy_s[now] + working
            ledger.in_flight[now + 1] = in_flight
            seen.now = now + 1
            if seen.now % self.autoscaler.interval_s:
                continue
            seen.replicas = max(seen.min_replicas, min(seen.max_replicas, self.autoscaler.wanted(seen)))
            if self.starts or seen.replicas < seen.ready:
                seen.ready = seen.replicas
            wanted.append(seen.replicas)
        return wanted


def settled(autoscaler: Autoscaler, replicas: int, in_flight: float, seconds: int = 60) -> int:
    return Scene(autoscaler, replicas).run(seconds, in_flight)[-1]


@pytest.mark.parametrize(
    ("replicas", "busy", "wanted"),
    [
        (4, 0.5, 4),  # at its target
        (4, 0.54, 4),  # 8 % over: within the tolerance
        (4, 0.56, 5),  # ⌈4 × 1.12⌉
        (4, 0.75, 6),  # ⌈4 × 1.5⌉
        (10, 0.95, 19),
        (10, 1.0, 20),
    ],
)
def test_hpa_on_cpu_goes_to_replicas_times_metric_over_target(replicas: int, busy: float, wanted: int) -> None:
    scene = Scene(Hpa(0.5, cpu=True), replicas)
    assert scene.run(15, 0.0, busy * replicas * SLOTS) == [wanted]


@pytest.mark.parametrize(("replicas", "wanted"), [(1, 5), (3, 7), (4, 8), (6, 12)])
def test_hpa_grows_by_the_greater_of_all_and_four_in_fifteen_seconds(replicas: int, wanted: int) -> None:
    scene = Scene(Hpa(1.0, cpu=False), replicas)
    assert scene.run(15, 1000.0) == [wanted]
    assert scene.run(15, 1000.0) == [wanted + max(wanted, 4)]


def test_hpa_goes_down_to_the_highest_wish_of_five_minutes() -> None:
    scene = Scene(Hpa(2.0, cpu=False), 10)
    assert scene.run(15, 20.0) == [10]
    assert scene.run(15, 12.0) == [10]
    assert scene.run(270, 8.0) == [10] * 18
    assert scene.run(15, 8.0) == [6]
    assert scene.run(15, 8.0) == [4]


def test_hpa_counts_what_is_starting_as_idle_when_it_grows() -> None:
    scene = Scene(Hpa(2.0, cpu=False), 4, starts=False)
    assert scene.run(15, 16.0) == [8]
    assert scene.run(15, 16.0) == [8], "16 in flight are 2 a replica once all eight serve"
    assert scene.run(15, 32.0) == [16]


def test_keda_sees_what_it_polled_half_a_minute_ago() -> None:
    scene = Scene(Keda(2.0), 4)
    assert scene.run(15, 8.0) == [4]
    assert scene.run(15, 12.0) == [4]
    assert scene.run(15, 12.0) == [6]
    assert scene.run(285, 4.0)[-1] == 6
    assert scene.run(60, 4.0)[-1] == 2


def test_kpa_follows_the_mean_of_a_minute() -> None:
    assert settled(Kpa(2.0), 4, 8.0, 120) == 4
    assert settled(Kpa(2.0), 4, 11.0, 120) == 6
    scene = Scene(Kpa(2.0), 4)
    scene.run(120, 8.0)
    assert scene.run(30, 12.0)[-1] == 5, "half a minute of 6 replicas' load in a minute of 4 to 6"


def test_kpa_panics_when_six_seconds_ask_for_twice_what_is_ready_and_does_not_go_down_before_a_minute_of_calm() -> None:
    scene = Scene(Kpa(2.0), 4)
    scene.run(120, 8.0)
    assert scene.run(6, 40.0) == [10, 15, 20]
    calm = scene.run(58, 2.0)
    assert set(calm) == {20}
    assert scene.run(20, 2.0)[-1] < 20


def test_kpa_halves_at_most_in_one_step() -> None:
    scene = Scene(Kpa(2.0), 1)
    scene.run(60, 0.0)
    scene.seen.replicas = scene.seen.ready = 16
    assert scene.run(10, 0.0) == [8, 4, 2, 1, 1]


def test_ray_serve_goes_up_after_thirty_seconds_of_wanting_and_down_after_six_hundred() -> None:
    scene = Scene(RayServe(2.0), 2)
    assert set(scene.run(60, 4.0)) == {2}
    up = scene.run(80, 12.0)
    first = up.index(6) if 6 in up else next(i for i, n in enumerate(up) if n > 2)
    assert 30 <= first <= 35
    assert up[-1] == 6
    assert set(scene.run(580, 4.0)) == {6}
    assert scene.run(60, 4.0)[-1] == 2


def test_ray_serve_forgets_a_wish_that_was_interrupted() -> None:
    scene = Scene(RayServe(2.0), 2)
    scene.run(60, 4.0)
    for _ in range(5):
        assert set(scene.run(15, 5.0)) == {2}
        assert set(scene.run(10, 2.5)) == {2}
        assert set(scene.run(30, 4.0)) == {2}


@pytest.mark.parametrize(
    "autoscaler",
    [Hpa(0.5, cpu=True), Hpa(2.0, cpu=False), Keda(2.0), Kpa(2.0), RayServe(2.0)],
    ids=lambda a: type(a).__name__,
)
def test_all_stay_within_the_bounds(autoscaler: Autoscaler) -> None:
    scene = Scene(autoscaler, 3, most=7)
    counts: Sequence[int] = scene.run(200, 500.0) + scene.run(1500, 0.0)
    assert max(counts) == 7
    assert counts[-1] == 1
