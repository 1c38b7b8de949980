"""`argosy documents`: what was uploaded and what became of it."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from argosy.cli import output
from argosy.cli.locate import AdminUrl, DataDir, Url, locate

PAGE = 100

Id = Annotated[str, typer.Argument(metavar="DOCUMENT", help="A document's id.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Status(enum.StrEnum):
    """`contracts.documents.DocumentStatus`, repeated to keep `--help` fast."""

    QUEUED = "queued"
    RUNNING = "running"
    INDEXED = "indexed"
    FAILED = "failed"
    DEAD = "dead"
    UNCHANGED = "unchanged"


documents = typer.Typer(help="List, show, delete or retry documents.", no_args_is_help=True, rich_markup_mode=None)


@documents.command("list")
def list_documents(
    status: Annotated[Status | None, typer.Option(help="Only those in this status.")] = None,
    collection: Annotated[str | None, typer.Option(help="Only those of this collection.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Most documents to print (default: all).")] = None,
    as_json: AsJson = False,
    url: Url = None,
    admin_url: AdminUrl = None,
    data_dir: DataDir = None,
) -> None:
    """List documents."""
    from argosy.cli.gateway import Api
    from argosy.contracts.documents import DocumentPage

    api = Api(locate(url, admin_url, data_dir).url)
    shown = DocumentPage(documents=[])
    params: dict[str, str | int] = {}
    if status is not None:
        params["status"] = status.value
    if collection is not None:
        params["collection"] = collection
    while limit is None or len(shown.documents) < limit:
        params["limit"] = PAGE if limit is None else min(PAGE, limit - len(shown.documents))
        page = api.get("/v1/documents", params).into(DocumentPage)
        shown.documents += page.documents
        shown.next = page.next
        if page.next is None:
            break
        params["after"] = page.next
    if as_json:
        output.json(shown)
        return
    output.table(
        ("id", "collection", "name", "status", "chunks", "updated", "error"),
        [
            (
                d.id,
                d.collection,
                d.name,
                d.status.value,
                output.DASH if d.chunks is None else str(d.chunks),
                output.moment(d.updated_at),
                "" if d.error is None else f"{d.error.code}: {d.error.detail}",
            )
            for d in shown.documents
        ],
    )


@documents.command()
def show(
    document: Id,
    as_json: AsJson = False,
    url: Url = None,
    admin_url: AdminUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Show one document."""
    import msgspec

    from argosy.cli.gateway import Api
    from argosy.contracts.documents import DocumentView

    reply = Api(locate(url, admin_url, data_dir).url).get(_path(document))
    if as_json:
        output.json(reply.body)
        return
    view = reply.into(DocumentView)
    rows = []
    for field in msgspec.structs.fields(view):
        value = getattr(view, field.name)
        if value is None or value == {}:
            continue
        if field.name in ("created_at", "updated_at"):
            value = output.moment(value)
        elif field.name == "error":
            value = f"{value.code}: {value.detail}"
        rows.append((field.name, str(value)))
    output.table(("field", "value"), rows)


@documents.command()
def delete(document: Id, url: Url = None, admin_url: AdminUrl = None, data_dir: DataDir = None) -> None:
    """Delete a document: it is out of every answer at once."""
    from argosy.cli.gateway import Api

    Api(locate(url, admin_url, data_dir).url).delete(_path(document))
    output.line(f"Deleted {document}.")


@documents.command()
def retry(document: Id, url: Url = None, admin_url: AdminUrl = None, data_dir: DataDir = None) -> None:
    """Queue a failed document again."""
    from argosy.cli.gateway import Api

    Api(locate(url, admin_url, data_dir).url).post(f"{_path(document)}/retry")
    output.line(f"Queued {document} again.")


def _path(document: str) -> str:
    from urllib.parse import quote

    return f"/v1/documents/{quote(document, safe='')}"


def register(app: typer.Typer) -> None:
    app.add_typer(documents, name="documents")
