"""`argosy sync`: mirror folders into a collection: index new and changed files, delete those that are gone."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from argosy.cli import output
from argosy.cli.add import FollowSymlinks
from argosy.cli.client.locate import AdminUrl, DataDir, Url, locate

if TYPE_CHECKING:
    from argosy.cli.client.gateway import Api
    from argosy.cli.sending.mirror import Held, Settled
    from argosy.cli.sending.upload import Rejected, Uploader

PAGE = 1000
AGAIN_S = 5.0
"""Pause after a failed round while watching."""


def sync(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Folders or files.")],
    collection: Annotated[str | None, typer.Option(help="The collection to synchronise.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Keep synchronising when files change, until Ctrl-C.")] = False,
    recursive: Annotated[bool, typer.Option(help="Include subfolders.")] = True,
    follow_symlinks: FollowSymlinks = False,
    empty: Annotated[
        bool, typer.Option("--empty", help="Delete all documents of a folder that is empty or gone.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result of each round as JSON.")] = False,
    url: Url = None,
    admin_url: AdminUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Index new and changed files, delete documents whose file is gone. Exit with status 1 if any document failed."""
    from argosy.cli.client.gateway import Api
    from argosy.cli.sending.collect import require
    from argosy.cli.sending.mirror import roots

    require(paths)

    def find() -> Api:
        return Api(locate(url, admin_url, data_dir).url)  # a fleet that restarted may be at another address

    mirror = Mirror(find, roots(paths), collection, recursive, empty, as_json, follow_symlinks)
    if not watch:
        from argosy.cli.sending.obstacles import interruptible

        with interruptible(lambda: "Indexing of what was sent goes on in the background."):
            failed = mirror.round()
        if failed:
            raise typer.Exit(1)
        return
    from argosy.cli.sending.watching import changes

    if not as_json:
        output.note("Watching for changes. Stop with Ctrl-C.")
    with contextlib.suppress(KeyboardInterrupt):
        keep(mirror, changes(paths, follow_symlinks))


def keep(mirror: Mirror, changes: Iterable[bool], clock: Callable[[], float] = time.monotonic) -> None:
    """Run one round at first and one after each change. Retry a failed round every AGAIN_S.

    `changes` yields, again and again, whether anything changed. The function returns when `changes` ends.
    """
    from argosy.contracts.errors import ArgosyError

    owed, again_s, told = True, clock(), ""
    for changed in changes:
        owed = owed or changed
        if not owed or (told and clock() < again_s):
            continue
        try:
            mirror.round()
        except ArgosyError as error:
            again_s = clock() + AGAIN_S
            if error.message != told:
                output.error(error.message)
                output.note("Still watching. The next attempt follows in a few seconds.")
            told = error.message
        else:
            if told:
                output.note("Synchronised again.")
            owed, told = False, ""


@dataclass(slots=True)
class Mirror:
    """Mirror of some paths in a collection.

    `find` returns the fleet's current address. `prefixes` maps each mirrored path to the prefix of its sources.
    """

    find: Callable[[], Api]
    prefixes: dict[Path, str]
    collection: str | None
    recursive: bool
    empty: bool
    as_json: bool
    follow_symlinks: bool = False
    settled: dict[str, Settled] = field(default_factory=dict)
    rounds: int = 0

    def round(self) -> int:
        """Bring the collection up to date with the paths. Returns: the number of failed documents.

        Raises: ArgosyError when the round could not be finished; the next round does the rest.
        """
        from argosy.cli.add import failures, follow
        from argosy.cli.progress import showing
        from argosy.cli.sending.collect import require, scan
        from argosy.cli.sending.mirror import Settled, plan, refuse_sudden_emptiness, stamp
        from argosy.cli.sending.obstacles import obstacle
        from argosy.cli.sending.upload import Uploader

        if not self.empty:
            require(list(self.prefixes))
        api = self.find()
        found = scan([path for path in self.prefixes if path.exists()], self.recursive, None, self.follow_symlinks)
        local = {one.source: (one, stamp(one)) for one in found.outgoing}
        todo = plan(local, self._held(api), self.prefixes.values(), self.settled)
        if not self.empty:
            refuse_sudden_emptiness(local, todo.forget, self.prefixes)
        with showing(quiet=self.as_json or not todo.send or (self.rounds > 0 and not output.is_terminal())) as progress:
            uploader = Uploader(api, self.collection, tell=progress.tell)
            sent = uploader.send(todo.send)
            batches = follow(uploader, sent, progress, lambda: obstacle(api))
        for document in todo.forget:
            self._forget(uploader, document)
        refused = {one.source: one for one in sent.rejected}
        for one in todo.send:
            self.settled[one.source] = Settled(local[one.source][1], one.source not in refused)
        for source in self.settled.keys() - local.keys():
            del self.settled[source]
        for source in refused:
            if stamp(local[source][0]) is None:  # deleted since the round began: the next round deletes the document
                sent.rejected.remove(refused[source])
        failed = sorted([*sent.rejected, *failures(batches)], key=lambda one: one.source)
        counts = {
            status: sum(batch.counts.get(status, 0) for batch in batches) for status in ("indexed", "unchanged")
        } | {"deleted": len(todo.forget), "failed": len(failed)}
        self._tell(counts, failed, len(found.links))
        self.rounds += 1
        return len(failed)

    def _held(self, api: Api) -> Iterator[Held]:
        from argosy.cli.sending.mirror import Held
        from argosy.contracts.documents import DocumentPage
        from argosy.contracts.errors import CollectionNotFound

        params: dict[str, str | int] = {"limit": PAGE, "collection": self.collection or "default"}
        while True:
            try:
                page = api.get("/v1/documents", params).into(DocumentPage)
            except CollectionNotFound:
                return
            yield from (Held(view.id, view.source) for view in page.documents)
            if page.next is None:
                return
            params["after"] = page.next

    def _forget(self, uploader: Uploader, document: Held) -> None:
        from argosy.contracts.errors import DocumentNotFound

        with contextlib.suppress(DocumentNotFound):
            uploader.patiently(lambda: uploader.api.delete(f"/v1/documents/{document.id}"))

    def _tell(self, counts: dict[str, int], failed: list[Rejected], links: int) -> None:
        """Print the result: of the first round always, of later rounds only when they changed something."""
        from argosy.cli.add import skipping_links, tell_failures

        if self.rounds > 0 and not any(count for what, count in counts.items() if what != "unchanged"):
            return
        if self.as_json:
            output.json({"counts": counts, "failed": failed, "skipped_links": links})
            return
        if self.rounds == 0:
            if links:
                output.note(skipping_links(links))
            output.table(tuple(counts), [[str(count) for count in counts.values()]])
        else:
            happened = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
            output.line(f"{output.moment(time.time())}  {happened}")
        if failed:
            output.line()
            tell_failures(failed)


def register(app: typer.Typer) -> None:
    app.command()(sync)
