"""`argosy logs`: print the logs of a service's replicas, merged by time."""

from __future__ import annotations

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
    """Return a line like `12:03:04.123 info embedding-1  message  key=value`. Text that is not JSON is unchanged."""
    if not line.fields:
        return line.text
    clock = str(line.fields.get("timestamp", "")).partition("T")[2][:12].rstrip("Z")
    level = str(line.fields.get("level", ""))
    rest = "  ".join(f"{key}={value}" for key, value in line.fields.items() if key not in PREFIX_FIELDS)
    return f"{clock:<12} {level:<7} {line.origin:<12} {line.fields.get('event', '')}{'  ' if rest else ''}{rest}"


def register(app: typer.Typer) -> None:
    app.command()(logs)
