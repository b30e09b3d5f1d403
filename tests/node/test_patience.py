"""Changed times reach what runs: elections wait as long as the settings say now, and a lease is handed over in steps."""

from dataclasses import replace
from itertools import pairwise

import pytest

from clusterd.model import keys
from clusterd.model.ids import Incarnation
from clusterd.model.records import ClusterRecord
from clusterd.model.settings import cluster_settings
from clusterd.node import owning
from clusterd.node.effects import RenewLease
from clusterd.node.patience import raft_settings
from clusterd.sim import SimCluster, SimSettings


def started() -> SimCluster:
    cluster = SimCluster(SimSettings(seed=4))
    cluster.start()
    cluster.run_for(5000)
    return cluster


def change(cluster: SimCluster, **properties: int) -> None:
    def changed(record: ClusterRecord) -> ClusterRecord:
        return replace(record, properties={**record.properties, **properties})

    cluster.change_soon(ClusterRecord, keys.CLUSTER, cluster.leader() or "", changed)
    cluster.run_for(1000)


def without_leader_ms(cluster: SimCluster) -> int:
    """How long there is none after the leader falls silent."""
    began_ms = cluster.timeline.now_ms
    cluster.freeze(cluster.leader() or "", "daemon")
    old = cluster.leader()
    assert cluster.run_until(lambda: cluster.leader() != old)
    return cluster.timeline.now_ms - began_ms


def test_raft_that_runs_takes_over_changed_times() -> None:
    usual_ms = without_leader_ms(started())
    cluster = started()
    change(cluster, same_subnet_threshold=40, run_lease=20_000)
    settings = cluster_settings(cluster.view().cluster())
    assert settings.silence_max_ms >= 4 * 2000 and raft_settings(settings).election_timeout_ms >= 4000
    cluster.run_for(10_000)  # a timer that was set before runs out
    assert without_leader_ms(cluster) >= 4000 > usual_ms


def test_a_lease_is_handed_to_the_guard_in_steps_of_a_quarter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each hand-over wakes the guard and every host; heartbeats would make four or more of each."""
    cluster = started()
    change(cluster, run_lease=8000)
    cluster.run_for(10_000)
    handed: dict[Incarnation, list[int]] = {}

    def renew(incarnation: Incarnation, deadline_ms: int) -> RenewLease:
        handed.setdefault(incarnation, []).append(deadline_ms)
        return RenewLease(incarnation, deadline_ms)

    monkeypatch.setattr(owning, "RenewLease", renew)
    cluster.run_for(60_000)
    assert len(handed) == 3
    for deadlines in handed.values():
        steps = [after - before for before, after in pairwise(deadlines)]
        assert min(steps) >= 2000 and max(steps) < 4000, steps
        assert 60_000 // 4000 <= len(deadlines) <= 60_000 // 2000 + 1
    assert not any(each.note.event.name == "lease.lost" for each in cluster.trace)
