"""Errors become sentences and exit statuses; starting the command stays cheap."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from argosy.cli import documents, jobs, main
from argosy.cli.main import Commands
from argosy.contracts.documents import DocumentStatus
from argosy.contracts.errors import NotFound
from argosy.services.documents.records.schema import JobState

pytestmark = pytest.mark.unit


def command_that_raises(error: BaseException) -> typer.Typer:
    app = typer.Typer(cls=Commands, rich_markup_mode=None, pretty_exceptions_enable=False)

    @app.callback()
    def root() -> None: ...

    @app.command()
    def run() -> None:
        raise error

    return app


def test_an_error_of_ours_is_one_sentence_and_status_1() -> None:
    result = CliRunner().invoke(command_that_raises(NotFound("There is no such thing.")), ["run"])

    assert result.exit_code == 1
    assert result.stderr == "error: There is no such thing.\n"
    assert result.stdout == ""


def test_anything_unexpected_is_one_sentence_too() -> None:
    result = CliRunner().invoke(command_that_raises(ZeroDivisionError("division by zero")), ["run"])

    assert result.exit_code == 1
    assert result.stderr == (
        "error: Unexpected error (ZeroDivisionError: division by zero); run with ARGOSY_DEBUG=1 for the traceback.\n"
    )


def test_with_debugging_on_the_traceback_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGOSY_DEBUG", "1")

    result = CliRunner().invoke(command_that_raises(ZeroDivisionError()), ["run"])

    assert isinstance(result.exception, ZeroDivisionError)


def test_ctrl_c_ends_with_130() -> None:
    assert CliRunner().invoke(command_that_raises(KeyboardInterrupt()), ["run"]).exit_code == 130


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["ask"], ["search", "x", "--mode", "guess"], ["search", "x", "--top-k", "0"]]
)
def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    result = CliRunner().invoke(main.app, arguments)

    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_every_command_explains_itself() -> None:
    for words in (
        ["add"],
        ["ask"],
        ["search"],
        ["documents", "list"],
        ["collections", "delete"],
        ["status"],
        ["logs"],
        ["doctor"],
        ["models", "fetch"],
        ["version"],
    ):
        result = CliRunner().invoke(main.app, [*words, "--help"])
        assert result.exit_code == 0, words
        assert result.stdout.startswith("Usage:"), words


def test_the_version_is_the_packages() -> None:
    result = CliRunner().invoke(main.app, ["version"])

    assert result.exit_code == 0
    assert result.stdout.startswith("argosy ")


@pytest.mark.parametrize("arguments", [["--help"], ["version"]])
def test_help_and_version_load_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys; sys.argv = ['argosy', *sys.argv[1:]]; from argosy.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'aiohttp', 'asyncio', 'msgspec', 'numpy', 'pydantic', 'rich', 'psutil', 'onnxruntime'}\n"
        "sys.exit(','.join(sorted(heavy & sys.modules.keys())) or 0)"
    )

    ended = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "store-1.log"
    log.parent.mkdir()
    log.write_text('{"timestamp": "2026-01-01T00:00:00Z", "event": "a line that fills the pipe"}\n' * 5000)
    command = [sys.executable, "-m", "argosy.cli", "logs", "store", "--data-dir", str(tmp_path)]

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == main.BROKEN_PIPE


def test_what_the_command_line_repeats_to_start_fast_is_what_it_repeats() -> None:
    assert [status.value for status in documents.Status] == [status.value for status in DocumentStatus]
    assert [state.value for state in jobs.State] == [state.value for state in JobState]
