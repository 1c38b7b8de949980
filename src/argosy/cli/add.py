"""`argosy add`: files, folders or standard input into a collection."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from argosy.cli import output
from argosy.cli.locate import AdminUrl, DataDir, Url, locate

if TYPE_CHECKING:
    from argosy.cli.progress import Progress
    from argosy.cli.upload import Rejected, Sent, Uploader
    from argosy.contracts.documents import BatchView

POLL_S = 2
LOOK_AT = 8
FAILED = ("failed", "dead")
ENDED = ("indexed", "unchanged", *FAILED)


def add(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files, folders, or - for standard input.")],
    collection: Annotated[str | None, typer.Option(help="The collection to add to.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until everything is indexed.")] = False,
    recursive: Annotated[bool, typer.Option(help="Look into folders inside folders.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
    url: Url = None,
    admin_url: AdminUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Add documents. Ends with status 1 if any of them failed."""
    import sys

    from argosy.cli.collect import STDIN, collect
    from argosy.cli.gateway import Api
    from argosy.cli.progress import showing
    from argosy.cli.upload import Uploader

    piped = sys.stdin.buffer.read() if STDIN in paths else None
    collected = collect(paths, recursive, piped)
    if collected.skipped and not as_json:
        output.note(f"Skipping {output.quantity(collected.skipped, 'file')} of a kind that is not supported.")
    batches = None
    with showing(quiet=as_json) as progress:
        uploader = Uploader(Api(locate(url, admin_url, data_dir).url), collection, tell=progress.tell)
        total, settled = len(collected.outgoing), 0

        def count(files: int) -> None:
            nonlocal settled
            settled += files
            progress.at("Sending", settled, total)

        progress.at("Sending", 0, total)
        sent = uploader.send(collected.outgoing, count)
        if wait:
            batches = follow(uploader, sent, progress)
    failed = [*sent.rejected, *failures(batches or [])]
    counts = _counts(sent, batches, len(failed))
    if as_json:
        accepted = [document for batch in sent.accepted for document in batch.documents]
        output.json(
            {
                "batches": [batch.batch_id for batch in sent.accepted],
                "documents": [view for batch in batches for view in batch.documents] if batches else accepted,
                "counts": counts,
                "failed": failed,
                "skipped": collected.skipped,
            }
        )
    else:
        _print(counts, failed, waited=wait)
    if failed:
        raise typer.Exit(1)


def follow(uploader: Uploader, sent: Sent, progress: Progress) -> list[BatchView]:
    """The batches once all are done. Each round waits on the first unfinished one and looks at the next few."""
    views: dict[str, BatchView] = {batch.batch_id: uploader.batch(batch.batch_id, 0) for batch in sent.accepted}
    while True:
        total = sum(view.total for view in views.values())
        etas = [view.eta_s for view in views.values() if not view.done]
        left_s = sum(eta for eta in etas if eta is not None) if None not in etas else None
        progress.at("Indexing", sum(_ended(view) for view in views.values()), total, left_s)
        open_ids = [batch_id for batch_id, view in views.items() if not view.done]
        if not open_ids:
            return list(views.values())
        for batch_id in open_ids[:LOOK_AT]:
            views[batch_id] = uploader.batch(batch_id, POLL_S if batch_id == open_ids[0] else 0)


def _ended(batch: BatchView) -> int:
    return sum(batch.counts.get(status, 0) for status in ENDED)


def failures(batches: list[BatchView]) -> list[Rejected]:
    from argosy.cli.upload import Rejected

    return [
        Rejected(
            view.name,
            view.source,
            view.error.code if view.error else view.status.value,
            view.error.detail if view.error else "No reason was recorded.",
        )
        for batch in batches
        for view in batch.documents
        if view.status.value in FAILED
    ]


def _counts(sent: Sent, batches: list[BatchView] | None, failed: int) -> dict[str, int]:
    if batches is not None:
        indexed, unchanged = (sum(b.counts.get(status, 0) for b in batches) for status in ("indexed", "unchanged"))
        return {"indexed": indexed, "unchanged": unchanged, "failed": failed}
    statuses = [document.status.value for batch in sent.accepted for document in batch.documents]
    unchanged = statuses.count("unchanged")
    return {"accepted": len(statuses) - unchanged, "unchanged": unchanged, "failed": failed}


def _print(counts: dict[str, int], failed: list[Rejected], waited: bool) -> None:
    output.table(tuple(counts), [[str(count) for count in counts.values()]])
    if failed:
        output.line()
        output.table(("failed", "code", "detail"), [(one.name, one.code, one.detail) for one in failed])
    if not waited and counts["accepted"]:
        output.note("They are indexed in the background; follow them with: argosy documents list")


def register(app: typer.Typer) -> None:
    app.command()(add)
