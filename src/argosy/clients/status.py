"""Client for the status of the fleet: the controller's view of the fleet, and the status of one replica."""

from __future__ import annotations

from typing import TypeVar

import aiohttp
import msgspec
from yarl import URL

from argosy.clients.address import url_at
from argosy.clients.controller_address import ControllerAddress
from argosy.clients.proven import Sessions
from argosy.contracts.errors import Unavailable
from argosy.contracts.fleet import Endpoint, FleetView, ReplicaStatus
from argosy.contracts.request import RequestContext

TIMEOUT_S = 2.0

T = TypeVar("T")


class StatusClient:
    """Client of fixed addresses, without balancing or retries."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        controller: str | ControllerAddress,
        token: str,
        replicas: Sessions | None = None,
    ) -> None:
        """Create the client; `session` calls the controller, `replicas` calls the replicas."""
        self._session = session
        self._controller = ControllerAddress(controller) if isinstance(controller, str) else controller
        self._replicas = replicas or Sessions(session, token)
        self._authorization = {"authorization": f"Bearer {token}"}

    async def fleet(self, context: RequestContext) -> FleetView:
        """Return the controller's view of the fleet.

        Raises: Unavailable when the controller is not running or does not answer in time; DeadlineExceeded when the
        deadline has already passed.
        """
        return await self._get(
            self._session, url_at(self._controller.url(), "/v1/fleet"), FleetView, context, "The controller"
        )

    async def replica(self, endpoint: Endpoint, context: RequestContext) -> ReplicaStatus:
        """Return the status that the replica reports.

        Raises: Unavailable when the replica cannot be reached or does not answer in time; DeadlineExceeded when the
        deadline has already passed.
        """
        session = self._replicas.to(endpoint)
        url = url_at(endpoint.url, "/internal/status")
        return await self._get(session, url, ReplicaStatus, context, f"Replica {endpoint.id}")

    async def _get(
        self, session: aiohttp.ClientSession, url: URL, into: type[T], context: RequestContext, who: str
    ) -> T:
        timeout_s = min(TIMEOUT_S, context.deadline.require(f"{who} was asked"))
        headers = {**self._authorization, **context.headers()}
        try:
            timeout = aiohttp.ClientTimeout(total=timeout_s)
            async with session.get(url, headers=headers, timeout=timeout, allow_redirects=False) as response:
                if response.status != 200:
                    raise Unavailable(f"{who} answered {response.status}.")
                return msgspec.json.decode(await response.read(), type=into)
        except TimeoutError as error:
            raise Unavailable(f"{who} did not answer within {timeout_s:.1f} s.") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"{who} cannot be reached.") from error
        except msgspec.DecodeError as error:
            raise Unavailable(f"{who} answered with an invalid status message.") from error
