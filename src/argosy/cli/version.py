"""`argosy version`: print the installed version."""

from __future__ import annotations

import typer


def version() -> None:
    """Print the installed version."""
    from argosy.version import VERSION

    typer.echo(f"argosy {VERSION}")


def register(app: typer.Typer) -> None:
    app.command()(version)
