"""Logs of a service: merged by time, followed, readable."""

from __future__ import annotations

import datetime
import itertools
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from argosy.cli import output
from argosy.cli.log_files import LogFiles
from argosy.cli.main import app
from argosy.contracts.errors import NotFound

pytestmark = pytest.mark.unit


def entry(second: int, event: str, **fields: object) -> str:
    return json.dumps({"timestamp": f"2026-01-01T00:00:{second:02}.000000Z", "event": event, **fields}) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "store-1.log").write_text(entry(1, "a") + entry(4, "d") + "Traceback\n  in d\n" + entry(6, "f"))
    (logs / "store-2.log").write_text(entry(2, "b", level="error", size_bytes=3) + entry(5, "e"))
    (logs / "store-front-1.log").write_text(entry(3, "another service"))
    (logs / "controller.log").write_text(entry(0, "controller"))
    return logs


def events(files: LogFiles, last: int | None = None) -> list[object]:
    return [line.fields.get("event", line.text) for line in files.merged(last)]


def test_replicas_are_merged_by_time_and_a_traceback_stays_whole(folder: Path) -> None:
    assert events(LogFiles(folder, "store")) == ["a", "b", "d", "Traceback", "  in d", "e", "f"]


def test_only_the_last_lines_are_given_when_asked(folder: Path) -> None:
    assert events(LogFiles(folder, "store"), last=2) == ["e", "f"]


def test_following_gives_what_is_written_later_and_never_half_a_line(folder: Path) -> None:
    later = iter([entry(7, "g") + '{"half', '": "a line"}\n', entry(8, "h")])

    def write(seconds: float) -> None:
        with (folder / "store-2.log").open("a") as file:
            file.write(next(later))

    files = LogFiles(folder, "store", pause=write)
    list(files.merged())

    followed = [line.text.strip() for line in itertools.islice(files.follow(), 3)]

    assert followed == [entry(7, "g").strip(), '{"half": "a line"}', entry(8, "h").strip()]


def test_following_goes_on_with_a_file_that_was_replaced(folder: Path) -> None:
    files = LogFiles(folder, "controller")
    list(files.merged())
    (folder / "controller.log").write_text("x\n")

    assert events(files) == ["x"]


def test_an_unknown_service_is_told_which_there_are(folder: Path) -> None:
    with pytest.raises(NotFound, match="there are logs of controller, store, store-front"):
        LogFiles(folder, "stroe")


def test_the_command_prints_a_readable_line(folder: Path) -> None:
    result = CliRunner().invoke(app, ["logs", "store", "--data-dir", str(folder.parent)])

    assert result.exit_code == 0
    clock = output.moment(datetime.datetime(2026, 1, 1, 0, 0, 2, tzinfo=datetime.UTC).timestamp(), milliseconds=True)
    assert clock + " error   store-2      b  size_bytes=3" in result.stdout.splitlines()


def test_the_command_prints_lines_as_they_are_when_asked_for_json(folder: Path) -> None:
    result = CliRunner().invoke(app, ["logs", "controller", "--json", "--data-dir", str(folder.parent)])

    assert result.stdout == (folder / "controller.log").read_text()
