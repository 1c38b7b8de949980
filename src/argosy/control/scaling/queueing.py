"""How many replicas keep an SLO: M/M/n by Erlang C, made M/G/n by Allen and Cunneen, contention by the USL. Pure.

Sources: Erlang 1917; Allen, Probability, Statistics and Queueing Theory, 2nd ed., 5.3; Gunther, Guerrilla Capacity
Planning, ch. 4.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from argosy.control.scaling.observation import Capacity

EXACT_SERVERS = 2000
"""Above that many servers square-root staffing is as good, and quick."""
FINENESS = 1.02


def effective(replicas: int, capacity: Capacity) -> float:
    """How many lone replicas' worth of work `replicas` together do."""
    n = replicas
    return n / (1 + capacity.sigma * (n - 1) + capacity.kappa * n * (n - 1))


def rounded_up(load: float) -> float:
    """To a power of FINENESS: few loads are different then, and an answer serves many. `load` is above 0."""
    return FINENESS ** math.ceil(math.log(load, FINENESS))


def late_share(load: float, servers: int, blocking: float, slack: float, variability: float) -> float:
    """The share of requests that wait longer than `slack`.

    Args:
        load: offered, in Erlangs.
        blocking: Erlang B of that load and those servers.
        slack: in units of the mean service time.
        variability: (Ca² + Cs²) ÷ 2; 1 for M/M/n.
    """
    if load >= servers:
        return 1.0
    waits = servers * blocking / (servers - load * (1 - blocking))
    return waits * math.exp(-(servers - load) * slack / max(variability, 1e-3))


def late_shares(load: float, capacity: Capacity, slack_s: float, most: int) -> Iterator[float]:
    """The share that waits longer than `slack_s` with 1, 2 … `most` replicas; ends where more of them only lose."""
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
    """The fewest replicas, up to `most`, that let no larger share than `late` wait longer than `slack_s`.

    Where none do, those that do the most work together: past that number contention takes more than it gives.
    """
    for replicas, share in enumerate(late_shares(load, capacity, slack_s, most), 1):
        if share <= late:
            return replicas
    return max(range(1, most + 1), key=lambda replicas: effective(replicas, capacity))
