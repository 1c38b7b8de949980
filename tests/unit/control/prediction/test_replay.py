"""Replay of the last days: longer holds where bursts come again, shorter ones where nothing happens, no look-ahead."""

from __future__ import annotations

import numpy as np
import pytest

from argosy.config.models import EmbeddingSettings, Replicas
from argosy.config.scaling import PredictiveSettings, ScalingSettings
from argosy.contracts.forecast import TuningView
from argosy.control.prediction.analogue import BIN_S, DAY
from argosy.control.prediction.arrays import Floats
from argosy.control.prediction.replay import (
    LEAST_GAIN,
    NO_FORECAST,
    PASSES,
    PEAK_LATE,
    Bill,
    Candidate,
    Replay,
    Shadow,
    best,
    candidates,
)
from argosy.control.prediction.replay_tuner import ReplayReply, ReplayTuner, replayed
from argosy.control.scaling.observation import Capacity

pytestmark = pytest.mark.unit

SHADOW = Shadow(Capacity(1.0, 4.0), 60.0, 1.0, 0.01, 1, 20)
REACTIVE = [c for c in candidates() if c.peak_late == NO_FORECAST]
BINS = DAY // 4
NONE = [np.full(BINS, np.nan)] * len(PEAK_LATE)


def _steps() -> Floats:
    """Flat for an hour at a time, high or low: what is held through a low stretch is wasted."""
    return np.asarray(np.where(np.arange(BINS) // (BINS // 6) % 2, 0.1, 30.0))


def _bursts() -> Floats:
    """One every ten minutes that is over soon after a replica has started for it; some are higher."""
    loads = np.full(BINS, 1.0)
    heights = np.random.default_rng(2).gamma(4, 1.2, BINS * BIN_S // 600)
    for bin_number in range(18):
        loads[bin_number :: 600 // BIN_S] += heights
    return loads


def _chosen(loads: Floats, cost_s: float = 60.0) -> Candidate:
    return best(Replay(loads, NONE, SHADOW), Candidate(300.0, 0.65, NO_FORECAST, 300.0), REACTIVE, cost_s)[0]


def test_bursts_that_come_again_are_worth_a_longer_hold_than_a_flat_load() -> None:
    assert _chosen(_bursts()).hold_s >= 900
    assert _chosen(_steps()).hold_s <= 300


def _bill(loads: Floats, hold_s: float) -> Bill:
    return Replay(loads, NONE, SHADOW).bill(Candidate(hold_s, 0.65, NO_FORECAST, 0.0))


def test_the_dearer_a_late_answer_the_fewer_are_late() -> None:
    replay = Replay(_bursts(), NONE, SHADOW)
    late = [replay.bill(_chosen(_bursts(), cost_s)).late for cost_s in (0.01, 10, 1000)]
    assert late[0] > late[1] >= late[2]


def test_what_is_used_stays_unless_another_saves_enough() -> None:
    replay = Replay(_steps(), NONE, SHADOW)
    totals = {c: replay.bill(c).total_s(60) for c in REACTIVE}
    cheapest = min(totals, key=totals.__getitem__)
    near = [c for c in REACTIVE if totals[cheapest] < totals[c] < totals[cheapest] / (1 - LEAST_GAIN)]
    far = [c for c in REACTIVE if totals[c] > 1.001 * totals[cheapest] / (1 - LEAST_GAIN)]
    assert near
    assert far
    assert all(best(replay, c, REACTIVE, 60)[0] == c for c in near)
    assert all(best(replay, c, REACTIVE, 60)[0] == cheapest for c in far)


def test_a_forecast_is_used_where_it_saves_and_left_where_it_wastes() -> None:
    loads = _bursts()
    need = np.ceil(loads / 2)
    # For as long as the burst lasts, and a cold start before it.
    right = np.max([np.roll(need, -shift) for shift in range(14)], axis=0)
    now = Candidate(300.0, 0.65, NO_FORECAST, 300.0)
    assert best(Replay(loads, [right] * len(PEAK_LATE), SHADOW), now, candidates(), 60)[0].peak_late != NO_FORECAST
    wasteful = [np.full(BINS, 20.0)] * len(PEAK_LATE)
    assert best(Replay(np.full(BINS, 1.0), wasteful, SHADOW), now, candidates(), 60)[0].peak_late == NO_FORECAST


def test_no_bin_depends_on_a_later_one() -> None:
    rng = np.random.default_rng(4)
    loads = rng.gamma(4, 1, 4000)
    asked = [rng.integers(1, 9, 4000).astype(float) for _ in PEAK_LATE]
    late, wanted = Replay(loads, asked, SHADOW).course(candidates()[-1])
    cut = 2500
    changed = loads.copy()
    changed[cut:] = 40.0
    later = [np.concatenate((counts[:cut], np.full(4000 - cut, 20.0))) for counts in asked]
    late_too, wanted_too = Replay(changed, later, SHADOW).course(candidates()[-1])
    assert late_too[:cut] == pytest.approx(late[:cut])
    assert wanted_too[:cut].tolist() == wanted[:cut].tolist()
    # What runs in a bin does not depend on the load of that bin itself either.
    assert Replay(changed, asked, SHADOW).course(candidates()[-1])[1][cut] == wanted[cut]


def test_bins_that_are_not_known_cost_nothing_and_are_not_taken_for_calm() -> None:
    loads = np.full(BINS, 9.0)
    whole = _bill(loads, 60)
    loads[1000:2000] = np.nan
    gap = _bill(loads, 60)
    assert gap.requests == pytest.approx(whole.requests * (BINS - 1000) / BINS)
    assert gap.replica_s == pytest.approx(whole.replica_s * (BINS - 1000) / BINS, rel=0.01)
    assert gap.late <= whole.late
    assert _bill(np.full(100, np.nan), 60) == Bill(0.0, 0.0, 0.0)


def test_a_backlog_makes_late_what_comes_after_it() -> None:
    loads = np.full(2000, 2.0)
    loads[1000:1004] = 100.0
    late, _ = Replay(loads, [np.full(2000, np.nan)] * len(PEAK_LATE), SHADOW).course(
        Candidate(60, 0.65, NO_FORECAST, 60)
    )
    assert late[:1000].sum() < 5
    assert late[1004:1010].sum() > 0.8 * 6 * 2 * BIN_S
    assert late[1500:].sum() < 5


def test_a_replay_passes_over_the_history_a_fixed_number_of_times() -> None:
    replay = Replay(np.full(BINS, 1.0), NONE, SHADOW)
    best(replay, candidates()[0], candidates(), 60)
    assert replay.passes == PASSES * len(candidates())


def _tuner() -> ReplayTuner:
    paid = ScalingSettings(predictive=PredictiveSettings(violation_cost_s=60))
    return ReplayTuner(EmbeddingSettings(replicas=Replicas(min=1, max=20), scaling=paid))


def _request(tuner: ReplayTuner, known: int, capacity: Capacity | None) -> bool:
    loads = np.full(4 * DAY, np.nan, np.float32)
    loads[len(loads) - known :] = 1.0
    return tuner.request(loads, [loads] * len(PEAK_LATE), capacity, 10.0) is not None


def test_nothing_is_chosen_before_a_day_is_recorded_or_the_capacity_learnt() -> None:
    tuner = _tuner()
    assert not _request(tuner, DAY - 1, Capacity(1.0, 4.0))
    assert "of 24 h" in tuner.view().state
    assert not _request(tuner, DAY, None)
    assert "capacity" in tuner.view().state
    assert not _request(tuner, DAY, Capacity(1.0, 4.0, samples=10))
    assert tuner.tuning().hold_s is None
    assert _request(tuner, DAY, Capacity(1.0, 4.0))


def test_a_choice_says_why_and_since_when_and_survives_a_restart() -> None:
    tuner = _tuner()
    loads = np.tile(_bursts(), 4).astype(np.float32)
    request = tuner.request(loads, [np.full(DAY, np.nan, np.float32)] * len(PEAK_LATE), Capacity(1.0, 4.0), 10.0)
    assert request is not None
    reply = replayed(request)
    tuner.take(reply, 5000.0)
    view = tuner.view()
    assert (view.since_s, view.hold_s) == (5000.0, reply.chosen.hold_s)
    assert "less than what was used before" in view.state
    again = _tuner()
    again.restore(tuner.memory())
    assert again.view() == view
    assert again.tuning() == tuner.tuning()
    # The next replay finds the same: nothing is switched, and `since` stays.
    tuner.take(ReplayReply(reply.chosen, reply.bill, reply.bill), 9000.0)
    assert tuner.view() == view
    assert isinstance(view, TuningView)
