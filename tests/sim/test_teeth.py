"""Would the simulator notice? Each test breaks one rule of the run lease, and two copies must be found soon."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from clusterd.leader import members, storage_fence
from clusterd.leader.standing import Standing
from clusterd.membership import Acknowledger, Sendings
from clusterd.model.ids import NodeId
from clusterd.model.settings import ClusterSettings
from clusterd.model.states import MembershipState, StorageFenceState
from clusterd.model.storage_fences import StorageFenceReport
from clusterd.node.presence import Presence
from clusterd.owner import group as owned
from clusterd.owner import planning
from clusterd.owner.fence_order import FenceOrder
from clusterd.sim import SimCluster, SimSettings
from clusterd.sim.host import Dials
from clusterd.sim.storm import Storm, Weather
from clusterd.wire.peer_pb2 import Heartbeat

SEEDS = range(60)
HARSH = Weather(duration_ms=40_000, between_ms=(50, 2500), has_bad_resources=False)


def with_long_leases(drawn: SimSettings) -> SimSettings:
    """Nodes are expelled long before their leases run out, so that what waits for the lease has something to wait for."""
    return replace(drawn, properties={**drawn.properties, "run_lease": 5000})


def seeds_until_two_copies() -> int | None:
    """How many storms it takes; None: too many."""
    for seed in SEEDS:
        storm = Storm(seed, HARSH, settings=with_long_leases)
        storm.prepare()
        storm.blow()
        if storm.cluster.overlaps():
            return seed + 1
    return None


def test_without_waiting_for_the_lease_two_copies_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ClusterSettings, "expiry_ms", property(lambda self: 0))
    assert seeds_until_two_copies() is not None


def test_with_acknowledgements_for_the_expelled_two_copies_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def acknowledge(self: Acknowledger, node: str, incarnation: str, now_ms: int) -> bool:
        standing = self.standing(node)  # type: ignore[arg-type]
        if standing is None or standing.state is MembershipState.DOWN or standing.incarnation != incarnation:
            return False
        self._last_ack_ms.setdefault(node, now_ms)  # type: ignore[arg-type]
        return True

    monkeypatch.setattr(Acknowledger, "acknowledge", acknowledge)
    assert _one_way_deafness() > 0


def test_with_promises_of_a_minority_two_copies_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_early(record: object, entry_index: int, sight: object) -> int | None:
        promised = sight.promises.get(record.node, {})  # type: ignore[attr-defined]
        last = [each.last_ack_ms for each in promised.values() if each.entry_index == entry_index]
        return min(last) + sight.settings.expiry_ms - 1500 if last else None  # type: ignore[attr-defined]

    monkeypatch.setattr(members, "expired_at_ms", too_early)
    assert seeds_until_two_copies() is not None


def test_with_leases_counted_from_the_acknowledgement_two_copies_run(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _thawed_and_cut_off() == 0
    receive = Presence.receive

    def from_now(self: Presence, sender: NodeId, heartbeat: Heartbeat, **rest: Any) -> bool:
        if heartbeat.HasField("ack"):
            heartbeat.ack.sent_ms = rest["now_ms"]
        return receive(self, sender, heartbeat, **rest)

    monkeypatch.setattr(Presence, "receive", from_now)
    assert _thawed_and_cut_off() == 0, "an acknowledgement that names no sending counts for nothing"
    monkeypatch.setattr(Sendings, "is_one", lambda self, sequence, sent_ms: True)
    assert _thawed_and_cut_off() > 0


def _web_on_n1() -> SimCluster:
    cluster = SimCluster(SimSettings(seed=3))
    cluster.start()
    cluster.run_for(3000)
    cluster.add_group("web", {"server": ""}, preferred=("n1", "n2"))
    assert cluster.run_until(lambda: cluster.is_online("web", on="n1"))
    cluster.run_for(2000)
    return cluster


def _thawed_and_cut_off() -> int:
    """The owner's daemon stops just before acknowledgements arrive, finds them much later, and is cut off by then."""
    cluster = _web_on_n1()
    found = 0
    for attempt in range(8):
        cluster.run_for(33 * attempt)  # what came before ended in step with the heartbeats
        cluster.freeze("n1")
        cluster.run_for(1450)  # its guard's lease is handed on when it gains a quarter, and must not be over yet
        cluster.isolate("n1")
        cluster.thaw("n1")
        cluster.run_for(6000)
        found += len(cluster.overlaps())
        cluster.heal()
        cluster.run_for(5000)
        cluster.commit(_move_home(cluster))
        cluster.run_until(lambda: cluster.is_online("web", on="n1"), patience_ms=5000)
    return found


def _move_home(cluster: SimCluster) -> Callable[..., object]:
    from clusterd.model.ids import NodeId
    from clusterd.model.records import MoveRequest

    group = cluster.view().group("web")
    assert group is not None
    move = MoveRequest(f"home{cluster.timeline.now_ms}", NodeId("n1"))
    return lambda draft: draft.put(replace(group, move=move))


def _one_way_deafness() -> int:
    """The owner cannot be heard by the leader; one voter still acknowledges it for a while, in both directions."""
    found = 0
    for seed in SEEDS:
        storm = Storm(seed, HARSH, settings=with_long_leases)
        storm.prepare()
        storm.blow()
        found += len(storm.cluster.overlaps())
        if found:
            break
    return found


def test_without_waiting_for_users_a_provider_is_stopped_under_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owned, "_is_needed", lambda *asked, **more: False)
    found = []
    for seed in range(5):
        storm = Storm(seed, HARSH)
        storm.prepare()
        storm.blow()
        storm.calm()
        found += storm.judge()
    assert "was told to stop" in " ".join(found)


# ---- groups whose disks are their sole effect ----

ON_DISKS = Weather(duration_ms=30_000, mending=3, on_disks=True)


def seeds_until_breaches() -> int | None:
    """How many storms of machines that freeze as a whole it takes; None: too many."""
    for seed in SEEDS:
        storm = Storm(seed, ON_DISKS, settings=with_long_leases)
        storm.prepare()
        storm.blow()
        if storm.cluster.breaches() or storm.cluster.overlaps():
            return seed + 1
    return None


def test_with_one_disk_of_several_taken_an_owner_still_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not _cut_off_with_two_disks(Dials(fence_ms=1))
    monkeypatch.setattr(FenceOrder, "is_done", property(lambda self: bool(self.texts)))
    monkeypatch.setattr(storage_fence, "_is_whole", lambda said, found: True)
    assert _cut_off_with_two_disks(Dials(fence_ms=1))


def test_with_an_order_for_evidence_an_owner_still_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The group is taken before anybody said that the disks refuse its owner."""

    def at_once(self: storage_fence.StorageFences, standing: Standing) -> StorageFenceReport | None:
        order = self._present(standing.assignment)
        if order is None:
            return None
        return StorageFenceReport(order.group, order.node, order.node_incarnation, order.number, StorageFenceState.DONE)

    monkeypatch.setattr(storage_fence.StorageFences, "evidence", at_once)
    assert seeds_until_breaches() is not None


def test_with_a_claim_that_is_not_kept_an_owner_comes_back() -> None:
    """Its disk failed, and is started again there under its old generation before the new owner has claimed it."""
    assert _cut_off_with_two_disks(Dials(fence_ms=1, forgets_claim=True))


def test_with_a_fence_of_what_the_record_names_an_owner_still_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The record of a disk names another unit than the one that its owner opened."""
    assert not _cut_off_with_another_unit()
    monkeypatch.setattr(storage_fence, "_doubt", lambda standing: "")
    assert "without evidence" in " ".join(_cut_off_with_another_unit())


def test_with_a_disk_opened_before_the_cluster_knows_an_owner_still_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is opened anew as what its record names for a moment, and the owner is cut off before it can say so."""
    assert not _cut_off_while_it_opens_another_unit()
    monkeypatch.setattr(planning, "is_known", lambda group, held: True)
    assert "without evidence" in " ".join(_cut_off_while_it_opens_another_unit())


def _on_two_disks() -> SimCluster:
    cluster = SimCluster(SimSettings(seed=3, properties={"run_lease": 10_000}))
    cluster.start()
    cluster.run_for(3000)
    cluster.add_group(
        "vms",
        {"one": "", "two": "", "vm": "[one] and [two]"},
        preferred=("n3", "n2"),
        properties={"restart_delay": 0},
        group_properties={"storage_is_sole_effect": True},
        disks=("one", "two"),
    )
    assert cluster.run_until(lambda: cluster.is_online("vms", on="n3"))
    cluster.run_for(500)
    return cluster


def _name_unit(cluster: SimCluster, unit: str) -> None:
    """Change the record of a disk; no unit: its own, which it came online with."""
    record = cluster.view().resource("two")
    assert record is not None
    cluster.commit(lambda draft: draft.put(replace(record, private={"unit": unit} if unit else {})))
    cluster.run_for(100)


def _cut_off_with_another_unit() -> list[str]:
    cluster = _on_two_disks()
    _name_unit(cluster, "lun9")
    cluster.isolate("n3")
    cluster.run_for(5000)
    return cluster.breaches()


def _cut_off_while_it_opens_another_unit() -> list[str]:
    cluster = _on_two_disks()
    _name_unit(cluster, "lun9")
    cluster.isolate("n3")
    guard = cluster.machines[NodeId("n3")].guard
    assert guard is not None
    assert any(host.fail_workload("two") for host in guard.hosts.values())
    cluster.run_for(300)
    _name_unit(cluster, "")
    cluster.run_for(5000)
    return cluster.breaches()


def _cut_off_with_two_disks(first: Dials) -> list[str]:
    """The owner lives on for a while; its first disk is taken at once, and the second takes seconds."""
    cluster = _on_two_disks()
    cluster.dials["one"] = first
    cluster.dials["two"] = Dials(fence_ms=5000)
    cluster.isolate("n3")
    assert cluster.run_until(lambda: cluster.view("n2").storage_fence("vms") is not None)
    cluster.run_for(9000)
    return cluster.breaches()
