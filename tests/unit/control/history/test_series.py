"""Series: committed values are read back, even after compaction and without a close."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from argosy.control.history.series import CHUNK, DAY_S, Series

pytestmark = pytest.mark.unit


def test_ticks_are_read_back_through_compaction_and_a_restart_without_a_close(tmp_path: Path) -> None:
    series = Series(tmp_path)
    for number in range(2 * CHUNK + 5):
        series.record(15, number, {"a/rate": number, "b/rate": 2.0 * number} if number != 7 else {"b/rate": 14.0})
    again = Series(tmp_path)
    found = again.read("a/rate", 15, 0, 2 * CHUNK + 4)
    expected = np.arange(2 * CHUNK + 5, dtype=np.float32)
    assert np.isnan(found[7])
    expected[7] = np.nan
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(again.read("b/rate", 300, 1, 2), [2 * 29.5, 2 * 49.5])
    assert np.isnan(again.read("unknown", 15, 0, 3)).all()
    again.close()
    series.close()


def test_what_is_too_old_goes_and_its_means_stay(tmp_path: Path) -> None:
    series = Series(tmp_path)
    series.record(15, 0, {"a": 3.0})
    series.record(15, 4 * DAY_S // 15, {"a": 4.0})
    series.record(15, 4 * DAY_S // 15 + CHUNK, {"a": 5.0})
    assert np.isnan(series.read("a", 15, 0, 0)).all()
    assert series.read("a", 300, 0, 0).tolist() == [3.0]
    series.close()
