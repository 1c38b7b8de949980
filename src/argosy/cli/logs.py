"""`argosy logs`: print the logs of a service's replicas, merged by time."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from argosy.cli import output
from argosy.cli.client.locate import AdminUrl, DataDir, Url, locate

if TYPE_CHECKING:
    from argosy.cli.log_files import LogLine

LEVEL_COLORS = {"warning": "yellow", "error": "red", "critical": "red"}
PREFIX_FIELDS = ("timestamp", "level", "event", "service", "replica")


def logs(
    service: Annotated[str, typer.Argument(help="A service's name, or controller.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing new lines.")] = False,
    lines: Annotated[int | None, typer.Option("--lines", "-n", min=0, help="Only the last N lines.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the lines as JSON, as they were written.")] = False,
    url: Url = None,
    admin_url: AdminUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Print a service's logs, all replicas merged by time."""
    from argosy.cli.log_files import LogFiles

    files = LogFiles(locate(url, admin_url, data_dir).data_dir / "logs", service)
    for line in files.merged(lines):
        _print(line, as_json)
    if follow:
        for line in files.follow():
            _print(line, as_json)


def _print(line: LogLine, as_json: bool) -> None:
    if as_json:
        output.json_line(line.text)
        return
    level = str(line.fields.get("level", ""))
    output.line(pretty(line), color=LEVEL_COLORS.get(level))


def pretty(line: LogLine) -> str:
    """Return a line like `2026-01-31 12:03:04.123 +0100 info embedding-1  message  key=value`.

    The clock is the one of `argosy events`: this machine's, with its offset. Text that is not JSON is unchanged.
    """
    if not line.fields:
        return line.text
    clock = _clock(str(line.fields.get("timestamp", "")))
    level = str(line.fields.get("level", ""))
    rest = "  ".join(f"{key}={value}" for key, value in line.fields.items() if key not in PREFIX_FIELDS)
    return f"{clock:<29} {level:<7} {line.origin:<12} {line.fields.get('event', '')}{'  ' if rest else ''}{rest}"


def _clock(timestamp: str) -> str:
    try:
        return output.moment(datetime.datetime.fromisoformat(timestamp).timestamp(), milliseconds=True)
    except (ValueError, OverflowError):
        return timestamp


def register(app: typer.Typer) -> None:
    app.command()(logs)
