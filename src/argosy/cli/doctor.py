"""`argosy doctor`: check the machine and the fleet, and suggest remedies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from argosy.cli import output
from argosy.cli.client.locate import AdminUrl, DataDir, Url


def doctor(
    file: Annotated[Path | None, typer.Argument(metavar="[FLEET.toml]", help="The fleet file to check.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    url: Url = None,
    admin_url: AdminUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Check this machine, the data folder, the model and the fleet. Exit with status 1 if a check fails."""
    from argosy.cli.checks import Outcome, examine

    findings = examine(file, url, admin_url, data_dir)
    if as_json:
        output.json({"checks": findings})
    else:
        output.table(
            ("check", "result", "found", "remedy"), [(f.name, f.outcome.value, f.found, f.remedy) for f in findings]
        )
    if any(finding.outcome is Outcome.FAIL for finding in findings):
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    app.command()(doctor)
