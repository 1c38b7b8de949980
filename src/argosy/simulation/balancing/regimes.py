"""Table of regimes by name. Values not given here are the defaults of `Regime`, such as 200,000 requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from argosy.simulation.balancing.measures import BackInService, GoodputFloor, PicksWithin, Recovery, ShareOfFair
from argosy.simulation.balancing.regime import Failure, Prefixes, Regime, ReplicaModel, Retries
from argosy.simulation.loads.arrivals import Bursty, Diurnal, Phases, Poisson
from argosy.simulation.loads.durations import Lognormal
from argosy.simulation.loads.prefixing import Zipf
from argosy.simulation.servers.server import ServerModel
from argosy.simulation.servers.sharing import Sharing
from argosy.simulation.servers.slots import Slots
from argosy.simulation.servers.speed import Antagonist, Speed

MEAN_S = 0.010
MODERATE = Lognormal(MEAN_S, 0.5)
CORE = Sharing(cores=1)


def unequal(*, slow: int = 2, times: float = 16, rate_rps: float = 500, work_mean_s: float = MEAN_S) -> Regime:
    """Return a regime of 16 replicas with unlimited concurrency, `slow` of them `times` slower."""
    lame = ReplicaModel(speed=Speed.constant(1 / times))
    return Regime(
        name="unequal",
        about=f"{16 - slow} replicas and {slow} that are {times:g}x slower, {rate_rps:g} rps, unlimited concurrency",
        replicas=(*[ReplicaModel()] * (16 - slow), *[lame] * slow),
        arrivals=Poisson(rate_rps),
        work=Lognormal(work_mean_s, 0.5),
        slow=tuple(range(16 - slow, 16)),
    )


def equal(*, server: ServerModel = CORE) -> Regime:
    """Return a regime of 4 replicas of one core each at load 0.8, with a heavy tail of work."""
    return Regime(
        name="equal",
        about="4 equal replicas of one core each at load 0.8, work lognormal with sigma 1",
        replicas=(ReplicaModel(server),) * 4,
        arrivals=Poisson(0.8 * 4 / MEAN_S),
        work=Lognormal(MEAN_S, 1.0),
    )


def mixed() -> Regime:
    """Return a regime with 2 normal and 2 slow replicas.

    Every strategy that sends each replica the same rate is unstable: each replica gets 40 rps and a slow one handles 33
    rps.
    """
    lame = ReplicaModel(CORE, Speed.constant(1 / 3))
    return Regime(
        name="mixed",
        about="2 of 4 one-core replicas are 3x slower, 160 rps",
        replicas=(ReplicaModel(CORE),) * 2 + (lame,) * 2,
        arrivals=Poisson(160),
        work=MODERATE,
        slow=(2, 3),
    )


def fast_fail(probability: float = 1.0) -> Regime:
    broken_s, repaired_s = 100.0, 200.0
    failing = ReplicaModel(failure=Failure(probability, broken_s, repaired_s))
    return Regime(
        name="fast_fail",
        about=f"1 of 8 replicas fails in 1 ms with p = {probability:g} from second 100 to 200, 400 rps",
        replicas=(failing, *[ReplicaModel()] * 7),
        arrivals=Poisson(400),
        work=MODERATE,
        slow=(0,),
        measures=(BackInService("back_in_service_s", 0, repaired_s),),
    )


def brownout() -> Regime:
    repaired_s, broken_s = 100.0, 200.0
    recovering = ReplicaModel(speed=Speed((0.0, repaired_s), (1 / 16, 1.0)))
    failing = ReplicaModel(speed=Speed((0.0, broken_s), (1.0, 1 / 16)))
    return Regime(
        name="brownout",
        about="2 of 16 replicas are 16x slower until second 100, another from second 200, 500 rps",
        replicas=(recovering, recovering, failing, *[ReplicaModel()] * 13),
        arrivals=Poisson(500),
        work=MODERATE,
        slow=(0, 1, 2),
        measures=(ShareOfFair("fair_share_10s", (0, 1), repaired_s), PicksWithin("picks_10s", (2,), broken_s)),
    )


def churn() -> Regime:
    """Return a regime in which every 20 s one replica drains and a cold one joins, at half speed for 10 s."""
    joining = [
        ReplicaModel(CORE, Speed((0.0, at_s + 10), (0.5, 1.0)), joins_s=at_s, drains_s=at_s + 160)
        for at_s in range(20, 420, 20)
    ]
    first = [ReplicaModel(CORE, drains_s=20.0 + 20 * i) for i in range(8)]
    return Regime(
        name="churn",
        about="8 one-core replicas at load 0.625; every 20 s one leaves and one comes, half as fast for 10 s",
        replicas=(*first, *joining),
        arrivals=Poisson(500),
        work=MODERATE,
    )


def hot_prefix() -> Regime:
    return Regime(
        name="hot_prefix",
        about="4 one-core replicas that each keep 50 of 200 prefixes (Zipf 0.9); a known one saves 70 % of the work",
        replicas=(ReplicaModel(CORE),) * 4,
        arrivals=Poisson(300),
        work=Lognormal(0.020, 0.5),
        prefixes=Prefixes(Zipf(count=200, exponent=0.9), kept=50, hit_share=0.3),
    )


def bursty() -> Regime:
    return Regime(
        name="bursty",
        about="8 one-core replicas; 300 rps, and 1,000 rps in bursts of 2 s every 10 s or so",
        replicas=(ReplicaModel(CORE),) * 8,
        arrivals=Bursty(calm_rps=300, burst_rps=1000, calm_s=10, burst_s=2),
        work=MODERATE,
    )


def diurnal() -> Regime:
    return Regime(
        name="diurnal",
        about="8 one-core replicas; the load goes from 0.2 to 0.95 and back in 100 s",
        replicas=(ReplicaModel(CORE),) * 8,
        arrivals=Diurnal(mean_rps=460, swing=0.65, period_s=100),
        work=MODERATE,
    )


def antagonists() -> Regime:
    visited = ReplicaModel(CORE, antagonist=Antagonist(every_s=20, lasts_s=2, factor=0.25))
    return Regime(
        name="antagonists",
        about="8 one-core replicas at load 0.5, each at a quarter of its speed for 2 s every 20 s or so",
        replicas=(visited,) * 8,
        arrivals=Poisson(400),
        work=MODERATE,
    )


BOUNDED = Slots(slots=2, queue_limit=6, drops_abandoned=True)
"""Server that finishes accepted work before the caller gives up, even in a brownout.

Unprotected, its queue has no bound.
"""
BOUNDED_MEAN_S = 0.032
FLEET_RPS = 8 * 2 / BOUNDED_MEAN_S
CROWDED_RPS = FLEET_RPS / 2
EAGER = Retries(timeout_s=1.0, attempts=3, deadline_s=3.0)


def retry_storm() -> Regime:
    """Return a regime in which a brownout sets off a storm of retries.

    The offered load is 0.8 of the capacity and, while all replicas are slow, 3.2 of it. Unguarded
    retries keep it at 2.4 of the capacity for ever after.
    """
    slow_s, well_s, factor = 60.0, 80.0, 0.25
    return Regime(
        name="retry_storm",
        about="8 replicas of 2 slots at load 0.8, all 4x slower for 20 s; callers give up after 1 s and try 3 times",
        replicas=(ReplicaModel(BOUNDED, Speed((0.0, slow_s, well_s), (1.0, factor, 1.0))),) * 8,
        arrivals=Poisson(0.8 * FLEET_RPS),
        work=Lognormal(BOUNDED_MEAN_S, 0.5),
        requests=80_000,
        retries=EAGER,
        measures=(
            GoodputFloor("floor_of_capacity", slow_s, well_s, factor * FLEET_RPS),
            Recovery("recovered_after_s", well_s),
        ),
    )


def flash_crowd() -> Regime:
    begins_s, ends_s, rate_rps = 60.0, 120.0, 0.5 * CROWDED_RPS
    return Regime(
        name="flash_crowd",
        about="4 replicas of 2 slots at load 0.5, ten times as much for 60 s; callers give up after 1 s, try 3 times",
        replicas=(ReplicaModel(BOUNDED),) * 4,
        arrivals=Phases(((begins_s, rate_rps), (ends_s - begins_s, 10 * rate_rps), (60.0, rate_rps))),
        work=Lognormal(BOUNDED_MEAN_S, 0.5),
        requests=100_000,
        retries=EAGER,
        measures=(
            GoodputFloor("floor_of_capacity", begins_s, ends_s, CROWDED_RPS),
            Recovery("recovered_after_s", ends_s),
        ),
    )


REGIMES: Mapping[str, Callable[[], Regime]] = {
    "equal": equal,
    "unequal": unequal,
    "mixed": mixed,
    "brownout": brownout,
    "fast_fail": fast_fail,
    "churn": churn,
    "hot_prefix": hot_prefix,
    "retry_storm": retry_storm,
    "bursty": bursty,
    "diurnal": diurnal,
    "flash_crowd": flash_crowd,
    "antagonists": antagonists,
}
