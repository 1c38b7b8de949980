"""The scaler on a platform without processes: execution, holds, failures and restarts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from argosy.config.scaling import PredictiveSettings, ScalingSettings, ThresholdSettings
from argosy.config.service import ServiceSettings
from argosy.contracts.errors import InvalidRequest, NotFound
from argosy.contracts.fleet import Health, Load
from argosy.contracts.scaling import Action, Decision, Reason, ScaleOrder, ScalingChange
from argosy.control.health.replica import Probe
from argosy.control.observation import Observation
from argosy.control.platforms.platform import Replica, Usage
from argosy.control.scaling.limits import limited
from argosy.control.scaling.policies.table import POLICIES
from argosy.control.scaling.predictor import NoPredictor
from argosy.control.scaling.reader import Reader
from argosy.control.scaling.registration import Registration
from argosy.control.supervision.start_limit import PLACE_S
from argosy.telemetry.metrics import FleetMetrics
from tests.unit.control.scaling.fleet import SERVICE, Host, Rig, Time, rig, settle

pytestmark = pytest.mark.unit

QUICK = ScalingSettings(slots=4, undo=False, predictive=PredictiveSettings(utilisation=0.7, hold_s=20, load_window_s=0))


async def test_load_starts_replicas_at_once_and_calm_drains_them(tmp_path: Path) -> None:
    async with rig(tmp_path, QUICK) as fleet:
        await fleet.pass_time(6, in_flight=10, rate=100)
        assert len(fleet.running) == 4
        record = next(r for r in fleet.scaler.view(SERVICE).decisions if r.performed)
        assert (record.decision.action, record.decision.reason) == (Action.SCALE_UP, Reason.HIGH_LOAD_DETECTED)
        await fleet.pass_time(60)
        assert fleet.running == [f"{SERVICE}-1"]
        events = fleet.feed.page(0, 1000).events
        assert any(e.kind == "scaling" and e.after == "4 replicas" and "high_load" in e.why for e in events)
        went = [(e.before, e.after) for e in events if e.subject == f"{SERVICE}-4"][-2:]
        assert went == [("ready", "draining"), ("draining", "stopped")]
        assert not any(e.after == "ended" for e in events)


async def test_a_service_that_grows_is_healthy_while_its_new_replicas_start(tmp_path: Path) -> None:
    host = Host()
    async with rig(tmp_path, QUICK, host=host) as fleet:
        host.slow_start = True
        await fleet.pass_time(6, in_flight=10, rate=100)
        view = fleet.observed.fleet(fleet.host.replicas())
        assert (view.services[0].desired, len(view.services[0].replicas)) == (4, 4)
        assert (view.services[0].status, view.services[0].reason, view.status) == (Health.HEALTHY, "", Health.HEALTHY)
        host.started.set()
        await settle()
        host.kill(fleet.running[-1])
        missing = fleet.observed.fleet(fleet.host.replicas()).services[0]
        assert (missing.status, missing.reason) == (Health.DEGRADED, "3 of 4 replicas serve (killed by signal 9)")


async def test_the_replicas_of_a_step_start_one_after_the_other_on_a_small_host(tmp_path: Path) -> None:
    host = Host(cores=2)
    async with rig(tmp_path, QUICK, host=host) as fleet:
        host.slow_start = True
        fleet.scaler.order(SERVICE, ScaleOrder(4))
        await settle()
        assert host.log == [f"start {SERVICE}-1", f"start {SERVICE}-2"]
        host.started.set()
        await settle()
        assert len(fleet.running) == 4


async def test_a_start_that_takes_long_does_not_keep_the_others_waiting(tmp_path: Path) -> None:
    host = Host(cores=2)
    async with rig(tmp_path, QUICK, host=host) as fleet:
        host.slow_start = True
        fleet.scaler.order(SERVICE, ScaleOrder(3))
        await settle()
        assert f"start {SERVICE}-3" not in host.log
        fleet.clock.now_s += PLACE_S
        fleet.scaler.order(SERVICE, ScaleOrder(4))  # wakes the scaler
        await settle()
        assert host.log[-1] == f"start {SERVICE}-3"


async def test_a_service_whose_new_replicas_do_not_start_is_degraded_and_says_why(tmp_path: Path) -> None:
    host = Host()
    async with rig(tmp_path, QUICK, host=host) as fleet:
        host.starts = 0
        await fleet.pass_time(6, in_flight=10, rate=100)
        service = fleet.observed.fleet(fleet.host.replicas()).services[0]
        assert (service.status, service.reason) == (Health.DEGRADED, "1 of 4 replicas serve (no GPU left)")


async def test_a_service_that_no_longer_grows_misses_nobody(tmp_path: Path) -> None:
    host = Host()
    async with rig(tmp_path, QUICK, host=host) as fleet:
        host.slow_start = True
        await fleet.pass_time(6, in_flight=10, rate=100)
        fleet.scaler.order(SERVICE, ScaleOrder(2))
        await settle()
        assert fleet.observed.desired[SERVICE] - len(fleet.observed.growing[SERVICE]) == 1
        host.started.set()
        await settle()
        assert (fleet.running, fleet.observed.growing[SERVICE]) == ([f"{SERVICE}-1", f"{SERVICE}-2"], set())


class _Noting(NoPredictor):
    def __init__(self) -> None:
        self.seen: list[tuple[str, float | None]] = []

    def observe(self, service: str, seen: Observation, now_s: float) -> None:
        self.seen.append((service, seen.in_flight))

    def observe_replica(self, service: str, replica: str, values: Mapping[str, float], now_s: float) -> None:
        self.seen.append((replica, values["in_flight"]))


async def test_a_service_that_is_never_scaled_is_observed_all_the_same(tmp_path: Path) -> None:
    async with rig(tmp_path, QUICK) as fleet:
        noting = fleet.scaler._predictor = _Noting()
        fleet.scaler._registrations.of(SERVICE).fixed = "it has one writer"
        await fleet.pass_time(6, in_flight=10, rate=100)
        assert (SERVICE, 10) in noting.seen
        assert len(fleet.running) == 1
        assert fleet.scaler.view(SERVICE).decisions == []


async def test_the_cold_start_is_the_one_that_was_learnt(tmp_path: Path) -> None:
    class Learnt(NoPredictor):
        def __init__(self) -> None:
            self.seen: list[float] = []

        def observe(self, service: str, seen: Observation, now_s: float) -> None:
            self.seen.append(seen.cold_start_s)

        def cold_start_s(self, service: str) -> float | None:
            return 90.0

    async with rig(tmp_path, QUICK) as fleet:
        learnt = fleet.scaler._predictor = Learnt()
        fleet.observed.cold_start_s.clear()
        await fleet.pass_time(4, in_flight=1, rate=10)
        assert all(map(math.isnan, learnt.seen)), "this controller saw no start"
        assert fleet.scaler._look(fleet.scaler._registrations.of(SERVICE), 0.0).cold_start_s == 90
        fleet.observed.cold_start_s[SERVICE] = 7.0
        await fleet.pass_time(2, in_flight=1, rate=10)
        assert learnt.seen[-1] == 7.0


async def test_each_replica_is_observed_beside_its_service(tmp_path: Path) -> None:
    async with rig(tmp_path, QUICK) as fleet:
        await fleet.pass_time(6, in_flight=10, rate=100)
        noting = fleet.scaler._predictor = _Noting()
        await fleet.pass_time(4, in_flight=8, rate=100)
        assert noting.seen[-5:] == [(SERVICE, 8.0), *((f"{SERVICE}-{n}", 2.0) for n in (1, 2, 3, 4))]


async def test_missing_metrics_hold_whatever_was_seen_before(tmp_path: Path) -> None:
    async with rig(tmp_path, QUICK) as fleet:
        await fleet.pass_time(6, in_flight=10, rate=100)
        fleet.prober.silent = True
        await fleet.pass_time(200)
        assert len(fleet.running) == 4
        assert fleet.last.decision.reason is Reason.METRICS_MISSING


@pytest.mark.parametrize(
    "load", [Load(in_flight=-5, requests=10**6), Load(requests=10**6, errors=-1), Load(queued=-1, requests=10**6)]
)
async def test_counters_that_cannot_be_hold(tmp_path: Path, load: Load) -> None:
    async with rig(tmp_path, QUICK) as fleet:
        await fleet.pass_time(6, in_flight=10, rate=100)
        for _ in range(40):
            fleet.clock.now_s += 2
            for replica in fleet.host.replicas():
                fleet.prober.loads[replica.id] = load
                fleet.observed.saw(replica.id, await fleet.prober.probe(replica))
            fleet.scaler.tick()
            load = Load(load.in_flight, load.queued, load.requests - 1, load.errors)
        assert len(fleet.running) == 4
        assert fleet.last.decision.reason is Reason.METRICS_MISSING


async def test_a_refusal_to_start_is_shown_and_does_not_run_away(tmp_path: Path) -> None:
    host = Host()
    async with rig(tmp_path, QUICK, host=host) as fleet:
        host.starts = 1
        await fleet.pass_time(40, in_flight=10, rate=100)
        assert len(fleet.running) == 2
        assert fleet.observed.desired[SERVICE] == 4
        await fleet.pass_time(10, in_flight=40, rate=100)
        assert fleet.observed.desired[SERVICE] == 4
        assert fleet.last.decision.reason is Reason.START_FAILING
        assert "no GPU left" in fleet.last.decision.binding
        assert "no GPU left" in fleet.scaler.view(SERVICE).recommendation


async def test_what_dies_at_once_after_a_step_up_does_not_run_away(tmp_path: Path) -> None:
    async with rig(tmp_path, QUICK) as fleet:
        for _ in range(60):
            await fleet.pass_time(2, in_flight=10, rate=100)
            for replica_id in fleet.running:
                if replica_id != f"{SERVICE}-1":
                    fleet.host.kill(replica_id)
            await settle()
        assert fleet.observed.desired[SERVICE] <= 4
        assert f"{SERVICE}-1" in fleet.running
        assert "killed by signal 9" in fleet.observed.failure(SERVICE)
        assert sum(line.startswith("start") for line in fleet.host.log) < 40
        await fleet.pass_time(6, in_flight=40, rate=100)
        assert fleet.last.decision.reason is Reason.START_FAILING
        assert "killed by signal 9" in fleet.scaler.view(SERVICE).recommendation


async def test_replicas_that_start_and_never_become_ready_are_counted_and_no_more_are_asked_for(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path, QUICK) as fleet:
        fleet.host.slow_start = True
        await fleet.pass_time(16, in_flight=10, rate=100)
        assert fleet.observed.desired[SERVICE] == 4
        assert fleet.scaler.view(SERVICE).ready_instances == 1
        assert sum(line.startswith("start") for line in fleet.host.log) == 4
        fleet.host.started.set()
        await settle()
        await fleet.pass_time(4, in_flight=10, rate=100)
        assert fleet.scaler.view(SERVICE).ready_instances == 4


async def test_a_restarted_replica_says_nothing_until_two_probes_of_it_are_known(tmp_path: Path) -> None:
    async with rig(tmp_path, QUICK) as fleet:
        await fleet.pass_time(20, in_flight=10, rate=100)
        fleet.prober.loads = {replica: Load() for replica in fleet.running}
        fleet.clock.now_s += 2
        for replica in fleet.host.replicas():
            fleet.observed.saw(replica.id, await fleet.prober.probe(replica))
        fleet.scaler.tick()
        assert fleet.last.decision.reason is Reason.METRICS_MISSING
        assert len(fleet.running) == 4


async def test_values_that_grew_stale_hold(tmp_path: Path) -> None:
    async with rig(tmp_path, QUICK) as fleet:
        await fleet.pass_time(20, in_flight=10, rate=100)
        for _ in range(60):
            fleet.clock.now_s += 2
            fleet.scaler.tick()
        assert fleet.last.decision.reason is Reason.METRICS_MISSING
        assert len(fleet.running) == 4


async def test_nothing_is_scaled_past_the_host(tmp_path: Path) -> None:
    host = Host(cores=4)
    host.replica_cores = 1.5
    async with rig(tmp_path, QUICK, host=host) as fleet:
        await fleet.pass_time(20, in_flight=30, rate=100)
        assert len(fleet.running) == 2
        assert fleet.last.decision.reason is Reason.HOST_FULL
        assert "4 cores" in fleet.scaler.view(SERVICE).recommendation
        fleet.scaler.order(SERVICE, ScaleOrder(5))
        assert fleet.observed.desired[SERVICE] == 2


async def test_what_a_start_computes_is_not_what_a_replica_takes(tmp_path: Path) -> None:
    class Computing(Host):
        """Host on which a starting replica uses a core, and a serving replica a tenth of a core."""

        def usage(self, replica_id: str) -> Usage | None:
            serves = self._replicas[replica_id].url is not None
            return Usage(self.clock() * (0.1 if serves else 1.0), self.memory_bytes)

    host = Computing(cores=2)
    async with rig(tmp_path, QUICK, host=host) as fleet:
        host.slow_start = True
        fleet.scaler.order(SERVICE, ScaleOrder(2))
        await fleet.pass_time(6)
        assert fleet.scaler._reader.host(SERVICE).replica_cores == pytest.approx(0.1)
        assert fleet.scaler._reader.host(SERVICE).room() >= 17


async def test_a_step_that_raises_no_throughput_is_undone_and_remembered(tmp_path: Path) -> None:
    settings = QUICK.model_copy(update={"undo": True})
    async with rig(tmp_path, settings) as fleet:
        await fleet.pass_time(6, in_flight=2, rate=20)
        await fleet.pass_time(60, in_flight=40, rate=20)
        assert fleet.last.decision.reason is Reason.STEP_DID_NOT_HELP
        assert len(fleet.running) == 1
        await fleet.pass_time(60, in_flight=40, rate=20)
        assert len(fleet.running) == 1


async def test_shadow_mode_decides_and_changes_nothing(tmp_path: Path) -> None:
    async with rig(tmp_path, QUICK.model_copy(update={"shadow": True})) as fleet:
        await fleet.pass_time(6, in_flight=10, rate=100)
        assert fleet.running == [f"{SERVICE}-1"]
        assert (fleet.last.decision.action, fleet.last.performed) == (Action.SCALE_UP, False)
        await fleet.pass_time(60, in_flight=10, rate=100)
        assert fleet.last.repeated > 20
        assert sum("would be 4 replicas" in e.why for e in fleet.feed.page(0, 1000).events) == 1


async def test_an_override_stands_above_the_policy_until_it_expires(tmp_path: Path) -> None:
    async with rig(tmp_path, QUICK) as fleet:
        await fleet.pass_time(30)
        fleet.scaler.order(SERVICE, ScaleOrder(3, 60))
        assert fleet.observed.desired[SERVICE] == 3
        await fleet.pass_time(50, in_flight=30, rate=100)
        assert len(fleet.running) == 3
        assert fleet.last.decision.reason is Reason.MANUAL_OVERRIDE
        override = fleet.scaler.view(SERVICE).override
        assert override is not None
        assert override.expires_s == 10
        await fleet.pass_time(14, in_flight=30, rate=100)
        assert len(fleet.running) == 10
        fleet.scaler.order(SERVICE, ScaleOrder(2))
        fleet.scaler.order(SERVICE, ScaleOrder())
        assert fleet.scaler.view(SERVICE).override is None


async def test_orders_and_changes_out_of_bounds_are_refused_whole(tmp_path: Path) -> None:
    async with rig(tmp_path, QUICK) as fleet:
        before = fleet.scaler.view(SERVICE)
        for order in (ScaleOrder(0), ScaleOrder(11), ScaleOrder(2, -1), ScaleOrder(2, math.nan)):
            with pytest.raises(InvalidRequest):
                fleet.scaler.order(SERVICE, order)
        for change in (
            ScalingChange(min_instances=5, max_instances=4),
            ScalingChange(min_instances=0),
            ScalingChange(policy="magic"),
            ScalingChange(cooldown=-1),
            ScalingChange(thresholds={"utilisation": 2}),
            ScalingChange(thresholds={"unknown": 2}),
            ScalingChange(policy="threshold", thresholds={"down": {"cpu": 0.9}}),
            ScalingChange(current_instances=99),
        ):
            with pytest.raises(InvalidRequest):
                fleet.scaler.change(SERVICE, change)
        assert fleet.scaler.view(SERVICE) == before
        with pytest.raises(NotFound):
            fleet.scaler.view("nobody")


async def test_bounds_policy_and_thresholds_change_at_run_time(tmp_path: Path) -> None:
    async with rig(tmp_path, QUICK) as fleet:
        fleet.scaler.change(
            SERVICE,
            ScalingChange(
                policy="threshold",
                min_instances=2,
                max_instances=3,
                cooldown=7,
                thresholds={"up": {"queued": 50}},
                current_instances=3,
            ),
        )
        view = fleet.scaler.view(SERVICE)
        assert (view.policy, view.min_instances, view.cooldown) == ("threshold", 2, 7)
        assert (view.max_instances, view.current_instances) == (3, 3)
        up = view.thresholds["up"]
        assert isinstance(up, dict)
        assert (up["queued"], up["cpu"]) == (50, 0.7)
        await fleet.pass_time(6, in_flight=1, rate=10)
        assert fleet.last.decision.reason is not Reason.POLICY_FAILED


def test_another_policy_begins_with_its_own_memory() -> None:
    registration = Registration.of(SERVICE, ServiceSettings(scaling=QUICK))
    registration.change(ScalingChange(policy="target"))
    assert registration.state == POLICIES["target"].first


async def test_it_survives_a_policy_that_breaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig(tmp_path, QUICK) as fleet:
        with monkeypatch.context() as patch:
            patch.setattr(fleet.scaler._reader, "service", None)
            await fleet.pass_time(6, in_flight=10, rate=100)
        assert fleet.last.decision.reason is Reason.POLICY_FAILED
        await fleet.pass_time(6, in_flight=10, rate=100)
        assert len(fleet.running) == 4


async def test_it_survives_a_history_that_cannot_be_written(tmp_path: Path) -> None:
    async with rig(tmp_path, QUICK) as fleet:
        fleet.history.close()
        await fleet.pass_time(30, in_flight=10, rate=100)
        assert len(fleet.running) == 4


async def test_decisions_are_bounded_and_repeats_only_count(tmp_path: Path) -> None:
    async with rig(tmp_path, QUICK) as fleet:
        for _ in range(150):
            await fleet.pass_time(4, in_flight=0)
            fleet.scaler.order(SERVICE, ScaleOrder(1))
            fleet.scaler.order(SERVICE, ScaleOrder())
        assert len(fleet.scaler.view(SERVICE).decisions) <= 200


async def test_a_new_controller_keeps_replicas_windows_cooldowns_and_override(tmp_path: Path) -> None:
    settings = ScalingSettings(policy="threshold", threshold=ThresholdSettings(interval_s=2))
    clock = Time()
    async with rig(tmp_path, settings, clock=clock) as fleet:
        fleet.scaler.change(
            SERVICE, ScalingChange(thresholds={"up": {"response_s": 0.09}, "down": {"response_s": 0.05}})
        )
        await fleet.pass_time(8, in_flight=1, rate=10)
        assert len(fleet.running) == 2
        fleet.scaler.order(SERVICE, ScaleOrder(3, 100))
        await fleet.pass_time(20, in_flight=1, rate=10)
        survivors = tuple(fleet.host.replicas())
        wall_s = clock.now_s
    later = Time(wall_s + 30)
    async with rig(tmp_path, settings, host=Host(survivors), clock=later, boot_s=900) as again:
        assert again.host.log == []
        assert again.observed.desired[SERVICE] == 3
        override = again.scaler.view(SERVICE).override
        assert override is not None
        assert override.expires_s == pytest.approx(100 - 20 - 30, abs=3)
        await again.pass_time(4, in_flight=1, rate=10)
        assert len(again.running) == 3
        again.scaler.order(SERVICE, ScaleOrder())
        await again.pass_time(4, in_flight=1, rate=10)
        assert again.last.decision.reason is Reason.COOLDOWN_ACTIVE
        assert again.last.decision.binding == "cooldown_s = 300, 242 s of it left"


@pytest.mark.parametrize(("wanted", "left"), [(5, 5), (3, 3), (2, 2)])
async def test_an_order_before_the_start_has_come_to_the_service_counts_what_was_adopted(
    tmp_path: Path, wanted: int, left: int
) -> None:
    survivors = [
        Replica(f"{SERVICE}-{n}", SERVICE, "r1", pid=n, url=f"http://127.0.0.1:{n}", started_at=n) for n in (1, 2, 3)
    ]
    fleet = Rig(tmp_path, ScalingSettings(), Host(tuple(survivors)), Time(), most=10, boot_s=0)
    await fleet.host.adopt()
    fleet.scaler.order(SERVICE, ScaleOrder(wanted))
    await settle()
    for replica in survivors:
        fleet.observed.saw(replica.id, await fleet.prober.probe(replica))
    await fleet.supervisor.bring_up(SERVICE)
    await fleet.pass_time(4)
    assert len(fleet.running) == left
    assert sum(f"start {replica.id}" in fleet.host.log for replica in survivors) == 0
    assert sum(replica.id in fleet.running for replica in survivors) == min(3, wanted)
    await fleet.supervisor.close()
    fleet.history.close()


async def test_a_fleet_of_which_nothing_lives_starts_as_its_file_says(tmp_path: Path) -> None:
    clock = Time()
    async with rig(tmp_path, QUICK, clock=clock) as fleet:
        fleet.scaler.order(SERVICE, ScaleOrder(3))
        await fleet.pass_time(4)
    async with rig(tmp_path, QUICK, clock=clock) as again:
        assert again.running == [f"{SERVICE}-1"]
        assert again.scaler.view(SERVICE).override is None


async def test_what_was_written_by_another_version_is_passed_over(tmp_path: Path) -> None:
    async with rig(tmp_path, QUICK) as fleet:
        fleet.history.remember(f"scaling/{SERVICE}", 0.0, b'{"policy": "unknown"}')
        survivors = (Replica(f"{SERVICE}-1", SERVICE, "r1", pid=1, url="http://127.0.0.1:1"),)
        fleet.scaler.restore({r.service for r in survivors})
        assert fleet.observed.desired[SERVICE] == 1


async def test_going_down_is_no_loss(tmp_path: Path) -> None:
    """The service stays HEALTHY while replicas drain, and draining replicas are not ended as hung."""
    async with rig(tmp_path, QUICK) as fleet:
        fleet.scaler.order(SERVICE, ScaleOrder(3))
        await fleet.pass_time(4)
        fleet.observed.tell_changes(fleet.host.replicas())
        fleet.host.slow_drain = True
        fleet.scaler.order(SERVICE, ScaleOrder(1))
        await fleet.pass_time(2)
        assert len(fleet.observed.draining) == 2
        for replica in fleet.host.replicas():
            if replica.id in fleet.observed.draining:
                fleet.observed.saw(replica.id, Probe(fleet.clock(), error="connection refused"))
        view = fleet.observed.fleet(fleet.host.replicas())
        assert (view.services[0].status, view.services[0].desired) == (Health.HEALTHY, 1)
        fleet.host.drained.set()
        await settle()
        assert fleet.running == [f"{SERVICE}-1"]


@pytest.mark.parametrize("slow", ["slow_spawn", "slow_start"])
async def test_a_replica_that_is_still_starting_goes_without_a_trace(tmp_path: Path, slow: str) -> None:
    async with rig(tmp_path, QUICK) as fleet:
        setattr(fleet.host, slow, True)
        fleet.scaler.order(SERVICE, ScaleOrder(3))
        await settle()
        fleet.scaler.order(SERVICE, ScaleOrder(1))
        await settle()
        fleet.host.spawned.set()
        fleet.host.started.set()
        await settle()
        assert fleet.running == [f"{SERVICE}-1"]
        assert fleet.observed.failure(SERVICE) == ""
        fleet.scaler.order(SERVICE, ScaleOrder(2))
        await settle()
        assert len(fleet.running) == 2


async def test_a_crash_looping_slot_goes_first(tmp_path: Path) -> None:
    async with rig(tmp_path, QUICK) as fleet:
        fleet.host.starts = 1
        fleet.scaler.order(SERVICE, ScaleOrder(3))
        await settle()
        alive = fleet.running
        assert len(alive) == 2
        assert fleet.observed.failure(SERVICE)
        fleet.scaler.order(SERVICE, ScaleOrder(2))
        await settle()
        assert fleet.running == alive
        assert fleet.observed.failure(SERVICE) == ""


async def test_a_number_set_by_hand_begins_the_hold_and_keeps_to_the_host(tmp_path: Path) -> None:
    host = Host(cores=8)
    host.memory_bytes = 0
    async with rig(tmp_path, QUICK, host=host) as fleet:
        await fleet.pass_time(100)
        fleet.scaler.change(SERVICE, ScalingChange(current_instances=5))
        await settle()
        assert len(fleet.running) == 5
        assert fleet.last.decision.reason is Reason.MANUAL_OVERRIDE
        await fleet.pass_time(16)
        assert len(fleet.running) == 5, "a hold of 20 s"
        await fleet.pass_time(20)
        assert len(fleet.running) == 1
        host.replica_cores = 4.0
        await fleet.pass_time(10)
        fleet.scaler.change(SERVICE, ScalingChange(current_instances=6))
        await settle()
        assert len(fleet.running) == 2
        assert "host_full" in fleet.last.decision.binding
        assert "larger host" in fleet.scaler.view(SERVICE).recommendation


async def test_a_step_that_the_host_refused_begins_no_cooldown(tmp_path: Path) -> None:
    host = Host(cores=1)
    host.replica_cores = 0.9
    settings = ScalingSettings(policy="threshold", threshold=ThresholdSettings(interval_s=2))
    async with rig(tmp_path, settings, host=host) as fleet:
        await fleet.pass_time(20, in_flight=1, rate=10)
        assert fleet.last.decision.reason is Reason.HOST_FULL
        assert fleet.last.repeated > 5
        assert "larger host" in fleet.scaler.view(SERVICE).recommendation


async def test_bounds_that_were_changed_hold_for_a_number_by_hand(tmp_path: Path) -> None:
    async with rig(tmp_path, QUICK) as fleet:
        fleet.scaler.order(SERVICE, ScaleOrder(5))
        await settle()
        fleet.scaler.change(SERVICE, ScalingChange(max_instances=2))
        await fleet.pass_time(4)
        assert len(fleet.running) == 2
        assert "the bounds are 1 to 2" in fleet.last.decision.binding


async def test_the_fleet_file_counts_where_it_was_changed_meanwhile(tmp_path: Path) -> None:
    clock = Time()
    async with rig(tmp_path, QUICK, clock=clock) as fleet:
        fleet.scaler.change(SERVICE, ScalingChange(max_instances=7))
        fleet.scaler.order(SERVICE, ScaleOrder(2, 1000))
        await fleet.pass_time(30)
        survivors = tuple(fleet.host.replicas())
    async with rig(tmp_path, QUICK, host=Host(survivors), clock=clock) as same:
        assert same.scaler.view(SERVICE).max_instances == 7
        assert same.scaler.view(SERVICE).decisions, "the last decisions are known"
    edited = QUICK.model_copy(update={"shadow": True, "policy": "target"})
    async with rig(tmp_path, edited, host=Host(survivors), clock=clock) as again:
        view = again.scaler.view(SERVICE)
        assert (view.policy, view.shadow, view.max_instances) == ("target", True, 10)
        assert view.override is not None, "what an operator ordered stays"


async def test_what_a_controller_wrote_that_kept_no_word_of_the_file_is_taken_up(tmp_path: Path) -> None:
    clock = Time()
    async with rig(tmp_path, QUICK, clock=clock) as fleet:
        fleet.scaler.change(SERVICE, ScalingChange(max_instances=7))
        survivors = tuple(fleet.host.replicas())
        kept = fleet.history.recall(f"scaling/{SERVICE}")
        assert kept is not None
        tree = msgspec.json.decode(kept[1])
        del tree["file"]
        fleet.history.remember(f"scaling/{SERVICE}", clock.now_s, msgspec.json.encode(tree))
    async with rig(tmp_path, QUICK, host=Host(survivors), clock=clock) as again:
        assert again.scaler.view(SERVICE).max_instances == 7


async def _beside_another(fleet: Rig) -> Reader:
    """Return the fleet's reader after adding a service "other" without replicas."""
    await fleet.pass_time(6)
    reader = fleet.scaler._reader
    reader._services = {**reader._services, "other": reader._services[SERVICE]}
    fleet.observed.desired["other"] = 0
    return reader


async def test_what_does_not_start_takes_no_room_from_others(tmp_path: Path) -> None:
    async with rig(tmp_path, QUICK) as fleet:
        reader = await _beside_another(fleet)
        alone = reader.host("other").memory_used_bytes
        fleet.observed.desired[SERVICE] = 4
        assert reader.host("other").memory_used_bytes > alone
        fleet.observed.failed(SERVICE, f"{SERVICE}-2", "no GPU left")
        assert reader.host("other").memory_used_bytes == alone


def test_an_undo_waits_for_metrics() -> None:
    decision = Decision(Action.NONE, 4, Reason.METRICS_MISSING, binding="no load")
    assert limited(decision, Observation(4, 4), 2, 1) == decision
    assert (
        limited(
            msgspec.structs.replace(decision, reason=Reason.NO_SCALING_NEEDED), Observation(4, 4), 2, 1
        ).target_instances
        == 2
    )


async def test_room_that_another_service_has_asked_for_is_taken(tmp_path: Path) -> None:
    async with rig(tmp_path, QUICK) as fleet:
        reader = await _beside_another(fleet)
        alone = reader.host("other")
        fleet.observed.desired[SERVICE] = 4
        asked = reader.host("other")
        assert asked.memory_used_bytes == alone.memory_used_bytes + 3 * 2**20
        assert asked.cores_used == pytest.approx(alone.cores_used + 0.3)


async def test_what_keeps_a_service_from_growing_is_an_event_when_it_begins(tmp_path: Path) -> None:
    async with rig(tmp_path, QUICK, most=2) as fleet:
        await fleet.pass_time(60, in_flight=30, rate=100)
        assert fleet.last.decision.reason is Reason.AT_MAXIMUM
        assert fleet.last.last_at is not None
        assert fleet.last.last_at > fleet.last.at
        events = [e.why for e in fleet.feed.page(0, 1000).events if "at_maximum" in e.why]
        assert len(events) == 1
        assert "max_instances = 2" in events[0]


async def test_an_order_that_changes_nothing_is_an_event_too(tmp_path: Path) -> None:
    async with rig(tmp_path, QUICK) as fleet:
        fleet.scaler.order(SERVICE, ScaleOrder(1, 600))
        fleet.scaler.change(SERVICE, ScalingChange())
        found = [(e.after, e.why) for e in fleet.feed.page(0, 1000).events if e.kind == "scaling"]
        assert found == [("by hand", "1 replica for 600 s")]
        await fleet.pass_time(10, in_flight=30, rate=100)
        assert fleet.last.decision.binding.startswith("1 replica by hand; the policy would have 10: ")
        text = FleetMetrics().render(fleet.observed.fleet(fleet.host.replicas()), fleet.scaler.views()).decode()
        assert f'argosy_scaling_override{{service="{SERVICE}"}} 1.0' in text
        assert f'argosy_scaling_decision{{reason="manual_override",service="{SERVICE}"}} 1.0' in text
        assert f'argosy_service_replicas_max{{service="{SERVICE}"}} 10.0' in text
