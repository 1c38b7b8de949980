"""`argosy up` starts a fleet in this terminal or in the background; `argosy down` stops it."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from argosy.cli import output
from argosy.cli.client.hints import StartOptions, command
from argosy.cli.client.locate import DataDir, FleetAddress, default_data_dir

if TYPE_CHECKING:
    from argosy.config.models import Fleet
    from argosy.contracts.fleet import StartReport
    from argosy.control.record import ControllerRecord

PARTIAL = 1
POLL_S = 0.1
DOWN_MARGIN_S = 30.0

FleetFile = Annotated[Path | None, typer.Argument(metavar="[FLEET.toml]", help="The fleet file.")]
Port = Annotated[int | None, typer.Option("--port", help="The gateway's port; 0 picks a free one.")]
AdminPort = Annotated[int | None, typer.Option("--admin-port", help="The admin API's port; 0 picks a free one.")]
Platform = Annotated[str | None, typer.Option("--platform", help="The platform that runs the replicas: local.")]
Sets = Annotated[
    list[str] | None, typer.Option("--set", help="A setting, like services.embedding.replicas.max=4. May be repeated.")
]
Environment = Annotated[
    str | None, typer.Option("--env", help="Apply the table [environments.NAME] of the fleet file.")
]


def register(app: typer.Typer) -> None:
    app.command()(up)
    app.command()(down)


def up(
    fleet_file: FleetFile = None,
    platform: Platform = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Run in the background; return when the fleet has started.")
    ] = False,
    port: Port = None,
    admin_port: AdminPort = None,
    data_dir: DataDir = None,
    settings: Sets = None,
    environment: Environment = None,
) -> None:
    """Start the fleet. Without --detach it runs until Ctrl-C."""
    fleet, options = described(fleet_file, data_dir, settings, port, admin_port, environment, platform)
    words = options.words(fleet.fleet.data_dir)
    fetch_model(fleet)
    here = FleetAddress("", "", fleet.fleet.data_dir.absolute())
    if here.live_replicas() and not here.controller_alive():
        output.note(
            "Replicas of an earlier controller are running. They are adopted and keep their ports and settings."
        )
    if detach:
        _up_detached(fleet, words)
    else:
        _up_here(fleet, words)


def described(
    fleet_file: Path | None,
    data_dir: Path | None,
    settings: list[str] | None,
    port: int | None,
    admin_port: int | None,
    environment: str | None,
    platform: str | None = None,
) -> tuple[Fleet, StartOptions]:
    """Return the settings of the fleet that the options describe, and the options that describe it everywhere.

    Raises: ConfigError when the file does not exist or a setting is wrong.
    """
    from argosy.config.loader import DEFAULT_FILE, load

    if fleet_file is None and DEFAULT_FILE.is_file():
        fleet_file = DEFAULT_FILE
    flags = {
        "fleet.platform": platform,
        "fleet.port": port,
        "fleet.admin_port": admin_port,
        "fleet.data_dir": data_dir,
    }
    fleet = load(fleet_file, os.environ, settings or (), flags, environment)
    values = {"--platform": platform, "--port": port, "--admin-port": admin_port, "--env": environment}
    return fleet, StartOptions(fleet_file, settings or (), values)


def fetch_model(fleet: Fleet) -> None:
    """Fetch the embedding model before the start is timed. Without a model the fleet still starts and reports it."""
    settings = fleet.services.embedding
    if settings.backend != "onnx":
        return
    from argosy.contracts.errors import ModelMissing
    from argosy.models.resolver import resolve

    try:
        resolve(settings.model, fetch=True, progress=output.note)
    except ModelMissing as error:
        output.error(error.message)


def _up_here(fleet: Fleet, words: Sequence[str]) -> None:
    import uvloop

    from argosy.control.main import run
    from argosy.telemetry import logs
    from argosy.telemetry.log_output import Rotation

    data_dir = fleet.fleet.data_dir.absolute()

    def announce(record: ControllerRecord) -> None:
        rotation = Rotation(fleet.fleet.log_file_bytes, fleet.fleet.log_total_bytes)
        logs.configure("controller", sink=data_dir / "logs" / "controller.log", rotation=rotation)
        output.note(f"Starting {fleet.fleet.name} in {data_dir} …")
        listening.append(record)

    def started(report: StartReport) -> None:
        print_report(report, listening[0])
        output.note("Stop it with Ctrl-C.")

    listening: list[ControllerRecord] = []
    uvloop.run(run(fleet, announce, started, shlex.join(["argosy", "up", *words])))
    output.note("Stopped.")


def _up_detached(fleet: Fleet, words: Sequence[str]) -> None:
    """Start the controller in its own session and wait for its start report."""
    from argosy.cli.background import spawn

    report, record = spawn(fleet, shlex.join(["argosy", "up", "--detach", *words])).wait()
    print_report(report, record)
    output.note(f"The fleet runs in the background (controller pid {record.pid}). Stop it with:")
    output.note(f"  {command('down', fleet.fleet.data_dir)}")
    output.note("To start it after a reboot, see:")
    output.note(f"  {shlex.join(['argosy', 'render', 'systemd', *words])}")
    if not report.complete:
        raise typer.Exit(PARTIAL)


def print_report(report: StartReport, record: ControllerRecord) -> None:
    """Print which services started, which failed and why, and which are waiting."""
    from argosy.contracts.fleet import StartOutcome

    rows = [
        [
            entry.service,
            entry.outcome.value,
            output.DASH if entry.seconds is None else f"{entry.seconds:.1f} s",
            entry.error or "",
        ]
        for entry in report.services
    ]
    output.table(["service", "result", "time", "reason"], rows)
    started, failed, waiting = map(report.count, (StartOutcome.STARTED, StartOutcome.FAILED, StartOutcome.WAITING))
    rest = "" if report.complete else f" {failed} failed, {waiting} waiting."
    output.line(f"{started} of {len(report.services)} services started in {report.seconds:.1f} s.{rest}")
    strategies = sorted(set(report.balancing.values()))
    output.line(f"Load balancing: {', '.join(strategies)}. Monitoring: every {report.monitoring_interval_s or 0:g} s.")
    output.line(f"API      {record.gateway_url}/v1")
    output.line(f"Admin    {record.admin_url}")


def down(data_dir: DataDir = None) -> None:
    """Stop the fleet: the gateway first, and each service before its dependencies."""
    import asyncio
    import contextlib
    import signal

    from argosy.config.models import Fleet
    from argosy.contracts.errors import StartError
    from argosy.control import record as controller_record

    folder = (data_dir or default_data_dir()).expanduser().absolute()
    record = controller_record.read(folder)
    if record is not None and controller_record.is_running(folder):
        fleet = Fleet.model_validate_json(record.fleet_json)
        longest_s = sum(s.drain_timeout_s for s in fleet.services.by_name().values()) + DOWN_MARGIN_S
        with contextlib.suppress(ProcessLookupError):
            os.kill(record.pid, signal.SIGTERM)
        deadline_s = time.monotonic() + longest_s
        while controller_record.is_running(folder):
            if time.monotonic() > deadline_s:
                raise StartError(
                    f"The controller (pid {record.pid}) did not end within {longest_s:.0f} s; "
                    f"see: {command('logs controller', folder)}"
                )
            time.sleep(POLL_S)
        if left := FleetAddress("", "", folder).live_replicas():
            again = command("down", folder)
            raise StartError(f"The controller ended, but {', '.join(left)} still run. Run again: {again}")
        output.line("The fleet is stopped.")
        return
    from argosy.control.main import stop_without_controller

    fleet = Fleet() if record is None else Fleet.model_validate_json(record.fleet_json)
    stopped = asyncio.run(stop_without_controller(folder, fleet)) if (folder / "run").is_dir() else 0
    if stopped:
        output.line(f"No controller was running; {output.quantity(stopped, 'replica')} stopped.")
    else:
        output.line(f"No fleet runs on {folder}.")
