"""The forecasts of a simulated run do not depend on how its load is written down."""

from __future__ import annotations

import numpy as np
import pytest

from argosy.simulation.scaling.demand import Demand
from argosy.simulation.scaling.foresight import foresee
from argosy.simulation.scaling.load import draw
from argosy.simulation.scaling.service import SERVICES

pytestmark = pytest.mark.unit


SCORED_BINS = 1_600
"""Enough for a forecast to be made; a whole day takes ten times as long."""


def test_bins_of_a_second_foretell_what_bins_of_a_minute_do() -> None:
    service = SERVICES["generation"]
    before_rps = 2 + np.sin(np.arange(26 * 60) / 60)
    minutes = Demand("minutes", 60, before_rps[-30:], before_rps)
    seconds = Demand("seconds", 1, np.repeat(minutes.rates_rps, 60), np.repeat(before_rps, 60))
    load = draw(minutes, service, 3)
    coarse, fine = (foresee(demand, load, service, 10.0, 3, SCORED_BINS).forecasts for demand in (minutes, seconds))
    assert coarse[-1] is not None
    assert [forecast and forecast.peak_replicas for forecast in fine] == pytest.approx(
        [forecast and forecast.peak_replicas for forecast in coarse]
    )
