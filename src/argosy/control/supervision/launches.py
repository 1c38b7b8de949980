"""Launches: program, address and CPU share of each replica that is started."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from argosy.config.service import CustomSettings, ServiceSettings
from argosy.control.monitoring.observed import Observed
from argosy.control.platforms.platform import Launch, Platform

FIRST_REVISION = "r1"


class Launches:
    """Launches of the replicas of one fleet."""

    def __init__(
        self,
        services: Mapping[str, ServiceSettings],
        platform: Platform,
        observed: Observed,
        public_host: str,
        public_port: int,
    ) -> None:
        """Create the launches; `public_host` and `public_port` are the address of the gateway."""
        self._services = services
        self._platform = platform
        self._observed = observed
        self._public_host = public_host
        self._public_port = public_port

    def of(self, service: str, replica_id: str) -> Launch:
        """Return how to start that replica. Its CPU share is that of the desired number of replicas."""
        is_gateway, settings = service == "gateway", self._services[service]
        argv, health_path = None, None
        if isinstance(settings, CustomSettings):
            argv = settings.command or (sys.executable, "-m", "argosy.services.custom")
            health_path = settings.health_path if settings.command is not None else None
        return Launch(
            service,
            replica_id,
            FIRST_REVISION,
            cpu_share=self._platform.capacity().cores / self._observed.desired[service],
            public_host=self._public_host if is_gateway else None,
            public_port=self._public_port if is_gateway else None,
            argv=argv,
            health_path=health_path,
        )
