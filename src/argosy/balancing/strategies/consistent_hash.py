"""The replica that owns the key, or the key's next one when that has more than its share in flight.

Sources: V. Mirrokni et al., Consistent Hashing with Bounded Loads, 2016 (capacity (1 + ε) × average, ε = 0.25);
D. Thaler and C. Ravishankar, A Name-Based Mapping Scheme for Rendezvous, 1996, for the order of a key's replicas:
when a replica joins or leaves, only its own keys move.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Sequence

from argosy.balancing.candidate import Candidate
from argosy.balancing.strategy import PickRequest, Strategy

EPSILON = 0.25
MASK = 2**64 - 1
MIX = 0x9E3779B97F4A7C15


class ConsistentHash(Strategy):
    """Strategy in which no replica exceeds its capacity, ⌈(1 + ε) × its share of all requests in flight⌉."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        self._seeds: dict[str, int] = {}

    def pick(self, candidates: Sequence[Candidate], request: PickRequest, now_s: float) -> Candidate:
        self.lacks = "" if request.key is not None else "a key"
        key = self.rng.getrandbits(64) if request.key is None else _hash(request.key)
        busy, weights = 1, 0.0
        for candidate in candidates:
            busy += candidate.in_flight
            weights += candidate.weight
        allowed = (1 + EPSILON) * busy / weights
        best, most, seeds = candidates[0], -1, self._seeds
        for candidate in candidates:
            seed = seeds.get(candidate.id)
            if seed is None:
                seed = seeds[candidate.id] = _hash(candidate.id)
            mixed = (key ^ seed) * MIX & MASK
            rank = (mixed ^ mixed >> 32) * MIX & MASK
            if rank > most and candidate.in_flight < math.ceil(allowed * candidate.weight):
                best, most = candidate, rank
        return best

    def forget(self, replica_id: str) -> None:
        self._seeds.pop(replica_id, None)


def _hash(text: str) -> int:
    # Python's `hash` has a different seed in each process, and callers must agree.
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
