"""One queue before a fleet that follows a schedule of rules, request by request, over weeks; compiled where it can be.

The rule is reactive: in flight ÷ (slots × utilisation), the backlog within half a second, bursts above three sigma; and
what a forecast asks for. The highest wish of `hold_s` is wanted. It looks every two seconds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from argosy.simulation.scaling.compiled import compiled

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

LOOK_S = 2
BIN_S = 5
MOST_BUSY = 8192
LATE, REQUESTS, REPLICA_S, EVENTS = range(4)


@compiled
def followed(
    arrivals_s: Floats,
    work_s: Singles,
    slots: int,
    service_s: float,
    cold_start_s: float,
    most: int,
    hold_s: Floats,
    utilisation: Floats,
    asked: Ints,
    seconds: int,
) -> Floats:
    """Per day (late, requests, paid replica seconds, events). A request is late that waits longer than its work.

    `hold_s`, `utilisation` and `asked` are by bins of BIN_S. Replicas that start are taken back first; the paid time of
    one that drains is that of its requests.
    """
    days = (seconds + 86399) // 86400
    found = np.zeros((days, 4))
    heap, busy = np.empty(MOST_BUSY), 0
    due, first_due, last_due = np.zeros(MOST_BUSY), 0, 0
    window_at, window_wish, low, high = np.empty(4096), np.empty(4096, np.int64), 0, 0
    ready, wanted = 1, 1
    load, usual = 0.0, 0.0
    arrived, served, seen = 0, 0, 0
    fast, slow = 1 - np.exp(-LOOK_S / 5.0), 1 - np.exp(-LOOK_S / 60.0)
    for now in range(0, seconds, LOOK_S):
        day, at = now // 86400, now // BIN_S
        while first_due < last_due and due[first_due] <= now:
            first_due += 1
            ready += 1
        if first_due == last_due:
            first_due, last_due = 0, 0
        in_flight = busy + arrived - served
        load += fast * (in_flight - load)
        came, seen = arrived - seen, arrived
        rate = came / LOOK_S
        wish = np.ceil(load / (slots * utilisation[at]) - 1e-9)
        wish = max(wish, np.ceil((in_flight + rate * 0.5) / (slots * (1 + 0.5 / service_s)) - 1e-9))
        if came - usual * LOOK_S > 3 * np.sqrt(max(usual * LOOK_S, 1.0)):
            wish = max(wish, np.ceil(rate * service_s / (slots * utilisation[at]) - 1e-9))
        usual += slow * (rate - usual)
        asks = min(max(int(wish), asked[at], 1), most)
        while low < high and window_wish[high - 1] <= asks:
            high -= 1
        if low == high:
            low, high = 0, 0
        if high == len(window_at):
            for i in range(high - low):
                window_at[i], window_wish[i] = window_at[low + i], window_wish[low + i]
            low, high = 0, high - low
        window_at[high], window_wish[high] = now, asks
        high += 1
        while low < high - 1 and window_at[low] <= now - hold_s[at]:
            low += 1
        before, wanted = wanted, window_wish[low]
        if wanted != before:
            found[day, EVENTS] += 1
        for _ in range(wanted - before):
            due[last_due] = now + cold_start_s
            last_due += 1
        taken = before - wanted
        while taken > 0 and last_due > first_due:
            last_due -= 1
            taken -= 1
        ready -= max(0, taken)
        places, clock, until, draining_s = ready * slots, float(now), float(now + LOOK_S), 0.0
        while True:
            while busy < places and served < arrived:
                if clock - arrivals_s[served] > work_s[served]:
                    found[day, LATE] += 1
                end, j = clock + work_s[served], busy
                busy, served = busy + 1, served + 1
                while j > 0 and heap[(j - 1) >> 1] > end:
                    heap[j] = heap[(j - 1) >> 1]
                    j = (j - 1) >> 1
                heap[j] = end
            next_s = arrivals_s[arrived] if arrived < len(arrivals_s) else np.inf
            done_s = heap[0] if busy else np.inf
            moment = min(next_s, done_s, until)
            draining_s += max(0, busy - places) * (moment - clock)
            clock = moment
            if moment >= until:
                break
            if done_s <= next_s:
                busy -= 1
                end, j = heap[busy], 0
                while 2 * j + 1 < busy:
                    child = 2 * j + 1
                    if child + 1 < busy and heap[child + 1] < heap[child]:
                        child += 1
                    if heap[child] >= end:
                        break
                    heap[j] = heap[child]
                    j = child
                heap[j] = end
            else:
                found[day, REQUESTS] += 1
                arrived += 1
        found[day, REPLICA_S] += wanted * LOOK_S + draining_s / slots
    return found
