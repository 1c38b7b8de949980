"""`argosy scale`: show how services are scaled, set a number of replicas, or return a service to its policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from argosy.cli import output
from argosy.cli.client.locate import AdminUrl, DataDir, Url, locate
from argosy.cli.durations import seconds

if TYPE_CHECKING:
    from argosy.cli.client.gateway import Api
    from argosy.contracts.scaling import DecisionRecord, ScalingView

SHOWN_DECISIONS = 10
ALL_COLUMNS = ("service", "wanted", "ready", "bounds", "policy", "reason", "binding")
COLUMNS = ("when", "action", "replicas", "reason", "binding")


def scale(
    order: Annotated[
        str | None,
        typer.Argument(
            metavar="SERVICE[=N|=auto]",
            help="embedding=3 sets the number, embedding=auto returns to the policy, embedding shows the service "
            "(default: show all services).",
        ),
    ] = None,
    lasting: Annotated[
        str | None, typer.Option("--for", help="How long to keep the number (90s, 30m, 2h; default: until =auto).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the admin API's answer as JSON.")] = False,
    url: Url = None,
    admin_url: AdminUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Set a service's number of replicas by hand, return it to its policy, or show how it is scaled."""
    from argosy.cli.client.gateway import admin_api
    from argosy.contracts.scaling import ScaleOrder, ScalingView

    service, equals, number = (order or "").partition("=")
    if order is not None and not service:
        raise typer.BadParameter(f"{order} names no service; write it like embedding=3.")
    wanted = ScaleOrder(_replicas(number), seconds(lasting)) if equals else None
    if lasting is not None and (wanted is None or wanted.replicas is None):
        raise typer.BadParameter("--for needs a number of replicas: SERVICE=N --for 30m.")
    if wanted is not None and wanted.expires_s == 0:
        raise typer.BadParameter("give a duration above 0, like 30m.", param_hint="--for")
    fleet = locate(url, admin_url, data_dir)
    api = admin_api(fleet)
    if order is None:
        _print_all(api, as_json)
        return
    path = f"/v1/services/{service}/scal"
    reply = api.get(f"{path}ing") if wanted is None else api.post(f"{path}e", wanted)
    if as_json:
        output.json(reply.body)
    else:
        _print(reply.into(ScalingView), all_decisions=wanted is None)


def _replicas(number: str) -> int | None:
    if number == "auto":
        return None
    if not (number.isascii() and number.isdigit()):
        raise typer.BadParameter(
            f"{number or 'nothing'} is not a number of replicas; give 1 or more, within the service's bounds: "
            "embedding=3, or embedding=auto."
        )
    return int(number)


def _print_all(api: Api, as_json: bool) -> None:
    from argosy.contracts.fleet import FleetView
    from argosy.contracts.scaling import ScalingView

    names = [service.name for service in api.get("/v1/fleet").into(FleetView).services]
    views = [api.get(f"/v1/services/{name}/scaling").into(ScalingView) for name in names]
    if as_json:
        output.json(views)
        return
    output.table(ALL_COLUMNS, [_summary(view) for view in views])
    for view in views:
        if view.recommendation:
            output.line(f"{view.service}: {view.recommendation}", color="yellow")


def _summary(view: ScalingView) -> tuple[str, ...]:
    last = view.decisions[0].decision if view.decisions else None
    return (
        view.service,
        str(view.current_instances),
        str(view.ready_instances),
        f"{view.min_instances} to {view.max_instances}",
        "–" if view.fixed else _mode(view),
        "never scaled" if view.fixed else str(last.reason) if last else "",
        view.fixed or (last.binding if last else ""),
    )


def _mode(view: ScalingView) -> str:
    mode = f"{view.policy}, in shadow mode" if view.shadow else view.policy
    return mode if view.override is None else "by hand"


def _print(view: ScalingView, all_decisions: bool) -> None:
    mode = f"policy {view.policy}{' in shadow mode' if view.shadow else ''}"
    if view.override is not None:
        left_s = view.override.expires_s
        until = "until =auto" if left_s is None else f"for another {left_s:.0f} s"
        mode = f"by hand {until} (then {mode})"
    if view.fixed:
        mode = f"never scaled: {view.fixed}"
    output.line(
        f"{view.service}: {output.quantity(view.current_instances, 'replica')} wanted, {view.ready_instances} ready, "
        f"bounds {view.min_instances} to {view.max_instances}; {mode}"
    )
    if view.recommendation:
        output.line(view.recommendation, color="yellow")
    shown = view.decisions[:SHOWN_DECISIONS] if all_decisions else view.decisions[:1]
    if shown:
        output.table(COLUMNS, [_row(record) for record in shown])


def _row(record: DecisionRecord) -> tuple[str, ...]:
    decision = record.decision
    again = f" (×{record.repeated + 1})" if record.repeated else ""
    return (
        output.moment(record.at),
        f"{decision.action}{again}",
        str(decision.target_instances),
        str(decision.reason),
        decision.binding,
    )


def register(app: typer.Typer) -> None:
    app.command()(scale)
