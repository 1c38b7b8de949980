"""Simulations that are spread over processes find what one process finds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from argosy.simulation.balancing.comparison import compare
from argosy.simulation.balancing.regimes import unequal
from argosy.simulation.balancing.subject import Subject
from argosy.simulation.loads.durations import Lognormal
from argosy.simulation.scaling.demand import Demand
from argosy.simulation.scaling.service import SimulatedService
from argosy.simulation.scaling.sweep import Cell, busy, sweep

pytestmark = pytest.mark.integration


def test_comparisons_of_strategies() -> None:
    subjects = [Subject.parse("least_connections"), Subject.parse("round_robin")]
    regime = replace(unequal(), requests=1000)
    assert compare(regime, subjects, seeds=2, jobs=2) == compare(regime, subjects, seeds=2, jobs=1)


def test_sweeps_of_policies() -> None:
    service = SimulatedService("made up", Lognormal(mean_s=0.5, sigma=0.8), slots=4)
    rates = np.concatenate((np.full(10, 1.0), np.full(10, 3.0), np.full(20, 1.0)))
    cell = Cell(busy(Demand("made up", 15, rates, np.empty(0)), service, 5.0), service, 10.0, 1, 15)
    names = ["hpa_cpu", "static"]
    assert sweep(cell, names, seeds=2, jobs=2) == sweep(cell, names, seeds=2)
