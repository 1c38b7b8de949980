"""Puts a controller together and runs it: data_dir, lock, ports, platform, admin API, loop."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from argosy.config.models import Fleet
from argosy.contracts.errors import StartError
from argosy.contracts.fleet import StartReport
from argosy.control import record as controller_record
from argosy.control.api.app import MAX_WAITING, create_admin_app
from argosy.control.controller import STRANGER_GRACE_S, Controller, stop_waves
from argosy.control.discovery.publisher import Publisher
from argosy.control.events.feed import Feed
from argosy.control.history import History
from argosy.control.monitoring.prober import Prober
from argosy.control.platforms.externals import WithExternals
from argosy.control.platforms.local import LocalPlatform
from argosy.control.preflight import fleet_token, free_port, prepare_data_dir
from argosy.control.record import ControllerRecord
from argosy.serving import runfile
from argosy.serving.connections import Connections
from argosy.serving.descriptors import raise_limit, room_for_connections
from argosy.serving.http_server import HttpConfig, HttpServer
from argosy.serving.waiting import Waiters
from argosy.version import VERSION

MAX_CONNECTIONS = 4096
"""To the admin API."""


async def run(
    fleet: Fleet,
    on_listening: Callable[[ControllerRecord], None] = lambda record: None,
    on_start: Callable[[StartReport], None] = lambda report: None,
) -> StartReport:
    """Runs the fleet until SIGINT or SIGTERM. Returns the start report. Raises: StartError before anything runs."""
    data_dir = fleet.fleet.data_dir.absolute()
    prepare_data_dir(data_dir)
    for folder in ("run", "logs"):
        (data_dir / folder).mkdir(mode=0o700, exist_ok=True)
    lock = runfile.ReplicaLock(controller_record.lock_path(data_dir))
    if lock.acquire() is None:
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
    admin_port = free_port(
        host, _port_of(before.admin_url) if survivors and before else fleet.fleet.admin_port, "--admin-port"
    )
    public_port = _port_of(before.gateway_url) if survivors and before else free_port(host, fleet.fleet.port, "--port")
    shown = f"[{host}]" if ":" in host else host
    record = ControllerRecord(
        pid=os.getpid(),
        admin_url=f"http://{shown}:{admin_port}",
        gateway_url=f"http://{shown}:{public_port}",
        started_at=time.time(),
        version=VERSION,
        fleet_json=fleet.model_dump_json(),
    )
    token = fleet_token(data_dir)
    history = History(data_dir)
    platform = LocalPlatform(data_dir, record.fleet_json, token, record.admin_url)
    controller = Controller(
        fleet,
        WithExternals(platform, fleet.services.custom()),
        Prober(token, fleet.fleet.probe_timeout_s),
        Publisher(history.next_epoch(time.time())),
        Feed(history),
        history,
        public_port,
        on_start,
    )
    raise_limit()
    waiters = Waiters(MAX_WAITING, "admin API")
    server = HttpServer(
        HttpConfig(
            create_admin_app(controller, token, waiters),
            Connections(room_for_connections(MAX_CONNECTIONS), setting="the admin API"),
            drain_s=1,
            host=host,
            port=admin_port,
        )
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, controller.ask_to_stop)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        if serving.done():
            raise StartError(f"The admin API cannot listen on port {admin_port}. Choose another with --admin-port.")
        await asyncio.sleep(0.01)
    controller_record.write(data_dir, record)
    on_listening(record)
    try:
        await controller.run()
    finally:
        waiters.end()
        server.should_exit = True
        await serving
        history.close()
    return controller.start_report()


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


def _port_of(url: str) -> int:
    return int(url.rpartition(":")[2])
