"""`argosy version`."""

from __future__ import annotations

import typer


def version() -> None:
    """Print the installed version."""
    from importlib.metadata import version as installed

    typer.echo(f"argosy {installed('argosy')}")


def register(app: typer.Typer) -> None:
    app.command()(version)
