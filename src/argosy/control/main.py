"""Puts a controller together and runs it: data_dir, lock, ports, platform, admin API, loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import uvicorn

from argosy.config.models import Fleet
from argosy.contracts.errors import StartError
from argosy.contracts.fleet import StartReport
from argosy.control.api.app import create_admin_app
from argosy.control.controller import Controller, stop_waves
from argosy.control.discovery.publisher import Publisher
from argosy.control.history import History
from argosy.control.monitoring.prober import Prober
from argosy.control.platforms.local import LocalPlatform
from argosy.control.preflight import fleet_token, free_port, prepare_data_dir
from argosy.serving import runfile
from argosy.version import VERSION


class ControllerRecord(msgspec.Struct):
    """`run/controller.json`: how tools find a fleet through its data_dir."""

    pid: int
    admin_url: str
    gateway_url: str
    started_at: float
    version: str
    fleet_json: str


def record_path(data_dir: Path) -> Path:
    return data_dir / "run" / "controller.json"


def lock_path(data_dir: Path) -> Path:
    return data_dir / "run" / "controller.lock"


def read_record(data_dir: Path) -> ControllerRecord | None:
    """The record of the last controller, alive or not."""
    try:
        return msgspec.json.decode(record_path(data_dir).read_bytes(), type=ControllerRecord)
    except (OSError, msgspec.DecodeError):
        return None


def is_running(data_dir: Path) -> bool:
    return runfile.is_held(lock_path(data_dir))


async def run(
    fleet: Fleet,
    on_listening: Callable[[ControllerRecord], None] = lambda record: None,
    on_start: Callable[[StartReport], None] = lambda report: None,
) -> StartReport:
    """Runs the fleet until SIGINT or SIGTERM. Returns the start report. Raises: StartError before anything runs."""
    data_dir = fleet.fleet.data_dir.absolute()
    prepare_data_dir(data_dir)
    (data_dir / "run").mkdir(mode=0o700, exist_ok=True)
    lock = runfile.ReplicaLock(lock_path(data_dir))
    if lock.acquire() is None:
        record = read_record(data_dir)
        pid = f" (pid {record.pid})" if record else ""
        raise StartError(
            f"A fleet is already running on {data_dir}{pid}. See it with: argosy status. Stop it with: argosy down."
        )
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
    host, before = fleet.fleet.host, read_record(data_dir)
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
        platform,
        Prober(token, fleet.fleet.probe_timeout_s),
        Publisher(history.next_epoch()),
        public_port,
        on_start,
    )
    server = _AdminServer(
        uvicorn.Config(
            create_admin_app(controller, token),
            host=host,
            port=admin_port,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
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
    _write_record(data_dir, record)
    on_listening(record)
    try:
        await controller.run()
    finally:
        server.should_exit = True
        await serving
        history.close()
    return controller.start_report()


async def stop_without_controller(data_dir: Path, fleet: Fleet) -> int:
    """Stops, in order, what a controller that is gone has left alive. Returns how many replicas that were."""
    platform = LocalPlatform(data_dir, "", "", "")
    alive = await platform.adopt()
    services = fleet.services.by_name()
    for wave in stop_waves(fleet):
        stopping = [replica for replica in alive if replica.service in wave]
        await asyncio.gather(*(platform.stop(r.id, services[r.service].drain_timeout_s) for r in stopping))
    await platform.close()
    return len(alive)


class _AdminServer(uvicorn.Server):
    """Leaves signals to the controller: it serves until the last replica has stopped."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _write_record(data_dir: Path, record: ControllerRecord) -> None:
    path = record_path(data_dir)
    temporary = path.with_suffix(".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(msgspec.json.encode(record))
    temporary.replace(path)


def _port_of(url: str) -> int:
    return int(url.rpartition(":")[2])
