"""`argosy forecast`: show the expected load, the error of earlier forecasts, and when resources will be full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from argosy.cli import output
from argosy.cli.client.locate import AdminUrl, DataDir, Url, locate
from argosy.cli.durations import seconds

if TYPE_CHECKING:
    from argosy.contracts.forecast import ForecastView, HorizonView, SaturationView

COLUMNS = ("service", "in", "requests/s", "95 % band", "covered", "error", "error of last value", "used")


def forecast(
    service: Annotated[
        str | None, typer.Argument(metavar="[SERVICE]", help="A service's name (default: all services).")
    ] = None,
    horizon: Annotated[
        str | None, typer.Option(help="Only the shortest horizon of at least this length (10m).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the admin API's answer as JSON.")] = False,
    url: Url = None,
    admin_url: AdminUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Show the expected load, the error of earlier forecasts, and when resources will be full."""
    from urllib.parse import quote

    from argosy.cli.client.gateway import admin_api
    from argosy.contracts.forecast import ForecastPage

    least_s = seconds(horizon)
    fleet = locate(url, admin_url, data_dir)
    reply = admin_api(fleet).get("/v1/forecast" + (f"?service={quote(service, safe='')}" if service else ""))
    if as_json:
        output.json(reply.body)
        return
    page = reply.into(ForecastPage)
    rows = [_row(view.service, row) for view in page.services for row in _shown(view, least_s)]
    if rows:
        output.table(COLUMNS, rows)
    for view in page.services:
        _print(view)
    for entry in page.fleet:
        _print_saturation("fleet", entry)


def _shown(view: ForecastView, least_s: float | None) -> list[HorizonView]:
    if least_s is None:
        return view.horizons
    return [row for row in view.horizons if row.horizon_s >= least_s][:1]


def _row(service: str, row: HorizonView) -> tuple[str, ...]:
    band = output.DASH if row.low is None or row.high is None else f"{row.low:.3g} to {row.high:.3g}"
    covered = output.DASH if row.coverage is None else f"{row.coverage:.1%}"
    errors = (output.DASH if error is None else f"{error:.3g}" for error in (row.error, row.naive_error))
    return (service, f"{row.horizon_s // 60} min", f"{row.expected:.3g}", band, covered, *errors, _yes(row.used))


def _print(view: ForecastView) -> None:
    peak = view.peak
    if peak is None:
        output.line(f"{view.service}: no forecast for scaling yet: {view.state}")
    else:
        output.line(
            f"{view.service}: at most {peak.replicas:.2f} replicas' worth of load within {peak.horizon_s} s, "
            f"{'used' if peak.used else 'not used'} "
            f"(error {peak.error:.3g}; error of the highest recent load {peak.naive_error:.3g})"
        )
    known, slots = view.capacity, ""
    if known.slots is not None and known.slots_interval is not None:
        low, high = known.slots_interval
        slots = f", {known.slots:g} slots ({f'{low:g} to {high:g}' if high is not None else f'{low:g} or more'})"
    if known.service_time_s is not None:
        slots = f", {1000 * known.service_time_s:.3g} ms a request{slots}, R² {known.r2 or 0.0:.2f}"
    output.line(f"  capacity: {known.state}{slots}")
    for entry in view.anomalies:
        output.line(
            f"  unusual: {entry.series} = {entry.value:.3g}, usual is {entry.low:.3g} to {entry.high:.3g}",
            color="yellow",
        )
    for entry_ in view.saturation:
        _print_saturation(view.service, entry_)


def _print_saturation(owner: str, entry: SaturationView) -> None:
    if entry.seconds is not None:
        days = entry.seconds / 86_400
        left = f"{days:.1f} days" if days >= 2 else f"{entry.seconds / 3600:.1f} h"
        output.line(f"  {owner}: {entry.what} is full in {left} ({entry.now:.3g} of {entry.limit:.3g})", color="yellow")


def _yes(used: bool) -> str:
    return "yes" if used else "no"


def register(app: typer.Typer) -> None:
    app.command()(forecast)
