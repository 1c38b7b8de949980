"""A process without free file descriptors still answers health checks, reports the shortage, and recovers."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

from argosy.serving.descriptors import KEPT_LEAST, SpareDescriptors, room_for_connections

pytestmark = pytest.mark.security

# A separate process is used because the limit holds for the whole process and cannot be raised again in ours.
EXHAUSTED = """
import asyncio, os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (128, 256))
import uvloop
from argosy.serving.app import create_app
from argosy.serving.connections import Connections
from argosy.serving.descriptors import raise_limit, room_for_connections
from tests.kits import TOKEN, make_kit, served
from tests.raw_http import ask, raw, request

async def main():
    assert raise_limit() == 256 == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    connections = Connections(room_for_connections(4096))
    kit = make_kit()
    kit.readiness.engine_loaded, kit.readiness.endpoints_version = True, "1.1"
    kit.shortage = connections.shortage
    async with served(create_app(kit, []), connections=connections) as url:
        authorized = [f"Authorization: Bearer {TOKEN}"]
        assert (await ask(url, request("/metrics"))).status == 200
        taken = []
        try:
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        async with asyncio.timeout(20):
            while not kit.status().reason:
                await asyncio.sleep(0.05)
        for path in ("/livez", "/readyz", "/internal/status"):
            answer = await ask(url, request(path, authorized))
            assert answer.status == 200, answer
        assert b'"DEGRADED"' in answer.body
        assert b"file descriptors have run out; the limit is 256" in answer.body, answer.body
        assert (await ask(url, request("/metrics"))).status == 503
        started = os.times()
        await asyncio.sleep(1)
        used = os.times()
        assert used.user + used.system - started.user - started.system < 0.5, "it spins"
        for descriptor in taken:
            os.close(descriptor)
        async with asyncio.timeout(20):
            while (await ask(url, request("/metrics"))).status != 200:
                await asyncio.sleep(0.1)

LOOPS = {"uvloop": uvloop.run, "asyncio": asyncio.run}
LOOPS[sys.argv[1]](main())
print("well")
"""


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_out_of_descriptors_it_answers_health_checks_and_is_degraded(loop: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", EXHAUSTED, loop], capture_output=True, text=True, timeout=90, check=False
    )
    assert ended.stdout == "well\n", ended.stderr


def test_connections_leave_descriptors_to_the_rest_of_the_process() -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert room_for_connections(10) == 10
    assert room_for_connections(2**30) <= soft - KEPT_LEAST


def test_spare_descriptors_are_closed_with_their_owner() -> None:
    before = len(os.listdir("/proc/self/fd"))
    spare = SpareDescriptors()
    spare.check()
    assert len(os.listdir("/proc/self/fd")) > before
    assert not spare.exhausted
    spare.close()
    assert len(os.listdir("/proc/self/fd")) == before
