"""`argosy balance explain`: show how the callers of a service pick its replicas, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from argosy.cli import output
from argosy.cli.client.locate import AdminUrl, DataDir, Url, locate

if TYPE_CHECKING:
    from argosy.contracts.balance import BalanceView, CallerBalance, Offer, ReplicaExplanation

COLUMNS = ("replica", "state", "weight", "in flight", "share", "ended", "failed", "report", "figures", "why")
OFFER_COLUMNS = ("replica", "offered", "weight", "status", "reason")

balance = typer.Typer(
    help="Show how requests are shared between replicas.", no_args_is_help=True, rich_markup_mode=None
)


@balance.callback()
def group() -> None:
    """Show how requests are shared between replicas."""


@balance.command()
def explain(
    service: Annotated[str, typer.Argument(metavar="SERVICE", help="A service's name.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the admin API's answer as JSON.")] = False,
    url: Url = None,
    admin_url: AdminUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Show what each calling process knows of a service's replicas and how it picks among them."""
    from urllib.parse import quote

    from argosy.cli.client.gateway import admin_api
    from argosy.contracts.balance import BalanceView

    fleet = locate(url, admin_url, data_dir)
    reply = admin_api(fleet).get(f"/v1/services/{quote(service, safe='')}/balance")
    if as_json:
        output.json(reply.body)
    else:
        _print(reply.into(BalanceView))


def _print(view: BalanceView) -> None:
    output.line(f"{view.service}: {view.strategy}", bold=True)
    if view.replicas:
        output.table(OFFER_COLUMNS, [_offer(offer) for offer in view.replicas])
    else:
        output.line("The service has no replicas.")
    idle: list[str] = []
    for caller in view.callers:
        if any(replica.ended or replica.in_flight for replica in caller.balance.replicas):
            _print_caller(caller)
        else:
            idle.append(caller.caller)
    if idle:
        output.line()
        output.line(f"Not called by {', '.join(idle)}.")
    for silent in view.silent:
        output.line(f"No report from {silent.caller}: {silent.reason}.", color="yellow")


def _print_caller(caller: CallerBalance) -> None:
    balance = caller.balance
    age = f", as of {caller.age_s:.0f} s ago" if caller.age_s >= 1 else ""
    output.line()
    output.line(f"{caller.caller} by {balance.strategy}: {balance.picks} picks in the last minute{age}", bold=True)
    if balance.lacks:
        output.line(f"The strategy lacks {balance.lacks}.", color="yellow")
    if balance.panic:
        output.line("Panic: too few replicas are good, so none is ejected or weighted down.", color="yellow")
    output.table(COLUMNS, [_row(replica) for replica in balance.replicas])


def _row(replica: ReplicaExplanation) -> tuple[str, ...]:
    age_s = replica.report_age_s
    return (
        replica.id,
        replica.state,
        f"{replica.weight:.3g}",
        str(replica.in_flight),
        f"{replica.picked_share:.1%}",
        str(replica.ended),
        str(replica.failed),
        output.DASH if age_s is None else f"{age_s:.1f} s ago",
        " ".join(f"{name}={value:.4g}" for name, value in replica.figures.items()) or output.DASH,
        replica.why or output.DASH,
    )


def _offer(offer: Offer) -> tuple[str, ...]:
    weight = f"{offer.weight:.3g}"
    return (offer.id, "yes" if offer.offered else "no", weight, offer.status, offer.reason or output.DASH)


def register(app: typer.Typer) -> None:
    app.add_typer(balance, name="balance")
