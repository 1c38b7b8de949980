"""Prober: asks replicas for their status, all at once, so that a slow answer delays no other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

import aiohttp
import msgspec

from argosy.clients.address import url_at
from argosy.clients.proven import NotOurs, proven_session
from argosy.contracts.errors import UpstreamFailed
from argosy.contracts.fleet import Health, Load, ReplicaStatus
from argosy.control.health.replica import Probe
from argosy.control.monitoring.body import limited_body
from argosy.control.platforms.platform import Replica

MOST_REASON_CHARS = 1000


class Prober:
    """Prober of replicas. Call `start` before the first probe and `stop` after the last."""

    def __init__(self, token: str, timeout_s: float) -> None:
        self._token = token
        self._headers = {"authorization": f"Bearer {token}"}
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None
        self._proven: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the connection pools."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=self._timeout,
            auto_decompress=False,  # a few bytes must not become gigabytes
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self._proven = proven_session(self._token, self._timeout)

    async def stop(self) -> None:
        """Close the connection pools."""
        for session in (self._session, self._proven):
            if session is not None:
                await session.close()

    async def probe_all(self, replicas: Iterable[Replica]) -> dict[str, Probe]:
        """Probe each replica once. Returns: the probes by replica id."""
        asked = list(replicas)
        probes = await asyncio.gather(*(self.probe(replica) for replica in asked))
        return {replica.id: probe for replica, probe in zip(asked, probes, strict=True)}

    async def probe(self, replica: Replica) -> Probe:
        """Probe one replica. A failure is part of the probe.

        Raises: RuntimeError when `start` was not called.
        """
        if replica.url is None:
            return Probe(time.time(), error="not listening yet")
        if self._session is None or self._proven is None:
            raise RuntimeError("The prober is not started; call start() first.")
        started_s = time.monotonic()
        try:
            if replica.health_path is not None:
                status = await self._plain(self._session, replica, replica.health_path)
            else:
                # A replica of an earlier version cannot prove itself, so it is asked without a proof.
                session = self._proven if replica.proves else self._session
                url = url_at(replica.url, "/internal/status")
                # A redirect is no answer, and the fleet's token must not follow one.
                async with session.get(url, headers=self._headers, allow_redirects=False) as response:
                    if response.status != 200:
                        return Probe(time.time(), error=f"answered {response.status}")
                    status = msgspec.json.decode(await limited_body(response), type=ReplicaStatus)
        except TimeoutError:
            return Probe(time.time(), error=f"no answer within {self._timeout.total:g} s")
        except NotOurs:
            return Probe(time.time(), error="its port belongs to a program that does not know the fleet's token")
        except aiohttp.ClientConnectionError:
            return Probe(time.time(), error="connection refused or reset")
        except (msgspec.DecodeError, UpstreamFailed) as error:
            return Probe(time.time(), error=f"unusable answer ({error})")
        except Exception as error:  # an unexpected answer must not end the watch of its replica
            return Probe(time.time(), error=f"unusable answer ({type(error).__name__})")
        if status.replica != replica.id:
            return Probe(time.time(), error=f"its port now belongs to {status.replica}")
        status.reason = status.reason[:MOST_REASON_CHARS]
        return Probe(time.time(), (time.monotonic() - started_s) * 1000, status)

    async def _plain(self, session: aiohttp.ClientSession, replica: Replica, path: str) -> ReplicaStatus:
        """Return the status of a program that is not built from the service kit. Only an answer of 200 means ready."""
        async with session.get(f"{replica.url}{path}", allow_redirects=False) as response:
            await limited_body(response)
            ready = response.status == 200
            return ReplicaStatus(
                service=replica.service,
                replica=replica.id,
                revision=replica.revision,
                pid=replica.pid or 0,
                ready=ready,
                draining=False,
                health=Health.HEALTHY if ready else Health.UNHEALTHY,
                reason="" if ready else f"{path} answered {response.status}",
                uptime_s=max(0.0, time.time() - replica.started_at),
                endpoints_version=None,
                load=Load(),
            )
