"""Regime built from a trace, with its recorded arrivals and its work scaled to the requested load."""

from __future__ import annotations

from argosy.simulation.balancing.regime import Prefixes, Regime, ReplicaModel
from argosy.simulation.loads.durations import Durations, Lognormal, Measured
from argosy.simulation.loads.prefixing import Written
from argosy.simulation.loads.traces import Trace
from argosy.simulation.servers.sharing import Sharing

SIGMA = 1.0
"""Standard deviation of the logarithm of the work, used when the trace does not record work."""
KEPT_PREFIXES = 200
HIT_SHARE = 0.5


def replay(trace: Trace, *, replicas: int, load: float) -> Regime:
    """Return a regime of `replicas` one-core replicas, each busy for the share `load` of the time on average."""
    mean_s = load * replicas / trace.arrivals.mean_rps
    work: Durations = Lognormal(mean_s, SIGMA)
    if trace.work is not None:
        scale = mean_s * len(trace.work) / sum(trace.work)
        work = Measured(tuple(w * scale for w in trace.work))
    prefixes = None if trace.prefixes is None else Prefixes(Written(trace.prefixes), KEPT_PREFIXES, HIT_SHARE)
    known = "" if prefixes is None else f", a known prefix saves {1 - HIT_SHARE:.0%} of the work"
    return Regime(
        name=trace.name,
        about=f"{replicas} one-core replicas at load {load:g}, work {mean_s * 1000:.3g} ms on average{known}",
        replicas=(ReplicaModel(Sharing()),) * replicas,
        arrivals=trace.arrivals,
        work=work,
        requests=trace.requests,
        prefixes=prefixes,
    )
