"""`argosy documents`: list, show, delete, retry and cancel documents."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from argosy.cli import output
from argosy.cli.client.locate import AdminUrl, DataDir, Url, locate

if TYPE_CHECKING:
    from argosy.cli.client.gateway import Api
    from argosy.contracts.documents import DocumentView

PAGE = 100

Id = Annotated[str, typer.Argument(metavar="DOCUMENT", help="A document's id.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Status(enum.StrEnum):
    """Copy of `contracts.documents.DocumentStatus`, which keeps `--help` fast."""

    QUEUED = "queued"
    RUNNING = "running"
    INDEXED = "indexed"
    FAILED = "failed"
    DEAD = "dead"
    UNCHANGED = "unchanged"


documents = typer.Typer(
    help="List, show, delete, retry or cancel documents.", no_args_is_help=True, rich_markup_mode=None
)


@documents.command("list")
def list_documents(
    status: Annotated[Status | None, typer.Option(help="Only documents with this status.")] = None,
    collection: Annotated[str | None, typer.Option(help="Only documents of this collection.")] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Maximum number of documents to print (default: all).")
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
    admin_url: AdminUrl = None,
    data_dir: DataDir = None,
) -> None:
    """List documents, newest first."""
    from argosy.cli.client.gateway import Api
    from argosy.contracts.documents import DocumentPage

    api = Api(locate(url, admin_url, data_dir).url)
    found = list(_pages(api, status, collection, None if limit is None else limit + 1))
    shown = DocumentPage(documents=found if limit is None else found[:limit])
    if limit is not None and len(found) > limit:
        shown.next = shown.documents[-1].id
    if as_json:
        output.json(shown)
        return
    output.table(
        ("id", "collection", "name", "status", "chunks", "updated", "remarks"),
        [
            (
                d.id,
                d.collection,
                d.name,
                d.status.value,
                output.DASH if d.chunks is None else str(d.chunks),
                output.moment(d.updated_at),
                _remarks(d),
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

    from argosy.cli.client.gateway import Api
    from argosy.contracts.documents import DocumentView

    reply = Api(locate(url, admin_url, data_dir).url).get(_path(document))
    if as_json:
        output.json(reply.body)
        return
    view = reply.into(DocumentView)
    rows = []
    for field in msgspec.structs.fields(view):
        value = getattr(view, field.name)
        if value is None or value in ({}, []):
            continue
        if field.name in ("created_at", "updated_at"):
            value = output.moment(value)
        elif field.name == "error":
            value = f"{value.code}: {value.detail}"
        elif field.name == "left_out":
            value = " ".join(value)
        rows.append((field.name, str(value)))
    output.table(("field", "value"), rows)


@documents.command()
def delete(document: Id, url: Url = None, admin_url: AdminUrl = None, data_dir: DataDir = None) -> None:
    """Delete a document. It disappears from all answers immediately."""
    from argosy.cli.client.gateway import Api

    Api(locate(url, admin_url, data_dir).url).delete(_path(document))
    output.line(f"Deleted {document}.")


@documents.command()
def retry(
    document: Annotated[list[str] | None, typer.Argument(metavar="[DOCUMENT]...", help="Ids of documents.")] = None,
    every: Annotated[
        Status | None, typer.Option("--all", help="Retry every document with this status: dead or failed.")
    ] = None,
    collection: Annotated[str | None, typer.Option(help="With --all: only documents of this collection.")] = None,
    url: Url = None,
    admin_url: AdminUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Queue failed or dead documents again."""
    from argosy.cli.client.gateway import Api
    from argosy.contracts.errors import Conflict, InvalidRequest

    if bool(document) == (every is not None):
        raise InvalidRequest("Give document ids, or --all dead, or --all failed.")
    if every not in (None, Status.DEAD, Status.FAILED):
        raise InvalidRequest(f"--all {every.value} is not possible: only dead and failed documents can be retried.")
    api = Api(locate(url, admin_url, data_dir).url)
    for one in document or ():
        api.post(f"{_path(one)}/retry")
        output.line(f"Queued {one} again.")
    if document:
        return
    ids, refused = [view.id for view in _pages(api, every, collection)], 0
    for one in ids:
        try:
            api.post(f"{_path(one)}/retry")
        except Conflict:
            refused += 1
    output.line(f"Queued {output.quantity(len(ids) - refused, 'document')} again.")
    if refused:
        output.note(f"{output.quantity(refused, 'document')} refused when added. Correct the files and add them again.")


@documents.command()
def cancel(document: Id, url: Url = None, admin_url: AdminUrl = None, data_dir: DataDir = None) -> None:
    """Cancel a document that is queued or being processed. Chunks that are indexed already stay."""
    from argosy.cli.client.gateway import Api

    Api(locate(url, admin_url, data_dir).url).post(f"{_path(document)}/cancel")
    output.line(f"Cancelled {document}.")


def _pages(api: Api, status: Status | None, collection: str | None, limit: int | None = None) -> Iterator[DocumentView]:
    """Yield the documents, newest first, at most `limit`."""
    from argosy.contracts.documents import DocumentPage

    params: dict[str, str | int] = {} if status is None else {"status": status.value}
    if collection is not None:
        params["collection"] = collection
    left = limit
    while left is None or left > 0:
        params["limit"] = PAGE if left is None else min(PAGE, left)
        page = api.get("/v1/documents", params).into(DocumentPage)
        yield from page.documents
        left = None if left is None else left - len(page.documents)
        if page.next is None:
            return
        params["after"] = page.next


def _remarks(document: DocumentView) -> str:
    """Return why the document failed, or else the first part of it that was left out."""
    if document.error is not None:
        return f"{document.error.code}: {document.error.detail}"
    if not document.left_out:
        return ""
    first, *others = document.left_out
    return f"left out: {first}" + (f" (and {len(others)} more)" if others else "")


def _path(document: str) -> str:
    from urllib.parse import quote

    return f"/v1/documents/{quote(document, safe='')}"


def register(app: typer.Typer) -> None:
    app.add_typer(documents, name="documents")
