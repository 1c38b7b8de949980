"""A replica that answers the controller's probes with garbage harms only itself.

A custom service may be compromised, so its status is untrusted input.
"""

from __future__ import annotations

import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from argosy.config.service import ServiceSettings
from argosy.contracts.fleet import Calls, Health, Load, ReplicaStatus
from argosy.control.events.feed import Feed
from argosy.control.health.replica import Probe
from argosy.control.history.history import History
from argosy.control.monitoring.observed import Observed
from argosy.control.monitoring.prober import MOST_REASON_CHARS, Prober
from argosy.control.platforms.fake import FakePlatform
from argosy.control.platforms.platform import Launch, Replica, Usage
from argosy.control.scaling.reader import Reader
from argosy.control.scaling.scaler import Scaler

pytestmark = pytest.mark.security

GOOD: dict[str, Any] = {
    "service": "evil",
    "replica": "evil-1",
    "revision": "r1",
    "pid": 1,
    "ready": True,
    "draining": False,
    "health": "HEALTHY",
    "reason": "",
    "uptime_s": 1.0,
    "endpoints_version": None,
    "load": {},
}
MIB = 2**20


@asynccontextmanager
async def served(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[Replica]:
    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield Replica("evil-1", "evil", "r1", pid=1, url=f"http://127.0.0.1:{runner.addresses[0][1]}")
    finally:
        await runner.cleanup()


async def probed(body: bytes, health_path: str | None = None, **headers: str) -> Probe:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, headers=headers)

    async with served(answer) as replica:
        replica.health_path = health_path
        prober = Prober("token", 5.0)
        await prober.start()
        try:
            return await prober.probe(replica)
        finally:
            await prober.stop()


def with_load(**load: object) -> bytes:
    return json.dumps({**GOOD, "load": load}).encode()


async def test_a_good_status_is_taken() -> None:
    probe = await probed(with_load(in_flight=3, named={"depth": 1.5}))
    assert probe.status is not None, probe.error
    assert probe.status.load.in_flight == 3


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (with_load(in_flight=-1), r"load\.in_flight"),
        (with_load(queued=10**30), r"load\.queued"),
        (with_load(requests=-5), r"load\.requests"),
        (with_load(latency_ms=-0.5), r"load\.latency_ms"),
        (with_load(cpu_utilization=1e300), r"load\.cpu_utilization"),
        (with_load(named={"depth": -1.0}), r"load\.named"),
        (with_load(in_flight="many"), r"load\.in_flight"),
        (with_load(in_flight=1).replace(b"1}", b"NaN}"), "malformed"),
        (json.dumps({**GOOD, "calls": {"echo-1": [-1, 0]}}).encode(), "calls"),
        (json.dumps({**GOOD, "health": "SUPERB"}).encode(), "health"),
        (json.dumps([GOOD] * 3).encode(), "object"),
        (b"\xff\xfe\x00", "malformed"),
        (b"[" * 100_000, "unusable"),
        (b"", "unusable"),
    ],
)
async def test_a_status_that_cannot_be_true_is_no_answer_and_says_which_field(body: bytes, named: str) -> None:
    probe = await probed(body)
    assert probe.status is None
    assert probe.error.startswith("unusable answer (")
    assert named.replace("\\", "") in probe.error


@pytest.mark.parametrize("health_path", [None, "/health"])
async def test_an_answer_without_end_is_not_read_to_the_end(health_path: str | None) -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while sent < 400 * MIB:
            await response.write(b"x" * MIB)
            sent += MIB
        return response

    async with served(endless) as replica:
        replica.health_path = health_path
        prober = Prober("token", 30.0)
        await prober.start()
        probe = await prober.probe(replica)
        await prober.stop()
    assert probe.status is None
    assert probe.error == "unusable answer (more than 1 MiB)"
    assert sent < 100 * MIB


async def test_a_compressed_bomb_is_not_unpacked() -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(b" " * MIB) for _ in range(200)) + packer.flush()
    tracemalloc.start()
    try:
        probe = await probed(bomb, **{"content-encoding": "gzip"})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert probe.status is None
    assert peak < 20 * MIB


async def test_a_reason_is_cut_and_cookies_are_not_kept() -> None:
    probe = await probed(json.dumps({**GOOD, "reason": "x" * 100_000}).encode(), **{"set-cookie": "a=b"})
    assert probe.status is not None
    assert len(probe.status.reason) == MOST_REASON_CHARS


async def test_calls_to_replicas_that_do_not_exist_are_not_kept(tmp_path: Path) -> None:
    history = History(tmp_path)
    observed = Observed({"gateway": ServiceSettings()}, [["gateway"]], 0.0, Feed(history))
    for number in range(50):
        calls = {f"echo-{number}-{n}": Calls(10, 10) for n in range(100)}
        observed.saw("evil-1", Probe(0.0, 1.0, status("evil-1", calls)))
    assert observed._unread == {}
    history.close()


def status(replica_id: str, calls: dict[str, Calls] | None = None) -> ReplicaStatus:
    service = replica_id.partition("-")[0]
    load = Load(in_flight=1, requests=10)
    return ReplicaStatus(
        service, replica_id, "r1", 1, True, False, Health.HEALTHY, "", 1.0, None, load, calls=calls or {}
    )


class Cursed(FakePlatform):
    """Platform on which measuring one replica fails."""

    def usage(self, replica_id: str) -> Usage | None:
        if replica_id == "evil-1":
            raise ValueError(replica_id)
        return super().usage(replica_id)


async def test_one_service_that_cannot_be_read_leaves_the_decisions_for_the_others(tmp_path: Path) -> None:
    history, platform = History(tmp_path), Cursed()
    feed = Feed(history)
    services = {name: ServiceSettings.model_validate({"replicas": {"max": 4}}) for name in ("evil", "gateway")}
    observed = Observed(services, [["evil", "gateway"]], 0.0, feed)

    class Crew:
        def keeps(self, service: str) -> bool:
            return True

        def scale(self, service: str, replicas: int, why: str) -> None:
            observed.desired[service] = replicas

    now_s = 0.0
    scaler = Scaler(
        services,
        Reader(services, platform, observed, 2.0),
        observed,
        Crew(),
        feed,
        history,
        interval_s=2.0,
        clock=lambda: now_s,
        wall=lambda: now_s,
    )
    for name in services:
        replica = await platform.start(Launch(name, f"{name}-1", "r1", 1.0))
        replica.url = "http://127.0.0.1:1"
    reported = []
    for _ in range(20):
        now_s += 1
        for name in services:
            observed.saw(f"{name}-1", Probe(now_s, 1.0, status(f"{name}-1")))
        scaler.tick()
        seen = scaler._reader.service("gateway", now_s, 30.0)
        reported.append(seen.reporting)
    assert reported[-1] == 1
    assert scaler.view("gateway").decisions
    assert "reading of replicas failed" in scaler._loops.reasons()[0]
    history.close()
