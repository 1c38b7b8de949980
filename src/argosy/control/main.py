"""Assembly and run of a controller: data_dir, lock, ports, platform, admin API and loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from starlette.types import ASGIApp

from argosy.config.models import Fleet
from argosy.contracts.errors import StartError, Unavailable
from argosy.contracts.fleet import StartReport
from argosy.control import record as controller_record
from argosy.control.api.app import MAX_WAITING, create_admin_app
from argosy.control.controller import Controller
from argosy.control.discovery.publisher import Publisher
from argosy.control.events.feed import Feed
from argosy.control.history.history import History, is_damaged, set_aside
from argosy.control.history.series import Series
from argosy.control.monitoring.prober import Prober
from argosy.control.platforms.externals import WithExternals
from argosy.control.platforms.foreign_logs import ForeignLogs
from argosy.control.platforms.local import LocalPlatform
from argosy.control.preflight import explained, fleet_token, free_port, listener, make_parts, prepare_data_dir
from argosy.control.record import ControllerRecord
from argosy.control.supervision.shutdown import STRANGER_GRACE_S, stop_all, stop_waves
from argosy.serving import runfile
from argosy.serving.connections import Connections
from argosy.serving.descriptors import raise_limit, room_for_connections
from argosy.serving.http_server import HttpConfig, HttpServer
from argosy.serving.waiting import Waiters
from argosy.telemetry.log_output import Rotation
from argosy.telemetry.logs import logger
from argosy.version import VERSION

ADMIN_STOP_S = 5.0
MAX_CONNECTIONS = 4096
"""Largest number of connections to the admin API."""

log = logger("main")


async def run(
    fleet: Fleet,
    on_listening: Callable[[ControllerRecord], None] = lambda record: None,
    on_start: Callable[[StartReport], None] = lambda report: None,
    start_command: str = "",
) -> StartReport:
    """Run the fleet until SIGINT or SIGTERM and return the start report.

    Args:
        on_listening: called with the controller's record when the admin API answers.
        on_start: called with the start report when the start is finished.
        start_command: command line that starts the same fleet again, for the controller's record.

    Raises: StartError when the fleet cannot be started; no replica runs then. SupervisionLost when nothing supervises
    the fleet any more; its replicas are left alive.
    """
    data_dir = fleet.fleet.data_dir.absolute()
    prepare_data_dir(data_dir)
    make_parts(data_dir)
    lock = runfile.ReplicaLock(controller_record.lock_path(data_dir))
    with explained(data_dir):
        acquired = lock.acquire()
    if acquired is None:
        raise StartError(controller_record.already_running(data_dir))
    try:
        return await _run_locked(fleet, data_dir, on_listening, on_start, start_command)
    finally:
        lock.release()


async def _run_locked(
    fleet: Fleet,
    data_dir: Path,
    on_listening: Callable[[ControllerRecord], None],
    on_start: Callable[[StartReport], None],
    start_command: str,
) -> StartReport:
    host, before = fleet.fleet.host, controller_record.read(data_dir)
    survivors = any(runfile.is_held(path) for path in (data_dir / "run").glob("*-*.lock"))
    surviving = before if survivors else None
    with contextlib.ExitStack() as opened:
        listening = opened.enter_context(_admin_listener(fleet, surviving))
        admin_port = int(listening.getsockname()[1])
        public_port = _port_of(surviving.gateway_url) if surviving else free_port(host, fleet.fleet.port, "--port")
        shown = f"[{host}]" if ":" in host else host
        record = ControllerRecord(
            pid=os.getpid(),
            admin_url=f"http://{shown}:{admin_port}",
            gateway_url=f"http://{shown}:{public_port}",
            started_at=time.time(),
            version=VERSION,
            fleet_json=fleet.model_dump_json(),
            start_command=start_command,
        )
        with explained(data_dir):
            token = fleet_token(data_dir)
            history = _history(data_dir)
            opened.callback(history.close)
            platform = WithExternals(
                LocalPlatform(data_dir, record.fleet_json, token, record.admin_url), fleet.services.custom()
            )
            controller = Controller(
                fleet,
                platform,
                Prober(token, fleet.fleet.probe_timeout_s),
                Publisher(history.next_epoch(time.time())),
                Feed(history),
                history,
                public_port,
                on_start,
            )
            controller_record.write(data_dir, record)
        raise_limit()
        waiters = Waiters(MAX_WAITING, "admin API")
        admin = _Admin(create_admin_app(controller, token, waiters), host, listening)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, controller.ask_to_stop)
        await admin.start()
        on_listening(record)
        rotation = Rotation(fleet.fleet.log_file_bytes, fleet.fleet.log_total_bytes)
        foreign = ForeignLogs(data_dir / "logs", rotation, platform.replicas)
        keeping = [
            asyncio.create_task(controller.keep("admin API", admin.serve)),
            asyncio.create_task(controller.keep("log rotation", foreign.run)),
        ]
        try:
            await controller.run()
        finally:
            waiters.end()
            await admin.stop()
            for task in keeping:
                task.cancel()
            await asyncio.gather(*keeping, return_exceptions=True)
    return controller.start_report()


def _admin_listener(fleet: Fleet, before: ControllerRecord | None) -> socket.socket:
    """Listen at the port of the fleet file, or first at that of `before` when its replicas survive.

    Survivors read the controller's address from its record. When another program took the port while no controller ran,
    the next controller listens at another port, and the survivors find it.

    Raises: StartError when the port is taken and no replica survives.
    """
    host, wanted = fleet.fleet.host, fleet.fleet.admin_port
    if before is not None:
        for port in (_port_of(before.admin_url), wanted, 0):
            with contextlib.suppress(StartError):
                return listener(host, port, "--admin-port")
    return listener(host, wanted, "--admin-port")


async def stop_without_controller(data_dir: Path, fleet: Fleet) -> int:
    """Stop the replicas that a dead controller left alive, dependants first. Return the number of replicas."""
    platform = LocalPlatform(data_dir, "", "", "")
    alive = await platform.adopt()
    services = fleet.services.by_name()
    strangers = {replica.service for replica in alive} - set(services)
    grace_s = {name: settings.drain_timeout_s for name, settings in services.items()}
    for wave in [list(strangers), *stop_waves(fleet)]:
        stopping = [replica for replica in alive if replica.service in wave]
        await stop_all(platform, ((r.id, grace_s.get(r.service, STRANGER_GRACE_S)) for r in stopping))
    await platform.close()
    return len(alive)


class _Admin:
    """Server of the admin API, replaced by a new server when it ends before `stop`."""

    def __init__(self, app: ASGIApp, host: str, listening: socket.socket) -> None:
        """Create the server. The first server closes `listening`; a later one listens at the same port again."""
        self._app = app
        self._host = host
        self._port = int(listening.getsockname()[1])
        self._listening: socket.socket | None = listening
        self._server = self._new()
        self._serving: asyncio.Task[None] | None = None
        self._stopping = False

    async def start(self) -> None:
        """Start the server and wait until it answers.

        Raises: StartError when it cannot listen at the port, or ends while it starts.
        """
        listening, self._listening = self._listening or listener(self._host, self._port, "--admin-port"), None
        self._server = self._new()
        self._serving = serving = asyncio.create_task(self._server.serve(sockets=[listening]))
        while not self._server.started:
            if serving.done():
                serving.result()
                raise StartError(
                    f"The admin API ended while it started on port {self._port}; see the controller's log."
                )
            await asyncio.sleep(0.01)

    async def serve(self) -> None:
        """Serve until `stop`.

        Raises: StartError when the server cannot start; Unavailable when it ended by itself. Call `serve` again then.
        """
        if self._serving is None or self._serving.done():
            await self.start()
        assert self._serving is not None
        await asyncio.wait({self._serving})
        if not self._stopping:
            self._serving.result()
            raise Unavailable("The admin API ended although it was not stopped; it is being started again.")

    async def stop(self) -> None:
        """Stop the server. Answers in progress have ADMIN_STOP_S to finish."""
        self._stopping = True
        self._server.should_exit = True
        if self._serving is not None:
            await asyncio.wait({self._serving}, timeout=ADMIN_STOP_S)
            self._serving.cancel()
            await asyncio.gather(self._serving, return_exceptions=True)

    def _new(self) -> HttpServer:
        return HttpServer(
            HttpConfig(
                self._app,
                Connections(room_for_connections(MAX_CONNECTIONS), setting="the admin API"),
                drain_s=1,
            )
        )


def _history(data_dir: Path) -> History:
    """Open the history of earlier controllers. A damaged file is set aside, which loses history but no service.

    Raises: StartError when the damaged file cannot be replaced; OSError or sqlite3.Error when the file cannot be opened
    now.
    """
    for _ in range(2):
        try:
            Series(data_dir).close()
            return History(data_dir)
        except sqlite3.Error as error:
            if not is_damaged(error):
                raise
            damaged = set_aside(data_dir, time.time())
            log.error("damaged history set aside", reason=str(error), kept_as=damaged.name)
    raise StartError("control.db in data_dir is damaged and cannot be replaced; check the disk.")


def _port_of(url: str) -> int:
    return int(url.rpartition(":")[2])
