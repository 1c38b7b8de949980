"""Number of replicas that keep an SLO. Pure.

M/M/n by Erlang C is extended to M/G/n by Allen and Cunneen; contention is by the USL.

Sources: Erlang 1917; Allen, Probability, Statistics and Queueing Theory, 2nd ed., 5.3; Gunther, Guerrilla Capacity
Planning, ch. 4.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from argosy.control.observation import Capacity

EXACT_SERVERS = 2000
"""Number of servers above which square-root staffing is as good, and fast."""
FINENESS = 1.02


def effective(replicas: int, capacity: Capacity) -> float:
    """Return how many single replicas' worth of work `replicas` do together."""
    n = replicas
    return n / (1 + capacity.sigma * (n - 1) + capacity.kappa * n * (n - 1))


def rounded_up(load: float) -> float:
    """Round `load`, which is above 0, up to a power of FINENESS.

    Few loads then differ, so cached answers are reused.
    """
    return FINENESS ** math.ceil(math.log(load, FINENESS))


def late_share(load: float, servers: int, blocking: float, slack: float, variability: float) -> float:
    """Return the share of requests that wait longer than `slack`.

    Args:
        load: offered load, in erlangs.
        blocking: Erlang B of that load and those servers.
        slack: allowed wait, in units of the mean service time.
        variability: (Ca² + Cs²) ÷ 2; 1 for M/M/n.
    """
    if load >= servers:
        return 1.0
    waits = servers * blocking / (servers - load * (1 - blocking))
    return waits * math.exp(-(servers - load) * slack / max(variability, 1e-3))


def late_shares(load: float, capacity: Capacity, slack_s: float, most: int) -> Iterator[float]:
    """Yield the share that waits longer than `slack_s` with 1, 2 … `most` replicas.

    The iterator ends where more replicas do less work together.
    """
    slack = slack_s / capacity.service_time_s
    variability = (capacity.arrival_cv2 + capacity.service_cv2) / 2
    blocking, counted = 1.0, 0
    for replicas in range(1, most + 1):
        work = effective(replicas, capacity) * capacity.slots
        servers = max(1, math.floor(work + 1e-9))
        if servers > EXACT_SERVERS:
            yield 0.0 if work >= load + 2 * math.sqrt(load) else 1.0
            continue
        if servers < counted:
            return
        while counted < servers:
            counted += 1
            blocking = load * blocking / (counted + load * blocking)
        yield late_share(load, servers, blocking, slack, variability)


def replicas_for_slo(load: float, capacity: Capacity, slack_s: float, late: float, most: int) -> int:
    """Return the fewest replicas, up to `most`, with which at most the share `late` waits longer than `slack_s`.

    When no number suffices, it returns the number that does the most work together: above it, contention costs more
    than a replica adds.
    """
    for replicas, share in enumerate(late_shares(load, capacity, slack_s, most), 1):
        if share <= late:
            return replicas
    return max(range(1, most + 1), key=lambda replicas: effective(replicas, capacity))
