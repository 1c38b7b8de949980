"""The simulator against queueing theory: it must be right before it may judge a strategy."""

from __future__ import annotations

import math

import numpy as np
import pytest

from argosy.simulation.balancing.regime import Regime, ReplicaModel
from argosy.simulation.balancing.run import run
from argosy.simulation.balancing.subject import Subject
from argosy.simulation.balancing.workload import draw
from argosy.simulation.loads.arrivals import FloatArray, Poisson
from argosy.simulation.loads.durations import Durations, Exponential, Lognormal
from argosy.simulation.servers.delay import Delay
from argosy.simulation.servers.kernel import Kernel
from argosy.simulation.servers.server import ServerModel
from argosy.simulation.servers.sharing import Sharing
from argosy.simulation.servers.slots import Slots
from argosy.simulation.servers.speed import Speed

pytestmark = pytest.mark.unit

MEAN_S = 0.01
WITHIN = 0.02
ALONE = Subject("round_robin", guarded=False)


class Task:
    def __init__(self, request: int, work_s: float) -> None:
        self.request = request
        self.work_s = work_s
        self.abandoned = False


def latencies_s(server: ServerModel, rate_rps: float, work: Durations, requests: int, seed: int) -> FloatArray:
    """Return the times of a server alone, driven by the kernel, without the first tenth."""
    workload = draw(one(server, rate_rps, work, requests), seed, callers=1)
    took_s = [math.nan] * requests
    kernel = Kernel()

    def finished(task: Task) -> None:
        took_s[task.request] = kernel.now_s - arrivals_s[task.request]

    def arrive(request: int) -> None:
        if request + 1 < requests:
            kernel.at(arrivals_s[request + 1], arrive, request + 1)
        serving.submit(Task(request, work_s[request]))

    arrivals_s, work_s = workload.arrivals_s.tolist(), workload.work_s.tolist()
    serving = server.build(kernel, Speed(), finished)
    kernel.at(arrivals_s[0], arrive, 0)
    kernel.run()
    return np.array(took_s[requests // 10 :])


def one(server: ServerModel, rate_rps: float, work: Durations, requests: int) -> Regime:
    return Regime("theory", "one replica", (ReplicaModel(server),), Poisson(rate_rps), work, requests)


def erlang_c(servers: int, offered: float) -> float:
    """Probability that a request has to wait in M/M/c."""
    terms = [offered**k / math.factorial(k) for k in range(servers)]
    last = offered**servers / math.factorial(servers) * servers / (servers - offered)
    return last / (sum(terms) + last)


def test_mm1_has_the_mean_and_the_p95_of_theory() -> None:
    rate_rps = 50.0
    latency_s = latencies_s(Slots(1), rate_rps, Exponential(MEAN_S), 200_000, seed=4)
    mean_s = 1 / (1 / MEAN_S - rate_rps)
    assert latency_s.mean() == pytest.approx(mean_s, rel=WITHIN)
    assert np.quantile(latency_s, 0.95) == pytest.approx(mean_s * math.log(20), rel=WITHIN)


def test_mmc_has_the_mean_wait_and_the_waiting_share_of_theory() -> None:
    servers, rate_rps = 4, 260.0
    latency_s = latencies_s(Slots(servers), rate_rps, Exponential(MEAN_S), 200_000, seed=1)
    waits = erlang_c(servers, rate_rps * MEAN_S)
    excess_rps = servers / MEAN_S - rate_rps
    assert latency_s.mean() == pytest.approx(MEAN_S + waits / excess_rps, rel=WITHIN)
    # P(T > t) of M/M/c: the wait is exponential with the excess rate, and 0 with probability 1 - waits.
    assert np.quantile(latency_s, 0.95) == pytest.approx(_mmc_quantile_s(waits, excess_rps, 0.95), rel=WITHIN)


def _mmc_quantile_s(waits: float, excess_rps: float, share: float) -> float:
    """Return the quantile by bisection of the tail of the sum of the wait and an exponential service."""
    rate = 1 / MEAN_S

    def tail(t_s: float) -> float:
        served = math.exp(-rate * t_s)
        both = (rate * math.exp(-excess_rps * t_s) - excess_rps * served) / (rate - excess_rps)
        return (1 - waits) * served + waits * both

    low_s, high_s = 0.0, 100 * MEAN_S
    for _ in range(60):
        middle_s = (low_s + high_s) / 2
        low_s, high_s = (middle_s, high_s) if tail(middle_s) > 1 - share else (low_s, middle_s)
    return low_s


@pytest.mark.parametrize("work", [Exponential(MEAN_S), Lognormal(MEAN_S, 0.5)], ids=["exponential", "lognormal"])
def test_processor_sharing_takes_the_same_mean_time_whatever_the_distribution(work: Durations) -> None:
    rate_rps = 50.0
    latency_s = latencies_s(Sharing(1), rate_rps, work, 200_000, seed=0)
    assert latency_s.mean() == pytest.approx(1 / (1 / MEAN_S - rate_rps), rel=WITHIN)


def test_sharing_on_two_cores_is_mm2() -> None:
    """The order of service does not change the mean when work is exponential."""
    rate_rps = 120.0
    latency_s = latencies_s(Sharing(2), rate_rps, Exponential(MEAN_S), 200_000, seed=0)
    waits = erlang_c(2, rate_rps * MEAN_S)
    assert latency_s.mean() == pytest.approx(MEAN_S + waits / (2 / MEAN_S - rate_rps), rel=WITHIN)


@pytest.mark.parametrize("server", [Delay(), Slots(2), Sharing(1)], ids=["delay", "slots", "sharing"])
def test_a_whole_run_takes_exactly_as_long_as_its_only_server(server: ServerModel) -> None:
    """The properties of the servers above hold for the replicas and callers around them, too."""
    requests = 3000
    record = run(one(server, 80.0, Exponential(MEAN_S), requests), ALONE, seed=3)
    expected_s = latencies_s(server, 80.0, Exponential(MEAN_S), requests, seed=3)
    assert record.latency_s == pytest.approx(expected_s, rel=1e-9, abs=1e-9)
