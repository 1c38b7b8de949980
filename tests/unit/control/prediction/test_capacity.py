"""Capacity model: known parameters are recovered, and unknown ones are not claimed."""

from __future__ import annotations

import numpy as np
import pytest

from argosy.control.prediction.capacity import CapacityFit, fit_capacity

pytestmark = pytest.mark.unit

SERVICE_TIME_S, SLOTS, VARIABILITY = 0.2, 4.0, 0.8


def _fitted(samples: int, noise: float, *, sigma: float = 0.0, replicas: tuple[int, ...] = (1, 2)) -> CapacityFit:
    """Return a fit to the model's own queues, from idle to nearly full, with `noise` as a share of the value."""
    rng = np.random.default_rng(samples)
    ready = rng.choice(replicas, samples).astype(np.float64)
    servers = SLOTS * ready / (1 + sigma * (ready - 1))
    full = rng.uniform(0.1, 0.95, samples)
    busy = full * servers
    waiting = busy * full ** (np.sqrt(2 * (servers + 1)) - 1) / (servers * (1 - full))
    in_flight = (busy + VARIABILITY * waiting) * np.exp(rng.normal(0, noise, samples))
    return fit_capacity(busy / SERVICE_TIME_S, in_flight, ready)


def test_what_was_made_up_is_found_again() -> None:
    found = _fitted(600, 0.05)
    assert found.why_not == ""
    assert found.service_time_s == pytest.approx(SERVICE_TIME_S, rel=0.05)
    assert found.service_time_low_s <= SERVICE_TIME_S <= found.service_time_high_s
    assert found.slots == SLOTS
    assert found.sigma == 0
    assert found.variability == pytest.approx(VARIABILITY, rel=0.3)
    assert found.replicas_seen == 2


def test_two_replicas_that_share_the_same_cores_are_seen_not_to_double() -> None:
    found = _fitted(600, 0.05, sigma=0.7)
    assert found.sigma == pytest.approx(0.7, abs=0.3)
    assert _fitted(600, 0.05, sigma=0.7, replicas=(1,)).sigma == 0


@pytest.mark.parametrize(("samples", "noise", "why"), [(199, 0.05, "199 of 200 samples"), (400, 2.0, "0.8 is needed")])
def test_too_few_or_unexplained_samples_teach_nothing(samples: int, noise: float, why: str) -> None:
    found = _fitted(samples, noise)
    assert why in found.why_not
    assert found.capacity(4.0) is None


def test_samples_that_cannot_be_count_for_nothing() -> None:
    bad = np.array([np.nan, -1.0, np.inf, 0.0] * 100)
    assert fit_capacity(bad, np.ones(400), np.ones(400)) == fit_capacity(np.ones(400), bad, np.ones(400))
    assert fit_capacity(bad, bad, bad).samples == 0
