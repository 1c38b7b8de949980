"""`argosy models`: list the known embedding models and fetch one."""

from __future__ import annotations

from typing import Annotated

import typer

from argosy.cli import output

models = typer.Typer(help="List or fetch embedding models.", no_args_is_help=True, rich_markup_mode=None)


@models.command("list")
def list_models(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the known models and the paths of those that are on this machine."""
    from argosy.models import resolver

    found = resolver.list_models()
    if as_json:
        shown = [
            {
                "name": model.name,
                "pinned": model.pinned,
                "path": None if model.path is None else str(model.path),
                "source": model.source,
                "size_bytes": model.size_bytes,
                "fault": model.fault,
            }
            for model in found
        ]
        output.json({"models": shown})
        return
    output.table(
        ("model", "state", "size", "source", "path"),
        [
            (
                model.name,
                model.fault or ("not fetched" if model.path is None else "ready"),
                output.DASH if model.path is None else output.size(model.size_bytes),
                model.source or output.DASH,
                output.DASH if model.path is None else str(model.path),
            )
            for model in found
        ],
    )


@models.command()
def fetch(
    model: Annotated[str | None, typer.Argument(help="A model's name (default: the default model).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the model's path as JSON.")] = False,
) -> None:
    """Download a model, check it, and keep it in the cache. A model that is cached already is not downloaded."""
    from argosy.models.catalog import DEFAULT_MODEL
    from argosy.models.resolver import resolve

    found = resolve(model or DEFAULT_MODEL, fetch=True, progress=output.note)
    if as_json:
        output.json({"name": found.name, "path": str(found.path), "source": found.source})
        return
    output.line(f"{found.name} is in {found.path} (from {found.source}).")


def register(app: typer.Typer) -> None:
    app.add_typer(models, name="models")
