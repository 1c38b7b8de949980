"""Command `argosy`: it registers one module per group of commands and turns errors into messages.

Importing this module must stay cheap, because every command pays for it. The modules imported here import only typer
and the standard library at their top, and everything else inside the command that needs it.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from argosy.cli import (
    add,
    ask,
    balance,
    collections,
    doctor,
    documents,
    eval,
    events,
    forecast,
    jobs,
    logs,
    models,
    plan,
    render,
    scale,
    search,
    simulate,
    state,
    status,
    sync,
    up,
    version,
)

FAILED = 1
BROKEN_PIPE = 141
"""Exit status that a shell reports for a command ended by SIGPIPE."""


class Commands(TyperGroup):
    """Group that turns each error of a command into one sentence and an exit status. Typer reports wrong usage: 2."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, typer.TyperException, EOFError):
            raise
        except BrokenPipeError as error:
            _discard_output()
            raise typer.Exit(BROKEN_PIPE) from error
        except Exception as error:
            if os.environ.get("ARGOSY_DEBUG"):
                raise
            _report(error)
            raise typer.Exit(FAILED) from error


app = typer.Typer(
    name="argosy",
    cls=Commands,
    help="Run a fleet of RAG services: start it, add documents, ask questions.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for _module in (
    up,
    status,
    events,
    forecast,
    balance,
    scale,
    plan,
    logs,
    add,
    sync,
    ask,
    search,
    eval,
    documents,
    jobs,
    collections,
    models,
    doctor,
    render,
    simulate,
    state,
    version,
):
    _module.register(app)


def main() -> None:
    """Run the console script."""
    try:
        try:
            if sys.argv[1:] in (["version"], ["--version"]):
                version.version()  # typer loads pydantic to parse any command, which takes 0.3 s
            else:
                app()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
        sys.exit(BROKEN_PIPE)


def _report(error: Exception) -> None:
    from argosy.cli import output
    from argosy.contracts.errors import ArgosyError

    if isinstance(error, ArgosyError):
        output.error(error.message)
    else:
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        output.error(f"Unexpected error ({what}); run with ARGOSY_DEBUG=1 for the traceback.")


def _discard_output() -> None:
    """Send buffered output to /dev/null: the reader of standard output is gone, and flushing at exit must not fail."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, sys.stdout.fileno())
    os.close(descriptor)
