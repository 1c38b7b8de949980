"""Balance of a service: each calling process is asked at the time of the request, with a short timeout."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping, Sequence

import aiohttp
import msgspec

from argosy.clients.proven import proven_session
from argosy.contracts.balance import BalanceExplanation, BalanceView, CallerBalance, Offer, SilentCaller
from argosy.contracts.errors import UpstreamFailed
from argosy.contracts.fleet import Endpoint, Health, ReplicaView, ServiceView
from argosy.control.monitoring.body import limited_body
from argosy.control.platforms.platform import Replica

TIMEOUT_S = 2.0


async def balance_view(
    service: ServiceView,
    strategy: str,
    offered: Sequence[Endpoint],
    draining: Collection[str],
    callers: Iterable[Replica],
    token: str,
) -> BalanceView:
    """Ask each caller how it balances the service.

    Args:
        offered: endpoints of the service in the current endpoint set.
        draining: ids of draining replicas.
        callers: replicas built from the service kit.
        token: token of the fleet.
    """
    weights = {endpoint.id: endpoint.weight for endpoint in offered}
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    headers = {"authorization": f"Bearer {token}"}
    async with (
        proven_session(token, timeout) as proven,
        aiohttp.ClientSession(timeout=timeout) as plain,  # for replicas of an earlier version
    ):
        answers = await asyncio.gather(
            *(_ask(proven if caller.proves else plain, headers, caller, service.name) for caller in callers)
        )
    return BalanceView(
        service=service.name,
        strategy=strategy,
        replicas=[offer(replica, weights.get(replica.id), replica.id in draining) for replica in service.replicas],
        callers=_aged([answer for answer in answers if isinstance(answer, _Answer)]),
        silent=[answer for answer in answers if isinstance(answer, SilentCaller)],
    )


def offer(replica: ReplicaView, weight: float | None, draining: bool) -> Offer:
    """Return the offer of a replica to callers, with the reason when it is offered reduced or not at all.

    Args:
        weight: weight in the endpoint set; None when the replica is not in the set.
    """
    reason = "" if replica.status is Health.HEALTHY else replica.reason
    if weight is None:
        reason = "draining" if draining else reason or "not ready, or it missed a probe while others answer"
    return Offer(replica.id, weight is not None, weight or 0.0, replica.status, reason)


class _Answer(msgspec.Struct):
    caller: str
    came_s: float
    balance: BalanceExplanation


def _aged(answers: Iterable[_Answer]) -> list[CallerBalance]:
    now_s = time.monotonic()
    return [CallerBalance(answer.caller, now_s - answer.came_s, answer.balance) for answer in answers]


async def _ask(
    session: aiohttp.ClientSession, headers: Mapping[str, str], caller: Replica, service: str
) -> _Answer | SilentCaller | None:
    """Ask a caller. Returns: its answer; the reason when it did not answer; None when it calls no replica yet."""
    try:
        url, asked = f"{caller.url}/internal/balance", {"service": service}
        async with session.get(url, params=asked, headers=headers, allow_redirects=False) as response:
            if response.status != 200:
                return SilentCaller(caller.id, f"answered {response.status}")
            said = msgspec.json.decode(await limited_body(response), type=BalanceExplanation | None)
    except TimeoutError:
        return SilentCaller(caller.id, f"no answer within {TIMEOUT_S:g} s")
    except aiohttp.ClientConnectionError:
        return SilentCaller(caller.id, "connection refused or reset")
    except (aiohttp.ClientError, msgspec.DecodeError, UpstreamFailed) as error:
        return SilentCaller(caller.id, f"unusable answer ({type(error).__name__})")
    return None if said is None else _Answer(caller.id, time.monotonic(), said)
