"""`argosy events` prints the changes in the fleet; `argosy drain` replaces one replica."""

from __future__ import annotations

import collections
import time
from typing import TYPE_CHECKING, Annotated

import typer

from argosy.cli import output
from argosy.cli.client.locate import AdminUrl, DataDir, Url, locate

if TYPE_CHECKING:
    from argosy.cli.client.gateway import Api
    from argosy.contracts.events import Event, EventPage

FOLLOW_EVERY_S = 0.5
FIRST_LINES = 20
"""Past events with which `--follow` begins."""
PAGE = 1000
DRAIN_TIMEOUT_S = 600.0
COLORS = {"HEALTHY": "green", "ready": "green", "DEGRADED": "yellow", "UNHEALTHY": "red", "crash loop": "red"}


def events(
    subject: Annotated[str | None, typer.Argument(help="Only events of this service or replica.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing new events.")] = False,
    since: Annotated[int | None, typer.Option("--since", min=0, help="Only events after this sequence number.")] = None,
    lines: Annotated[
        int | None, typer.Option("--lines", "-n", min=0, help="Begin with the last N events (with --follow: 20).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
    url: Url = None,
    admin_url: AdminUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Print the changes in the fleet: when, what, from which state to which, and why."""
    from argosy.cli.client.gateway import NoFleet, admin_api

    if follow and since is None and lines is None:
        lines = FIRST_LINES
    after = since or 0
    while True:
        fleet = locate(url, admin_url, data_dir)
        api = admin_api(fleet)
        try:
            after = _print_from(api, after, subject, as_json, lines)
            lines = None
        except NoFleet:
            if not follow:
                raise
        if not follow:
            return
        time.sleep(FOLLOW_EVERY_S)


def _print_from(api: Api, since: int, subject: str | None, as_json: bool, last: int | None) -> int:
    """Print the events after `since`, only the `last` ones if given. Returns: the sequence number to continue from."""
    kept: collections.deque[Event] = collections.deque(maxlen=last)
    while True:
        page = _page(api, since, subject)
        kept.extend(page.events)
        since = page.next
        if last is None or len(page.events) < PAGE:
            while kept:
                _print(kept.popleft(), as_json)
        if len(page.events) < PAGE:
            return since


def _page(api: Api, since: int, subject: str | None) -> EventPage:
    from argosy.contracts.events import EventPage

    params: dict[str, str | int] = {"since": since, "limit": PAGE}
    if subject is not None:
        params["subject"] = subject
    return api.get("/v1/events", params).into(EventPage)


def _print(event: Event, as_json: bool) -> None:
    if as_json:
        output.json_line(event)
        return
    why = f"  ({event.why})" if event.why else ""
    change = f"{event.subject}: {event.before} → {event.after}"
    output.line(f"{output.moment(event.at)}  {change}{why}", color=COLORS.get(event.after))


def drain(
    replica: Annotated[
        str, typer.Argument(metavar="SERVICE/REPLICA", help="Like embedding/embedding-1; argosy status lists replicas.")
    ],
    url: Url = None,
    admin_url: AdminUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Replace one replica without a failed request: start a new one, then let the old one finish its work and end."""
    from argosy.cli.client.gateway import admin_api

    service, slash, name = replica.partition("/")
    if not slash:
        service, name = replica.rpartition("-")[0], replica
    fleet = locate(url, admin_url, data_dir)
    api = admin_api(fleet, DRAIN_TIMEOUT_S)
    api.post(f"/v1/services/{service}/replicas/{name}/drain")
    output.line(f"{name} is drained and stopped.")


def register(app: typer.Typer) -> None:
    app.command()(events)
    app.command()(drain)
