"""`argosy simulate`: its output, and its messages about wrong input."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from argosy.cli.main import app
from argosy.config.scaling import ScalingSettings
from argosy.config.service import Replicas, ServiceSettings
from argosy.control.history.history import History
from argosy.control.history.series import Series
from argosy.control.prediction.cold_start import ColdStarts
from argosy.control.prediction.outlook import Outlook
from argosy.control.scaling.registration import Registration
from argosy.simulation.scaling.recorded import RecordedService, known_of

pytestmark = pytest.mark.unit

QUICK = ("--requests", "1000", "--seeds", "2", "--jobs", "1")


def simulate(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["simulate", *QUICK, *arguments])


def test_json_holds_a_row_for_each_strategy_with_intervals_and_the_ratios_to_the_first() -> None:
    result = simulate("--strategy", "adaptive,round_robin", "--regime", "unequal", "--callers", "2", "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert (answer["regime"], answer["callers"], answer["seeds"], answer["requests"]) == ("unequal", 2, 2, 1000)
    assert "trace" not in answer
    assert [row["strategy"] for row in answer["rows"]] == ["adaptive", "round_robin"]
    for row in answer["rows"]:
        for name in ("p50_ms", "p99_ms", "p999_ms", "goodput", "failed", "slow_share"):
            low, high = row["ci95"][name]
            assert low <= row[name] <= high
    assert answer["versus"]["round_robin"] > 1


def test_a_table_a_picture_and_a_trace(tmp_path: Path) -> None:
    trace, picture = tmp_path / "rps.txt", tmp_path / "tail.svg"
    trace.write_text("20 " * 60)
    result = simulate("--strategy", "adaptive,peak_ewma", "--trace", str(trace), "--plot", str(picture))
    assert result.exit_code == 0, result.output
    assert "peak_ewma" in result.stdout
    assert "times that of adaptive" in result.stdout
    assert picture.read_text().startswith("<svg")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("--regime", "unheard_of"), 1, "flash_crowd"),
        (("--strategy", "adaptive,unheard_of"), 1, "peak_ewma"),
        (("--strategy", "adaptive:sometimes"), 1, "guarded"),
        (("--trace", "no/such/file"), 1, "cannot be read"),
        (("--trace", "a", "--regime", "equal"), 2, "not both"),
        (("--seeds", "0"), 2, "--seeds"),
        (("--policy", "kpa"), 2, "--trace or --from-history"),
        (("--policy", "kpa", "--trace", "a", "--from-history", "7d"), 2, "--trace or --from-history"),
        (("--policy", "kpa,unheard_of", "--trace", "a"), 1, "hpa_inflight"),
        (("--policy", "kpa", "--trace", "no/such/file"), 1, "cannot be read"),
        (("--policy", "kpa", "--from-history", "soon"), 2, "90s"),
        (("--from-history", "1h"), 2, "--policy"),
        (("--sweep",), 2, "--policy"),
        (("--policy", "kpa", "--trace", "a", "--plot", "no/such/folder/x.svg"), 2, "does not exist"),
        (("--policy", "kpa", "--from-history", "1h", "--data-dir", "no/such/folder"), 1, "control.db"),
    ],
)
def test_wrong_input_is_told_with_what_there_is(arguments: tuple[str, ...], status: int, said: str) -> None:
    result = simulate(*arguments)
    assert result.exit_code == status
    assert said in result.output


def test_scaling_policies_are_compared_on_a_trace(tmp_path: Path) -> None:
    trace, picture = tmp_path / "rps.txt", tmp_path / "pareto.svg"
    trace.write_text("1 2 3 4 5 6 5 4 3 2 " * 90)
    arguments = (
        "--policy",
        "kpa,predictive,static",
        "--trace",
        str(trace),
        "--service",
        "embedding",
        "--cold-start-s",
        "2",
    )
    result = simulate(*arguments, "--sweep", "--plot", str(picture), "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert (answer["service"], answer["cold_start_s"], answer["seeds"], answer["max_replicas"]) == (
        "embedding",
        2,
        2,
        20,
    )
    assert answer["trace"] == str(trace)
    assert list(dict.fromkeys(row["policy"] for row in answer["rows"])) == ["kpa", "predictive", "static"]
    assert sum(row["policy"] == "kpa" for row in answer["rows"]) >= 8
    for row in answer["rows"]:
        assert {"p50_ms", "p99_ms", "p999_ms", "goodput", "failed"} < set(row)
        low, high = row["ci95"]["replica_hours"]
        assert low <= row["replica_hours"] <= high
        assert 0 <= row["slo_violations"] <= 1
    assert set(answer["versus"]) == {"kpa", "static"}, "predictive is compared with the others, wherever it stands"
    assert picture.read_text().startswith("<svg")
    usual = simulate(*arguments)
    assert usual.exit_code == 0, usual.output
    assert usual.stdout.count("kpa ") == 1
    assert "15 ms each, 1 slot per replica, SLO 500 ms" in usual.stdout


def test_the_load_that_the_controller_recorded_is_replayed(tmp_path: Path) -> None:
    recorded, last = Series(tmp_path), int(time.time() // 15)
    for tick in range(last - 120, last):
        rate = 10.0 if tick % 2 else 14.0
        recorded.record(15, tick, {"searching/rate": rate, "searching/response": 0.2 if tick % 2 else 0.1})
    recorded.close()
    arguments = ("--from-history", "30m", "--data-dir", str(tmp_path), "--slots", "2")
    result = simulate("--policy", "predictive,hpa_cpu", "--service", "searching", *arguments, "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert (answer["load"], answer["service"], answer["max_replicas"]) == ("searching", "searching", 10)
    assert answer["requests"] == pytest.approx(12 * 1800, rel=0.05)
    assert answer["cold_start_s"] == 10
    told = simulate("--policy", "predictive", "--service", "searching", *arguments)
    assert "100 ms each, 2 slots per replica, SLO twice the request's own time" in told.stdout
    result = simulate("--policy", "predictive", "--service", "unheard_of", *arguments)
    assert (result.exit_code, "no load of unheard_of" in result.output) == (1, True)
    assert "series of searching" in result.output


def test_a_replay_takes_what_the_controller_knows_of_the_service(tmp_path: Path) -> None:
    recorded, last = Series(tmp_path), int(time.time() // 15)
    for tick in range(last - 20, last):
        recorded.record(15, tick, {"work/rate": 10.0, "work/response": 0.1})
    recorded.close()
    history = History(tmp_path)
    assert known_of(tmp_path, "work") == RecordedService()
    settings = ServiceSettings(replicas=Replicas(min=1, max=6), scaling=ScalingSettings(slots=3))
    history.remember("scaling/work", 0.0, Registration.of("work", settings).to_memory(0.0, 1))
    seen = Outlook("work", 3, lambda step_s, number, values: None)
    seen.cold_starts = ColdStarts((2.0, 2.0))
    history.remember("prediction/work", 0.0, seen.memory())
    history.close()
    assert known_of(tmp_path, "work") == RecordedService(2.0, 6, 3)
    arguments = ("--policy", "hpa_cpu", "--service", "work", "--from-history", "5m", "--data-dir", str(tmp_path))
    answer = json.loads(simulate(*arguments, "--json").stdout)
    assert (answer["cold_start_s"], answer["max_replicas"]) == (2, 6)
    assert json.loads(simulate(*arguments, "--cold-start-s", "7", "--json").stdout)["cold_start_s"] == 7
