"""`argosy state`: back up, restore and check what a fleet has stored."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from argosy.cli import output
from argosy.cli.client.locate import DataDir, default_data_dir

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

state = typer.Typer(
    help="Back up, restore and check what a fleet has stored.", no_args_is_help=True, rich_markup_mode=None
)


@state.command()
def backup(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New folder for the backup.")],
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Back up documents, files and the index, while the fleet serves and ingests."""
    from argosy.cli.snapshot.backup import back_up
    from argosy.serving.sparse_copy import allocated_bytes

    made = back_up(_folder(data_dir), folder, _tell)
    size_bytes = allocated_bytes(folder)
    if as_json:
        output.json({"folder": str(folder), "documents": made.documents, "chunks": made.chunks, "bytes": size_bytes})
        return
    output.line(f"Backed up {made.documents} documents ({made.chunks} chunks, {output.size(size_bytes)}) to {folder}.")


@state.command()
def restore(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a backup.")],
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Restore a backup into a new or empty data folder."""
    from argosy.cli.snapshot.restore import restore as restored

    target = _folder(data_dir)
    made = restored(folder, target, _tell)
    if as_json:
        output.json({"data_dir": str(target), "documents": made.documents, "chunks": made.chunks})
        return
    output.line(f"Restored {made.documents} documents ({made.chunks} chunks) to {target}.")
    output.note(f"Start the fleet with: argosy up --data-dir {target}")


@state.command()
def verify(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="Folder of a backup (default: the fleet's data folder).")
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Check a backup, or the fleet's data folder while the fleet runs. Exit status 1 means that problems were found."""
    from argosy.cli.snapshot.verify import verify_backup, verify_fleet

    problems = verify_fleet(_folder(data_dir), _tell) if folder is None else verify_backup(folder, _tell)
    if as_json:
        output.json({"ok": not problems, "problems": problems})
    elif problems:
        for problem in problems:
            output.line(problem)
    else:
        output.line("Everything is there and belongs together.")
    if problems:
        raise typer.Exit(1)


def _folder(data_dir: Path | None) -> Path:
    return (data_dir or default_data_dir()).expanduser().absolute()


def _tell(stage: str) -> None:
    output.note(stage[:1].upper() + stage[1:] + " …")


def register(app: typer.Typer) -> None:
    """Add the command group to the command line."""
    app.add_typer(state, name="state")
