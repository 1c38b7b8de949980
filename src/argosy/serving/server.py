"""Lifecycle of one service process: lock, listen, load, serve, drain, exit.

The process listens before its engine is loaded, so that a loading process can be distinguished from a dead one.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import uvloop
from starlette.types import ASGIApp

from argosy.config.models import Fleet
from argosy.contracts.errors import ArgosyError, StartError
from argosy.serving import runfile
from argosy.serving.connections import Connections
from argosy.serving.descriptors import raise_limit, room_for_connections
from argosy.serving.http_server import BACKLOG, HttpConfig, HttpServer
from argosy.serving.kit import Kit
from argosy.telemetry import logs
from argosy.telemetry.access_log import AccessLog
from argosy.telemetry.log_output import Rotation

EXIT_NOT_STARTED = 3

log = logs.logger("server")


class Service(Protocol):
    """Parts that a service adds to its kit."""

    @property
    def app(self) -> ASGIApp: ...

    async def start(self) -> None:
        """Load the engine and begin to follow endpoints.

        Raises: ArgosyError, with the reason for the operator, when the service cannot start.
        """
        ...

    async def stop(self) -> None:
        """Save data that must not be lost and end helper processes. Called after the last request."""
        ...


ServiceFactory = Callable[[Kit], Service]


def main(factory: ServiceFactory) -> None:
    """Run the replica of the run file until it is told to stop. Exits with status 3 when it cannot start."""
    path = Path(os.environ[runfile.RUN_FILE_VARIABLE])
    record = runfile.read(path)
    lock = runfile.ReplicaLock(runfile.lock_path(path))
    inherited = os.environ.pop(runfile.LOCK_VARIABLE, None)
    if inherited is not None:
        lock.inherit(int(inherited))
    elif lock.acquire() is None:
        sys.exit(f"{record.id} is already running")
    record.pid = os.getpid()
    runfile.write(path, record)
    fleet = Fleet.model_validate_json(record.fleet_json)
    settings = fleet.fleet
    output = logs.configure(
        record.service,
        record.id,
        sink=Path(record.data_dir) / "logs" / f"{record.id}.log",
        rotation=Rotation(settings.log_file_bytes, settings.log_total_bytes),
    )
    raise_limit()
    access = AccessLog(
        logs.identity_of(record.service, record.id),
        output.write_lines,
        settings.access_log_share,
        settings.access_log_slow_s,
    )
    kit = Kit(record, fleet, fleet.services.by_name()[record.service], run_file=path, served=access.record)
    try:
        uvloop.run(_run(kit, factory, path))
    except BaseException as error:
        record.error = _reason(error)
        runfile.write(path, record)
        log.error("service failed to start", reason=record.error, exc_info=error)
        sys.exit(EXIT_NOT_STARTED)
    finally:
        access.close()
        output.close()


async def _run(kit: Kit, factory: ServiceFactory, path: Path) -> None:
    service = factory(kit)
    connections = Connections(
        room_for_connections(kit.settings.max_connections),
        setting=f"services.{kit.record.service}.max_connections",
        on_refused=kit.metrics.count_rejected,
    )
    kit.shortage = connections.shortage
    server = _Server(HttpConfig(service.app, connections, drain_s=kit.settings.drain_timeout_s), kit)
    internal = _listen("127.0.0.1", 0)
    serving = asyncio.create_task(server.serve(sockets=[internal]))
    await asyncio.sleep(0)  # SIGTERM must drain before the port is published, because readers of the port may send it
    kit.record.port = internal.getsockname()[1]
    runfile.write(path, kit.record)
    log.info("listening", port=kit.record.port, pid=os.getpid())
    starting = asyncio.create_task(service.start())
    await asyncio.wait({starting, serving}, return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        starting.result()
        if kit.record.public_port is not None:
            await server.open(_listen(kit.record.public_host or "127.0.0.1", kit.record.public_port, shared=True))
        # Objects created at start live as long as the process, so garbage collection need not scan them again.
        gc.collect()
        gc.freeze()
        kit.readiness.engine_loaded = True
        log.info("engine loaded", after_s=round(kit.clock() - kit.started_s, 3))
        await serving
    else:
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
    await service.stop()
    await kit.loops.close()
    log.info("stopped")


class _Server(HttpServer):
    """HTTP server that drains before it ends.

    It becomes not ready, lets waiters answer, closes its listeners, and then finishes the requests in flight.
    """

    def __init__(self, config: HttpConfig, kit: Kit) -> None:
        super().__init__(config)
        self._kit = kit

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._drain)
        yield

    def _drain(self) -> None:
        log.info("draining", in_flight=self._kit.load.in_flight, waiting=self._kit.waiters.count)
        self._kit.readiness.draining = True
        self._kit.waiters.end()
        self.should_exit = True


def _listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Return a listening socket; `shared` lets the replicas of one service listen on one port (SO_REUSEPORT).

    Raises: StartError when the port cannot be opened.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise StartError(
            f"Port {port} on {host} cannot be opened: {error.strerror}. Free it, or start with another --port."
        ) from error
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


def _reason(error: BaseException) -> str:
    if isinstance(error, ArgosyError):
        return error.message
    return traceback.format_exception_only(error)[-1].strip()
