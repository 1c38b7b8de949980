"""Load reports as replicas, proxies and strangers send them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.balancing.outcome import NOTICED_EPS, LoadReport
from argosy.serving.latency_by_load import RECENT_S, NearLatency
from argosy.serving.load import LoadTracker
from tests.kits import make_kit

pytestmark = pytest.mark.unit


def test_a_replica_of_ours_is_understood() -> None:
    kit = make_kit()
    kit.load.begin()
    report = LoadReport.parse(kit.load.header())
    assert report is not None
    assert (report.rif, report.queued, report.latency_ms) == (1, 0, 0)
    assert report.mem_utilization is not None


def test_a_replica_of_ours_tells_of_its_failures_and_forgets_them() -> None:
    now_s = 0.0
    load = LoadTracker(lambda: now_s, capacity=4)
    for status in (200, 500, 200, 503):
        load.end(load.begin(), status)
    now_s = 1.0
    told = LoadReport.parse(load.header())
    assert told is not None
    assert told.rps == 4
    assert told.failing == pytest.approx(2 * math.exp(-1.0) / 4, rel=0.02)
    now_s = 6.0
    later = LoadReport.parse(load.header())
    assert later is not None
    assert later.failing == 0


@pytest.mark.parametrize(
    ("report", "failing"),
    [
        (LoadReport(), 0),
        (LoadReport(eps=1), 0),
        (LoadReport(eps=1, rps=4), 0.25),
        (LoadReport(eps=2, rps=1), 1),
        (LoadReport(eps=NOTICED_EPS / 2, rps=NOTICED_EPS / 2), 0),
    ],
)
def test_the_failing_share_needs_failures_enough_to_speak_of(report: LoadReport, failing: float) -> None:
    assert report.failing == failing


def test_figures_that_make_no_sense_are_passed_over() -> None:
    header = (
        "TEXT cpu_utilization=0.5, mem_utilization=-1,application_utilization=nan,  rps_fractional=inf, x=1, y,rif=3"
    )
    assert LoadReport.parse(header) == LoadReport(cpu_utilization=0.5)


@pytest.mark.parametrize("header", [None, "", "BIN abc", "JSON {}", "TEXT ", "TEXT a=b"])
def test_what_is_no_report_is_none(header: str | None) -> None:
    assert LoadReport.parse(header) is None


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    for header in (text, "TEXT " + text):
        report = LoadReport.parse(header)
        assert report is None or report == report, "a value that is no number would differ from itself"


def test_latency_is_of_the_last_seconds_at_about_this_load() -> None:
    near = NearLatency()
    assert near.at(0, 0.0) is None
    for _ in range(5):
        near.add(0, 0.010, 1.0)
        near.add(8, 0.080, 1.0)
    assert (near.at(1, 1.0), near.at(10, 1.0)) == (0.010, 0.080)


def test_a_slowness_that_is_over_is_no_longer_told() -> None:
    near = NearLatency()
    for n in range(50):
        near.add(0, 0.160, n / 50)
    later_s = 1.0 + RECENT_S + 1
    assert near.at(0, later_s) == 0.160
    near.add(0, 0.010, later_s)
    assert near.at(0, later_s) == 0.010
