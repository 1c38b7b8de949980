"""Puts a controller together and runs it: data_dir, lock, ports, platform, admin API, loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn

from argosy.config.models import Fleet
from argosy.contracts.errors import StartError
from argosy.contracts.fleet import StartReport
from argosy.control import record as controller_record
from argosy.control.api.app import create_admin_app
from argosy.control.controller import STRANGER_GRACE_S, Controller, stop_waves
from argosy.control.discovery.publisher import Publisher
from argosy.control.events.feed import Feed
from argosy.control.history import History
from argosy.control.monitoring.prober import Prober
from argosy.control.platforms.externals import WithExternals
from argosy.control.platforms.local import LocalPlatform
from argosy.control.preflight import explained, fleet_token, free_port, listener, make_parts, prepare_data_dir
from argosy.control.record import ControllerRecord
from argosy.serving import runfile
from argosy.version import VERSION


async def run(
    fleet: Fleet,
    on_listening: Callable[[ControllerRecord], None] = lambda record: None,
    on_start: Callable[[StartReport], None] = lambda report: None,
) -> StartReport:
    """Runs the fleet until SIGINT or SIGTERM. Returns the start report. Raises: StartError before anything runs."""
    data_dir = fleet.fleet.data_dir.absolute()
    prepare_data_dir(data_dir)
    make_parts(data_dir)
    lock = runfile.ReplicaLock(controller_record.lock_path(data_dir))
    with explained(data_dir):
        acquired = lock.acquire()
    if acquired is None:
        raise StartError(controller_record.already_running(data_dir))
    try:
        return await _run_locked(fleet, data_dir, on_listening, on_start)
    finally:
        lock.release()


async def _run_locked(
    fleet: Fleet,
    data_dir: Path,
    on_listening: Callable[[ControllerRecord], None],
    on_start: Callable[[StartReport], None],
) -> StartReport:
    host, before = fleet.fleet.host, controller_record.read(data_dir)
    survivors = any(runfile.is_held(path) for path in (data_dir / "run").glob("*-*.lock"))
    surviving = before if survivors else None
    with contextlib.ExitStack() as opened:
        admin = opened.enter_context(_admin_listener(fleet, surviving))
        public_port = _port_of(surviving.gateway_url) if surviving else free_port(host, fleet.fleet.port, "--port")
        shown = f"[{host}]" if ":" in host else host
        record = ControllerRecord(
            pid=os.getpid(),
            admin_url=f"http://{shown}:{admin.getsockname()[1]}",
            gateway_url=f"http://{shown}:{public_port}",
            started_at=time.time(),
            version=VERSION,
            fleet_json=fleet.model_dump_json(),
        )
        with explained(data_dir):
            token = fleet_token(data_dir)
            history = History(data_dir)
            opened.callback(history.close)
            controller = Controller(
                fleet,
                WithExternals(
                    LocalPlatform(data_dir, record.fleet_json, token, record.admin_url), fleet.services.custom()
                ),
                Prober(token, fleet.fleet.probe_timeout_s),
                Publisher(history.next_epoch(time.time())),
                Feed(history),
                history,
                public_port,
                on_start,
            )
            controller_record.write(data_dir, record)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, controller.ask_to_stop)
        server = _AdminServer(
            uvicorn.Config(
                create_admin_app(controller, token),
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=1,
            )
        )
        serving = asyncio.create_task(server.serve(sockets=[admin]))
        try:
            on_listening(record)
            await controller.run()
        finally:
            server.should_exit = True
            await serving
    return controller.start_report()


def _admin_listener(fleet: Fleet, before: ControllerRecord | None) -> socket.socket:
    """Listen where the fleet file says, or where the survivors of `before` look first. Raises: StartError.

    Survivors read the record of the controller for its address. So a stranger who took the port while no controller ran
    does not keep the next one out: it listens elsewhere, and the survivors find it.
    """
    host, wanted = fleet.fleet.host, fleet.fleet.admin_port
    if before is not None:
        for port in (_port_of(before.admin_url), wanted, 0):
            with contextlib.suppress(StartError):
                return listener(host, port, "--admin-port")
    return listener(host, wanted, "--admin-port")


async def stop_without_controller(data_dir: Path, fleet: Fleet) -> int:
    """Stops, in order, what a controller that is gone has left alive. Returns how many replicas that were."""
    platform = LocalPlatform(data_dir, "", "", "")
    alive = await platform.adopt()
    services = fleet.services.by_name()
    strangers = {replica.service for replica in alive} - set(services)
    for wave in [list(strangers), *stop_waves(fleet)]:
        stopping = [replica for replica in alive if replica.service in wave]
        grace_s = {name: settings.drain_timeout_s for name, settings in services.items()}
        await asyncio.gather(*(platform.stop(r.id, grace_s.get(r.service, STRANGER_GRACE_S)) for r in stopping))
    await platform.close()
    return len(alive)


class _AdminServer(uvicorn.Server):
    """Leaves signals to the controller: it serves until the last replica has stopped."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _port_of(url: str) -> int:
    return int(url.rpartition(":")[2])
