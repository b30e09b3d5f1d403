"""Would the simulator notice outdated memory? Each test breaks one rule of live migration, and the ledger must find it."""

from dataclasses import replace

import pytest

from clusterd.database import Draft
from clusterd.leader import assigning
from clusterd.leader.standing import Standing
from clusterd.model.ids import NodeId
from clusterd.model.records import AssignmentRecord, MoveRequest
from clusterd.model.states import MoveKind, Order
from clusterd.owner import arriving
from clusterd.owner.desk import Desk
from clusterd.sim import SimCluster, SimSettings
from clusterd.sim.host import Dials

SEED = 3
"""One with which n2, which is cut off, does not lead."""


def is_awaited_whatever_its_number(desk: Desk, key: str, assignment: AssignmentRecord) -> bool:
    arrival = desk.arrivals.get(key)
    return arrival is not None and not arrival.is_over and arrival.generation == assignment.generation


def has_moved_although_its_source_is_lost(standing: Standing, assignment: AssignmentRecord) -> bool:
    return assignment.order is Order.MIGRATE


def test_with_any_number_outdated_memory_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _hears_late() == []
    monkeypatch.setattr(arriving, "is_awaited", is_awaited_whatever_its_number)
    assert _hears_late()


def test_with_the_memory_of_a_lost_source_outdated_memory_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _goes_on_and_is_lost() == []
    monkeypatch.setattr(assigning, "has_moved", has_moved_although_its_source_is_lost)
    assert _goes_on_and_is_lost()


def _cluster() -> SimCluster:
    cluster = SimCluster(SimSettings(nodes=("n1", "n2", "n3", "n4"), seed=SEED))
    cluster.start()
    cluster.run_for(3000)
    cluster.add_group("web", {"b": "", "a": "[b]"}, preferred=("n1", "n2"), live=("a", "b"))
    assert cluster.run_until(lambda: cluster.is_online("web", on="n1"))
    cluster.run_for(1000)
    assert cluster.leader() not in ("n1", "n2")
    return cluster


def _move(cluster: SimCluster, kind: MoveKind) -> None:
    group = cluster.view("n1").group("web")
    assert group is not None
    moved = replace(group, move=MoveRequest(f"move{cluster.timeline.now_ms}", NodeId("n2"), kind=kind))

    def change(draft: Draft) -> object:
        return draft.put(moved)

    cluster.commit(change, at="n1")


def _assignment(cluster: SimCluster) -> AssignmentRecord:
    found = cluster.view("n1").assignment("web")
    assert found is not None
    return found


def _is_moving(cluster: SimCluster, resource: str) -> bool:
    hosts = [host for each in cluster.machines.values() if each.guard is not None for host in each.guard.hosts.values()]
    return any(host.hosted[resource].move is not None for host in hosts if resource in host.hosted)


def _has_arrived(cluster: SimCluster) -> bool:
    return any(place.of is not None for place in cluster.ledger.places.values())


def _hears_late() -> list[str]:
    """The destination is cut off while a migration falls through and another move brings the group."""
    cluster = _cluster()
    cluster.dials["b"] = Dials(fails_migrate=True)
    _move(cluster, MoveKind.LIVE)
    assert cluster.run_until(lambda: _has_arrived(cluster))
    cluster.isolate("n2")
    assert cluster.run_until(lambda: _assignment(cluster).order is Order.RUN, patience_ms=1000)
    cluster.run_for(100)
    _move(cluster, MoveKind.TURN_OFF)
    assert cluster.run_until(lambda: _assignment(cluster).generation == 2, patience_ms=1000)
    cluster.heal()
    assert cluster.run_until(lambda: cluster.is_online("web", on="n2"))
    return cluster.ledger.outdated


def _goes_on_and_is_lost() -> list[str]:
    """The source takes its move for failed when everything has arrived, and is cut off by then."""
    cluster = _cluster()
    cluster.dials["a"] = Dials(migrate_ms=300, fails_late=True)
    _move(cluster, MoveKind.LIVE)
    assert cluster.run_until(lambda: _is_moving(cluster, "a"))
    cluster.isolate("n1")
    assert cluster.run_until(lambda: cluster.is_online("web", on="n2"))
    return cluster.ledger.outdated
