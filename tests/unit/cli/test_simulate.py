"""`argosy simulate`: what it prints, and what it says of wrong input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from argosy.cli.main import app

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
    ],
)
def test_wrong_input_is_told_with_what_there_is(arguments: tuple[str, ...], status: int, said: str) -> None:
    result = simulate(*arguments)
    assert result.exit_code == status
    assert said in result.output
