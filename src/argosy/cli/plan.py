"""`argosy plan`: estimate the replicas that a load needs, after a short load test if asked for."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from argosy.cli import output
from argosy.cli.client.hints import command
from argosy.cli.client.locate import AdminUrl, DataDir, Url, locate

if TYPE_CHECKING:
    from argosy.cli.client.gateway import Api
    from argosy.contracts.plan import PlanPoint, PlanView

COLUMNS = ("replicas", "saturation", "interval", "p95", "interval", "headroom")
READY_TIMEOUT_S = 120.0
OVERRIDE_GRACE_S = 60.0


def plan(
    rps: Annotated[float | None, typer.Option("--rps", min=0, help="Requests per second to the service.")] = None,
    p95: Annotated[
        str | None,
        typer.Option("--p95", "--p95-ms", help="Longest p95 response time (200ms, 0.2s; a bare number is ms)."),
    ] = None,
    service: Annotated[
        str | None, typer.Option("--service", metavar="NAME", help="Only this service (default: all services).")
    ] = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="First run a short load test of the running service.")
    ] = False,
    seconds: Annotated[
        float, typer.Option("--seconds", min=15, max=600, help="Duration of the load test of each service.")
    ] = 60.0,
    replicas: Annotated[
        int | None,
        typer.Option("--replicas", min=1, help="Number of replicas to calibrate with (default: as running)."),
    ] = None,
    path: Annotated[
        str | None, typer.Option("--path", help="Path to GET from a service of your own when calibrating.")
    ] = None,
    most_failed: Annotated[
        float,
        typer.Option("--most-failed", min=0, max=1, help="Share of failed requests above which the load test ends."),
    ] = 0.02,
    as_json: Annotated[bool, typer.Option("--json", help="Print the admin API's answer as JSON.")] = False,
    url: Url = None,
    admin_url: AdminUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Estimate the replicas that a load needs, with headroom, saturation, bottleneck and the source of the estimate."""
    from argosy.cli.client.gateway import admin_api
    from argosy.contracts.plan import PlanPage, PlanRequest

    if rps == 0:
        raise typer.BadParameter("give a rate above 0.", param_hint="--rps")
    if rps is None and not calibrate:
        raise typer.BadParameter("--rps is missing: argosy plan --rps 50 --p95 200ms, or argosy plan --calibrate.")
    if (path is not None or replicas is not None) and (service is None or not calibrate):
        raise typer.BadParameter("--path and --replicas need --calibrate and --service NAME.")
    wanted_ms = milliseconds(p95)
    fleet = locate(url, admin_url, data_dir)
    api = admin_api(fleet)
    if calibrate:
        for name in [service] if service else ["embedding", "retrieval"]:
            _calibrate(api, fleet.url, name, path, seconds, replicas, most_failed)
    if rps is None:
        return
    reply = api.post("/v1/plan", PlanRequest(rps, wanted_ms, service))
    if as_json:
        output.json(reply.body)
        return
    for view in reply.into(PlanPage).services:
        _print(view)


def milliseconds(text: str | None) -> float | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|)", text.strip())
    if found is None:
        raise typer.BadParameter(f"{text} is not a response time; write it like 200ms or 0.2s.")
    return float(found[1]) * (1000 if found[2] == "s" else 1)


def _calibrate(
    api: Api, url: str, service: str, path: str | None, seconds: float, replicas: int | None, most_failed: float
) -> None:
    """Run the load test and record its result.

    An override fixes the number of replicas during the test; it expires even if this command dies.
    """
    from argosy.cli.loadtest.calibration import Calibrator, ask_of
    from argosy.contracts.fleet import FleetView
    from argosy.contracts.scaling import ScaleOrder, ScalingView

    ours = {"store", "embedding", "documents", "retrieval", "generation", "gateway"}
    names = [view.name for view in api.get("/v1/fleet").into(FleetView).services]
    if service not in names:
        raise typer.BadParameter(
            f"there is no service {service}; there are {', '.join(names)}.", param_hint="--service"
        )
    base = f"/v1/services/{quote(service, safe='')}"
    ask = ask_of(service, path, custom=service not in ours)
    scaling = api.get(f"{base}/scaling").into(ScalingView)
    number = replicas or scaling.current_instances
    held = not scaling.fixed and (scaling.override is None or replicas is not None)

    def hold() -> None:
        if held:
            api.post(f"{base}/scale", ScaleOrder(number, seconds + READY_TIMEOUT_S + OVERRIDE_GRACE_S))

    hold()
    try:
        _await_ready(api, base, number)
        output.note(f"{service}: load test of about {seconds:.0f} s on {output.quantity(number, 'replica')}")
        found = Calibrator(api, url, service, ask, seconds, most_failed, output.note, renew=hold).run()
        if found.steps:
            api.post(f"{base}/calibration", found)
    finally:
        if held:
            kept = scaling.override
            again = ScaleOrder() if kept is None else ScaleOrder(kept.replicas, kept.expires_s)
            api.post(f"{base}/scale", again)
    output.note(
        f"{service}: {output.quantity(len(found.steps), 'step')} recorded; the load test ended because {found.stopped}"
    )


def _await_ready(api: Api, base: str, number: int) -> None:
    from argosy.contracts.errors import Unavailable
    from argosy.contracts.scaling import ScalingView

    until_s = time.monotonic() + READY_TIMEOUT_S
    while api.get(f"{base}/scaling").into(ScalingView).ready_instances != number:
        if time.monotonic() > until_s:
            see = command("status")
            raise Unavailable(
                f"Not all of {output.quantity(number, 'replica')} became ready. See the reason with: {see}"
            )
        time.sleep(0.5)


def _print(view: PlanView) -> None:
    if view.state:
        output.line(f"{view.service}: no answer: {view.state}", color="yellow")
        return
    wanted = f"{view.rps:g} requests/s at p95 ≤ {view.p95_ms:.0f} ms"
    if view.replicas is None:
        output.line(f"{view.service}: no number of replicas keeps {wanted}", color="yellow")
    else:
        span = ""
        if view.replicas_interval is not None:
            low, high = view.replicas_interval
            span = f" ({low} or more)" if high is None else f" ({low} to {high})" if low != high else ""
        output.line(
            f"{view.service}: {output.quantity(view.replicas, 'replica')}{span} for {wanted}; "
            f"{view.running} running, {view.min_instances} to {view.max_instances} allowed",
            bold=True,
        )
    output.table(COLUMNS, [_row(point) for point in view.points])
    output.line(f"Bottleneck: {view.bottleneck}.")
    for note in view.notes:
        output.line(note)
    output.line(f"Learnt from {view.learnt_from}.")


def _row(point: PlanPoint) -> tuple[str, ...]:
    low, high = point.saturation_interval_rps
    p95 = "saturated" if point.p95_ms is None else f"{point.p95_ms:.0f} ms"
    return (
        str(point.replicas),
        f"{point.saturation_rps:.1f}/s",
        f"{low:.1f} or more" if high is None else f"{low:.1f} to {high:.1f}",
        p95,
        output.DASH if point.p95_interval_ms is None else _span(*point.p95_interval_ms),
        f"{point.headroom:.0%}",
    )


def _span(low: float, high: float | None) -> str:
    return f"{low:.0f} to {high:.0f}" if high is not None else f"{low:.0f} or more"


def register(app: typer.Typer) -> None:
    app.command()(plan)
