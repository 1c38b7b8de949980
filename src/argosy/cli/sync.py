"""`argosy sync`: the fleet holds what a folder holds: what is new or changed is indexed, what is gone is forgotten."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from argosy.cli import output
from argosy.cli.locate import AdminUrl, DataDir, Url, locate

if TYPE_CHECKING:
    from argosy.cli.gateway import Api
    from argosy.cli.mirror import Held
    from argosy.cli.upload import Rejected

PAGE = 1000
DEBOUNCE_MS = 500
"""Changes this close together are one: an editor writes a file in several steps."""


def sync(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Folders, or files.")],
    collection: Annotated[str | None, typer.Option(help="The collection to keep in step.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Go on whenever something changes, until Ctrl-C.")] = False,
    recursive: Annotated[bool, typer.Option(help="Look into folders inside folders.")] = True,
    empty: Annotated[bool, typer.Option("--empty", help="Forget everything when the folder is empty.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print each round's outcome as JSON.")] = False,
    url: Url = None,
    admin_url: AdminUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Index what changed, forget what was deleted. Ends with status 1 if any document failed."""
    from argosy.cli.gateway import Api

    mirror = _Mirror(Api(locate(url, admin_url, data_dir).url), paths, collection, recursive, empty, as_json)
    failed = mirror.round(None)
    if watch:
        if not as_json:
            output.note("Watching for changes; stop with Ctrl-C.")
        for changed in _changes(paths):
            mirror.round(changed)
    elif failed:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _Mirror:
    api: Api
    paths: list[Path]
    collection: str | None
    recursive: bool
    empty: bool
    as_json: bool

    def round(self, changed: Collection[str] | None) -> int:
        """Makes the fleet hold what is here now. Returns: how many documents failed."""
        from argosy.cli.add import failures, follow
        from argosy.cli.collect import scan
        from argosy.cli.mirror import plan, refuse_sudden_emptiness, roots
        from argosy.cli.progress import showing
        from argosy.cli.upload import Uploader

        local = {one.source: one for one in scan(self.paths, self.recursive).outgoing}
        todo = plan(local, self._held(), roots(self.paths), changed)
        if not self.empty:
            refuse_sudden_emptiness(local, todo.forget, self.paths)
        with showing(quiet=self.as_json) as progress:
            uploader = Uploader(self.api, self.collection, tell=progress.tell)
            sent = uploader.send(todo.send)
            batches = follow(uploader, sent, progress)
        for document in todo.forget:
            self._forget(document)
        failed = [*sent.rejected, *failures(batches)]
        counts = {
            status: sum(batch.counts.get(status, 0) for batch in batches) for status in ("indexed", "unchanged")
        } | {"deleted": len(todo.forget), "failed": len(failed)}
        self._tell(counts, failed, quiet=changed is not None and not any(counts.values()))
        return len(failed)

    def _held(self) -> Iterator[Held]:
        from argosy.cli.mirror import Held
        from argosy.contracts.documents import DocumentPage
        from argosy.contracts.errors import CollectionNotFound

        params: dict[str, str | int] = {"limit": PAGE, "collection": self.collection or "default"}
        while True:
            try:
                page = self.api.get("/v1/documents", params).into(DocumentPage)
            except CollectionNotFound:
                return
            yield from (Held(view.id, view.source) for view in page.documents)
            if page.next is None:
                return
            params["after"] = page.next

    def _forget(self, document: str) -> None:
        import contextlib

        from argosy.contracts.errors import DocumentNotFound

        with contextlib.suppress(DocumentNotFound):
            self.api.delete(f"/v1/documents/{document}")

    def _tell(self, counts: dict[str, int], failed: list[Rejected], quiet: bool) -> None:
        if self.as_json:
            output.json({"counts": counts, "failed": failed})
        elif not quiet:
            output.table(tuple(counts), [[str(count) for count in counts.values()]])
            if failed:
                output.table(("failed", "code", "detail"), [(one.name, one.code, one.detail) for one in failed])


def _changes(paths: list[Path]) -> Iterator[set[str]]:
    """Sources that may have changed, whenever some have; ends with Ctrl-C."""
    import os

    from watchfiles import watch

    for changes in watch(*paths, debounce=DEBOUNCE_MS, raise_interrupt=False):
        yield {Path(os.path.abspath(path)).as_uri() for _, path in changes}


def register(app: typer.Typer) -> None:
    app.command()(sync)
