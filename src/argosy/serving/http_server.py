"""HTTP server of every port, of the services and of the admin API: uvicorn with bounds on connections."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

from argosy.serving.connections import Connections
from argosy.serving.patience import Patience
from argosy.serving.protocol import BoundedProtocol

BACKLOG = 2048


class HttpConfig(uvicorn.Config):
    """Settings of a server. Servers of one process may share `connections`."""

    def __init__(
        self,
        app: ASGIApp,
        connections: Connections,
        *,
        drain_s: float,
        patience: Patience | None = None,
    ) -> None:
        """Create the settings. A server that is given no sockets listens on a free loopback port."""
        super().__init__(
            app,
            host="127.0.0.1",
            port=0,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=max(1, round(drain_s)),
            http=BoundedProtocol,
            ws="none",
        )
        self.connections = connections
        self.patience = patience or Patience()


class HttpServer(uvicorn.Server):
    """HTTP server that handles no signals itself: its owner sets `should_exit` to end it."""

    config: HttpConfig

    def __init__(self, config: HttpConfig) -> None:
        super().__init__(config)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        watching = asyncio.create_task(self.config.connections.watch())
        try:
            await super().serve(sockets)
        finally:
            watching.cancel()
            self.config.connections.close()

    async def open(self, listener: socket.socket) -> None:
        """Accept connections on `listener` too, until the server ends."""
        protocol: Callable[[], asyncio.Protocol] = functools.partial(
            BoundedProtocol,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        self.servers.append(await asyncio.get_running_loop().create_server(protocol, sock=listener, backlog=BACKLOG))
