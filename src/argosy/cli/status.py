"""`argosy status`: show services and replicas as the controller sees them, or live replicas without a controller."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from argosy.cli import output
from argosy.cli.client.hints import command
from argosy.cli.client.locate import AdminUrl, DataDir, FleetAddress, Url, locate

if TYPE_CHECKING:
    from argosy.cli.client.replies import FleetHealth
    from argosy.contracts.fleet import FleetView, ReplicaView, ServiceView

HEALTHY = 0
NOT_HEALTHY = 1
NO_CONTROLLER = 3
WATCH_EVERY_S = 2.0
SERVICE_COLUMNS = ("service", "status", "replicas", "response", "errors", "checked", "reason")
REPLICA_COLUMNS = ("replica", "status", "pid", "endpoint", "response", "errors", "restarts", "up", "reason")


@dataclass(frozen=True, slots=True)
class Seen:
    """State of the fleet at one time. `problem` says why there is no view; `body` is the admin API's raw answer."""

    exit_code: int
    view: FleetView | FleetHealth | None = None
    body: bytes = b""
    problem: str = ""
    live_replicas: tuple[str, ...] = ()


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print the admin API's answer as JSON.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Repeat until Ctrl-C.")] = False,
    url: Url = None,
    admin_url: AdminUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Show the fleet. Exit with 0 when it is healthy, 1 when not, 3 when it serves without its controller."""
    while True:
        fleet = locate(url, admin_url, data_dir)
        seen = look(fleet) if url is None or admin_url is not None else ask(fleet)
        if watch and output.is_terminal():
            typer.echo("\x1b[H\x1b[2J", nl=False)
        _print(seen, as_json)
        if not watch:
            raise typer.Exit(seen.exit_code)
        time.sleep(WATCH_EVERY_S)


def look(fleet: FleetAddress) -> Seen:
    """Ask the controller, or else find the replicas that live without it.

    Raises: an ArgosyError that the controller answers. An unreachable controller is reported in `Seen`.
    """
    from argosy.cli.client.gateway import NoFleet, Stranger, admin_api
    from argosy.contracts.fleet import FleetView, Health

    try:
        reply = admin_api(fleet).get("/v1/fleet")
    except NoFleet as error:
        return _without_controller(fleet, error.message if isinstance(error, Stranger) else "")
    view = reply.into(FleetView)
    healthy = all(state is Health.HEALTHY for state in (view.status, *(service.status for service in view.services)))
    return Seen(HEALTHY if healthy else NOT_HEALTHY, view, reply.body)


def ask(fleet: FleetAddress) -> Seen:
    """Ask the gateway at the fleet's address, which may run on another machine.

    Raises: NoFleet when no fleet listens there; another ArgosyError that the gateway answers.
    """
    from argosy.cli.client.gateway import Api
    from argosy.cli.client.replies import FleetHealth
    from argosy.contracts.fleet import Health

    reply = Api(fleet.url).get("/v1/health")
    health = reply.into(FleetHealth)
    healthy = all(state is Health.HEALTHY for state in (health.status, *(s.status for s in health.services)))
    code = NO_CONTROLLER if health.controller is None else HEALTHY if healthy else NOT_HEALTHY
    return Seen(code, health, reply.body)


def _without_controller(fleet: FleetAddress, stranger: str) -> Seen:
    """Describe a fleet whose controller cannot be reached.

    `stranger` is the message about another listener on the controller's port; empty when there is none.
    """
    if fleet.controller_alive():
        problem = stranger or (
            f"The controller runs but does not answer at {fleet.admin_url}; see: {command('logs controller')}"
        )
        return Seen(NOT_HEALTHY, problem=problem, live_replicas=tuple(fleet.live_replicas()))
    if live := fleet.live_replicas():
        problem = f"controller not running, data plane serving; start the controller with: {fleet.start_command()}"
        return Seen(NO_CONTROLLER, problem=problem, live_replicas=tuple(live))
    return Seen(
        NOT_HEALTHY, problem=f"No fleet is running on {fleet.data_dir}. Start one with: {fleet.start_command()}"
    )


def _print(seen: Seen, as_json: bool) -> None:
    if as_json and seen.view is not None:
        output.json(seen.body)
    elif as_json:
        output.json({"controller": None, "problem": seen.problem, "live_replicas": list(seen.live_replicas)})
    elif seen.view is not None:
        _print_view(seen.view)
    elif seen.exit_code == NO_CONTROLLER:
        output.line(seen.problem, color="yellow")
        output.line(f"Running replicas: {', '.join(seen.live_replicas)}.")
    else:
        output.error(seen.problem)


def _print_view(view: FleetView | FleetHealth) -> None:
    from argosy.contracts.fleet import Health

    now_s = time.time()
    colour = {"HEALTHY": "green", "DEGRADED": "yellow"}.get(view.status.value, "red")
    if (controller := view.controller) is None:
        output.line(f"{view.status.value}  without a controller", color=colour)
        output.line(getattr(view, "note", ""), color="yellow")
    else:
        up = output.ago(controller.started_at, now_s)
        output.line(
            f"{view.status.value}  controller {controller.version}, pid {controller.pid}, up {up}", color=colour
        )
        if controller.status is not Health.HEALTHY:
            output.line(f"Controller {controller.status.value}: {controller.reason}", color="yellow")
    output.line()
    output.table(SERVICE_COLUMNS, [_service_row(service, now_s) for service in view.services])
    output.line()
    replicas = [replica for service in view.services for replica in service.replicas]
    output.table(REPLICA_COLUMNS, [_replica_row(replica, now_s) for replica in replicas])


def _service_row(service: ServiceView, now_s: float) -> tuple[str, ...]:
    return (
        service.name,
        service.status.value,
        f"{service.details.get('serving', len(service.replicas))}/{service.desired}",
        _response(service.response_time_ms),
        str(service.error_count),
        output.DASH if service.last_check is None else f"{output.ago(service.last_check, now_s)} ago",
        service.reason,
    )


def _replica_row(replica: ReplicaView, now_s: float) -> tuple[str, ...]:
    return (
        replica.id,
        replica.status.value,
        output.DASH if replica.pid is None else str(replica.pid),
        replica.endpoint or output.DASH,
        _response(replica.response_time_ms),
        str(replica.error_count),
        str(replica.restarts),
        output.ago(replica.started_at, now_s),
        replica.reason,
    )


def _response(milliseconds: float | None) -> str:
    return output.DASH if milliseconds is None else f"{milliseconds:.1f} ms"


def register(app: typer.Typer) -> None:
    app.command()(status)
