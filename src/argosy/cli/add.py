"""`argosy add`: add files, folders or standard input to a collection."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from argosy.cli import output
from argosy.cli.client.hints import command
from argosy.cli.client.locate import AdminUrl, DataDir, Url, locate

if TYPE_CHECKING:
    from argosy.cli.client.gateway import Api
    from argosy.cli.progress import Progress
    from argosy.cli.sending.collect import Collected
    from argosy.cli.sending.upload import Rejected, Sent, Uploader
    from argosy.contracts.documents import BatchView

POLL_S = 2
LOOK_AT = 8
ASK_EVERY = 5
"""Waits without a finished document between two questions for the reason; the first follows the first wait."""
FAILED = ("failed", "dead")
ENDED = ("indexed", "unchanged", *FAILED)

FollowSymlinks = Annotated[
    bool,
    typer.Option(
        "--follow-symlinks", help="Follow symbolic links inside folders, even those that lead out of the folder."
    ),
]


def add(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files, folders, or - for standard input.")],
    collection: Annotated[str | None, typer.Option(help="The collection to add to.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until everything is indexed.")] = False,
    recursive: Annotated[bool, typer.Option(help="Include subfolders.")] = True,
    follow_symlinks: FollowSymlinks = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    url: Url = None,
    admin_url: AdminUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Add documents. Exit with status 1 if any of them failed."""
    import sys

    from argosy.cli.client.gateway import Api
    from argosy.cli.progress import showing
    from argosy.cli.sending.collect import STDIN, collect
    from argosy.cli.sending.obstacles import interruptible, obstacle
    from argosy.cli.sending.upload import Uploader

    piped = sys.stdin.buffer.read() if STDIN in paths else None
    collected = collect(paths, recursive, piped, follow_symlinks)
    if collected.skipped and not as_json:
        output.note(_skipping(collected.skipped))
    if collected.links and not as_json:
        output.note(skipping_links(len(collected.links)))
    batches = None
    with showing(quiet=as_json) as progress:
        api = Api(locate(url, admin_url, data_dir).url)
        uploader = Uploader(api, collection, tell=progress.tell)
        total, settled = len(collected.outgoing), 0

        def count(files: int) -> None:
            nonlocal settled
            settled += files
            progress.at("Sending", settled, total)

        progress.at("Sending", 0, total)
        with interruptible(lambda: f"Stopped after {settled} of {total} files; the fleet indexes these."):
            sent = uploader.send(collected.outgoing, count)
        if wait:
            with interruptible(lambda: "Indexing goes on in the background."):
                batches = follow(uploader, sent, progress, lambda: obstacle(uploader.api))
    failed = sorted([*sent.rejected, *failures(batches or [])], key=lambda one: one.source)
    counts = _counts(sent, batches, len(failed))
    if as_json:
        accepted = [document for batch in sent.accepted for document in batch.documents]
        output.json(
            {
                "batches": [batch.batch_id for batch in sent.accepted],
                "documents": [view for batch in batches for view in batch.documents] if batches else accepted,
                "counts": counts,
                "failed": failed,
                "skipped": len(collected.skipped),
                "skipped_links": len(collected.links),
            }
        )
    else:
        dead = any(batch.counts.get("dead", 0) for batch in batches or [])
        _print(counts | _skipped(collected), failed, len(sent.rejected), dead=dead, waited=wait)
        if warning := _language_warning(api, batches or []):
            output.note(warning)
    if failed:
        raise typer.Exit(1)


def follow(
    uploader: Uploader, sent: Sent, progress: Progress, obstacle: Callable[[], str] = lambda: ""
) -> list[BatchView]:
    """Wait until all batches are done, show their progress, and return them.

    After a wait in which nothing ended, the reason that `obstacle` returns is told once.

    Each round waits on the first unfinished batch and refreshes the few others whose state is oldest, so that no
    estimate grows stale. Refused files count as done, so that the progress covers every file that was to be sent.
    """
    refused = len(sent.rejected)
    views: dict[str, BatchView] = {batch.batch_id: uploader.batch(batch.batch_id, 0) for batch in sent.accepted}
    rounds = itertools.count()
    looked_in = dict.fromkeys(views, -1)
    said, quiet, before = "", 0, sum(map(_ended, views.values()))
    while views:
        total = refused + sum(view.total for view in views.values())
        etas = [view.eta_s for view in views.values() if not view.done]
        left_s = sum(eta for eta in etas if eta is not None) if None not in etas else None
        progress.at("Indexing", refused + sum(_ended(view) for view in views.values()), total, left_s)
        open_ids = [batch_id for batch_id, view in views.items() if not view.done]
        if not open_ids:
            break
        first, *others = open_ids
        views[first] = uploader.batch(first, POLL_S)
        this = next(rounds)
        for batch_id in sorted(others, key=looked_in.__getitem__)[:LOOK_AT]:
            views[batch_id], looked_in[batch_id] = uploader.batch(batch_id, 0), this
        ended = sum(map(_ended, views.values()))
        quiet, before = (quiet + 1 if ended == before else 0), ended
        if quiet % ASK_EVERY == 1 and (why := obstacle()) != said:
            said = why
            if why:
                progress.tell(why)
    return list(views.values())


def _language_warning(api: Api, batches: list[BatchView]) -> str | None:
    """Return the warning of the collection whose documents were indexed. It is a hint: its failure is no error."""
    from argosy.cli.client.replies import CollectionList
    from argosy.contracts.errors import ArgosyError

    names = {view.collection for batch in batches for view in batch.documents}
    try:
        listed = api.get("/v1/collections").into(CollectionList).collections if names else []
    except ArgosyError:
        return None
    return next((one.warning for one in listed if one.name in names and one.warning), None)


def _ended(batch: BatchView) -> int:
    return sum(batch.counts.get(status, 0) for status in ENDED)


def failures(batches: list[BatchView]) -> list[Rejected]:
    from argosy.cli.sending.upload import Rejected

    return [
        Rejected(
            view.name,
            view.source,
            view.error.code if view.error else view.status.value,
            view.error.detail if view.error else "No reason was recorded.",
            view.bytes,
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


def tell_failures(failed: list[Rejected]) -> None:
    """Print a table of the failed files with code and reason."""
    output.table(("failed", "code", "detail"), [(_place(one), one.code, one.detail) for one in failed])


def _place(one: Rejected) -> str:
    """Return the file's path relative to the current folder: files in two folders may have the same name."""
    from urllib.parse import unquote, urlsplit

    parts = urlsplit(one.source)
    if parts.scheme != "file":
        return one.name
    path, here = Path(unquote(parts.path)), Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _skipping(skipped: list[Path]) -> str:
    kinds = sorted({path.suffix.lower() or "without extension" for path in skipped})
    shown = " ".join(kinds[:LOOK_AT]) + (" …" if len(kinds) > LOOK_AT else "")
    return (
        f"Skipping {output.quantity(len(skipped), 'file')} without text ({shown}). "
        "To send such a file, name it on the command line."
    )


def skipping_links(links: int) -> str:
    return (
        f"Skipping {output.quantity(links, 'symbolic link')} that may lead out of the folder. "
        "To follow symbolic links, add --follow-symlinks."
    )


def _skipped(collected: Collected) -> dict[str, int]:
    counts = {"skipped": len(collected.skipped), "links": len(collected.links)}
    return {what: count for what, count in counts.items() if count}


def _print(counts: dict[str, int], failed: list[Rejected], refused: int, *, dead: bool, waited: bool) -> None:
    output.table(tuple(counts), [[str(count) for count in counts.values()]])
    if failed:
        output.line()
        tell_failures(failed)
        too = " (and --status dead)" if dead else ""
        listing = command("documents list --status failed")
        output.note(f"They are listed until you add or delete them: {listing}{too}")
    if refused:
        output.note(
            f"{output.quantity(refused, 'file')} refused when sent. A retry cannot help: "
            "correct the files and add them again."
        )
    if not waited and counts["accepted"]:
        listing = command("documents list")
        output.note(f"The documents are indexed in the background. See their status with: {listing}")


def register(app: typer.Typer) -> None:
    app.command()(add)
