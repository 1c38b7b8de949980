"""`argosy collections`: list, create and delete collections of documents."""

from __future__ import annotations

from typing import Annotated

import typer

from argosy.cli import output
from argosy.cli.client.locate import AdminUrl, DataDir, Url, locate

Name = Annotated[str, typer.Argument(metavar="COLLECTION", help="A collection's name.")]

MAX_NAMED = 5
"""Most collections named before one warning."""

collections = typer.Typer(help="List, create or delete collections.", no_args_is_help=True, rich_markup_mode=None)


@collections.command("list")
def list_collections(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    url: Url = None,
    admin_url: AdminUrl = None,
    data_dir: DataDir = None,
) -> None:
    """List collections."""
    from argosy.cli.client.gateway import Api
    from argosy.cli.client.replies import CollectionList

    reply = Api(locate(url, admin_url, data_dir).url).get("/v1/collections")
    if as_json:
        output.json(reply.body)
        return
    listed = reply.into(CollectionList).collections
    output.table(
        ("name", "documents", "languages", "created"),
        [(c.name, str(c.documents), " ".join(c.languages) or output.DASH, output.moment(c.created_at)) for c in listed],
    )
    warned: dict[str, list[str]] = {}
    for collection in listed:
        if collection.warning:
            warned.setdefault(collection.warning, []).append(collection.name)
    for warning, names in warned.items():
        more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
        output.note(f"{', '.join(names[:MAX_NAMED])}{more}: {warning}")


@collections.command()
def create(name: Name, url: Url = None, admin_url: AdminUrl = None, data_dir: DataDir = None) -> None:
    """Create an empty collection."""
    from argosy.cli.client.gateway import Api
    from argosy.contracts.documents import CollectionCreate

    Api(locate(url, admin_url, data_dir).url).post("/v1/collections", CollectionCreate(name))
    output.line(f"Created {name}.")


@collections.command()
def delete(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    url: Url = None,
    admin_url: AdminUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Delete a collection and all its documents. On a terminal, ask for confirmation first."""
    import sys
    from urllib.parse import quote

    from argosy.cli.client.gateway import Api

    if not yes and sys.stdin.isatty():
        typer.confirm(f"Delete the collection {name} and all its documents?", abort=True)
    Api(locate(url, admin_url, data_dir).url).delete(f"/v1/collections/{quote(name, safe='')}")
    output.line(f"Deleted {name}.")


def register(app: typer.Typer) -> None:
    app.add_typer(collections, name="collections")
