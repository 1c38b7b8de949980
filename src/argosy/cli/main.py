"""Command `argosy`: it registers one module per group of commands and turns errors into messages.

Importing this module must stay cheap, because every command pays for it. The modules imported here import only typer
and the standard library at their top, and everything else inside the command that needs it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
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


TYPE_NAMES: dict[object, str] = {
    int: "NUMBER",
    float: "NUMBER",
    str: "TEXT",
    list[str]: "TEXT",
    Path: "PATH",
    list[Path]: "PATH",
}
"""Names of types in the help."""


def name_types(group: TyperGroup) -> None:
    """Let the help of all commands name types in words, unless the command names them itself."""
    for command in group.commands.values():
        if isinstance(command, TyperGroup):
            name_types(command)
        for parameter in command.params:
            kind = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
            named = next((name for known, name in TYPE_NAMES.items() if known == kind), None)
            if named is not None and parameter.metavar is None and parameter.param_type_name == "option":
                parameter.metavar = named
            elif named is not None:  # an argument's metavar is its name
                setattr(parameter, "display_type", lambda context, shown=named: f"<{shown.lower()}>")  # noqa: B010


class Commands(TyperGroup):
    """Group that turns each error of a command into one sentence and an exit status. Typer reports wrong usage: 2."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        name_types(self)

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
    context_settings={"help_option_names": ["-h", "--help"]},
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
