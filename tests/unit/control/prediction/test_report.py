"""The reported record of forecasts is that of the model that scaling uses."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from argosy.control.prediction.outlook import Outlook
from argosy.control.prediction.peak.analogue import WindowPeak
from argosy.control.prediction.peak.window_regression import CHANCES, WindowFit
from argosy.control.prediction.report import WATCHED, service_view

pytestmark = pytest.mark.unit

PEAK = WindowPeak(loss=2.0, naive_loss=3.0, coverage=0.97, peak=8.0, period_s=300, horizon_s=25)


def _shown(outlook: Outlook) -> tuple[float, float, float, bool]:
    peak = service_view(outlook, 4, dict.fromkeys(WATCHED, np.full(10, np.nan)), 0.0).peak
    assert peak is not None
    assert peak.replicas == 4.0
    return peak.error, peak.naive_error, peak.coverage, peak.used


def test_the_record_is_of_the_regression_where_that_is_used_and_else_it_says_unused() -> None:
    outlook = Outlook("work", 2, lambda step_s, number, values: None)
    outlook.expected = PEAK
    assert _shown(outlook) == (1.0, 1.5, 0.97, False), "analogues alone are not used"
    fitted = WindowFit(
        loss=4.0, naive_loss=5.0, coverage=0.98, window=outlook.peak.window, weights=[], quantiles=[], scale=1.0
    )
    outlook.window, outlook.spread = fitted, tuple((chance, 1.0) for chance in CHANCES.tolist())
    assert _shown(outlook) == (2.0, 2.5, 0.98, True)
    outlook.window, outlook.spread = msgspec.structs.replace(fitted, window=99), ()
    assert _shown(outlook) == (1.0, 1.5, 0.97, False), "of another window"
