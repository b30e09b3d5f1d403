"""An owner's corner cases, each seen in a whole cluster that is otherwise well."""

from dataclasses import replace

from clusterd.model.ids import ResourceId
from clusterd.model.states import ResourceState
from clusterd.node import events as happened
from clusterd.owner import Happening
from clusterd.sim import SimCluster, SimSettings
from clusterd.sim.host import Dials
from clusterd.sim.machine import Machine


def web(**properties: int | str) -> SimCluster:
    """`web` with `data` and `server`, online on n1."""
    cluster = SimCluster(SimSettings(seed=5))
    cluster.start()
    cluster.run_for(3000)
    cluster.add_group("web", {"data": "", "server": "[data]"}, preferred=("n1", "n2"), properties=properties)
    assert cluster.run_until(lambda: cluster.is_online("web", on="n1"))
    cluster.run_for(500)
    return cluster


def n1(cluster: SimCluster) -> Machine:
    return cluster.machines[cluster.names[0]]


def starts(cluster: SimCluster, resource: str) -> int:
    return sum(run.resource == resource for run in cluster.ledger.runs)


def test_what_ended_by_itself_rests_until_somebody_asks_and_blocks_no_move() -> None:
    cluster = web()
    run = cluster.ledger.running("server")[0]
    run.ended_us = cluster.timeline.now_us
    n1(cluster).feed(happened.ResourceHappened(ResourceId("server"), 1, Happening.STOPPED_ITSELF, "exit 0"))
    cluster.run_for(20_000)
    assert starts(cluster, "server") == 1
    assert cluster.resource_states("web")["server"] is ResourceState.OFFLINE
    group = cluster.view().group("web")
    assert group is not None
    cluster.commit(lambda draft: draft.put(replace(group, reset_id="again")))
    assert cluster.run_until(lambda: cluster.is_online("web", on="n1"), patience_ms=3000)


def test_an_operator_can_fail_a_resource_once() -> None:
    cluster = web()
    record = cluster.view().resource("server")
    assert record is not None
    cluster.commit(lambda draft: draft.put(replace(record, fail_id="f1")))
    cluster.run_for(10_000)
    assert starts(cluster, "server") == 2
    n1(cluster).kill_daemon()
    n1(cluster).start()
    cluster.run_for(10_000)
    assert starts(cluster, "server") == 2, "a restarted daemon carries the same request out again"


def test_a_restarted_daemon_adopts_what_its_hosts_run_without_a_visible_change() -> None:
    cluster = web()
    report = cluster.view().report("web")
    assert report is not None
    n1(cluster).kill_daemon()
    cluster.run_for(300)
    n1(cluster).start()
    cluster.run_for(5000)
    after = cluster.view().report("web")
    assert after is not None
    assert [each.state for each in after.resources] == [ResourceState.ONLINE] * 2
    assert all(new.sequence <= old.sequence + 1 for new, old in zip(after.resources, report.resources, strict=True)), (
        "it went through other states"
    )
    assert starts(cluster, "server") == 1


def test_a_resource_of_its_own_host_is_not_started_twice_after_a_daemon_restart() -> None:
    cluster = SimCluster(SimSettings(seed=5))
    cluster.start()
    cluster.run_for(3000)
    cluster.add_group("web", {"server": ""}, preferred=("n1",), properties={"separate_monitor": True})
    assert cluster.run_until(lambda: cluster.is_online("web", on="n1"))
    n1(cluster).kill_daemon()
    cluster.run_for(300)
    n1(cluster).start()
    cluster.run_for(5000)
    assert starts(cluster, "server") == 1
    assert not cluster.overlaps()


def test_stopping_what_does_not_stop_is_tried_again_at_leisure() -> None:
    cluster = web()
    cluster.dials["server"] = Dials(ignores_stop=True)
    guard = n1(cluster).guard
    assert guard is not None
    calls = 0
    host = guard.hosts["shared"]
    real = host.call

    def counted(call: object, asked_us: int) -> None:
        nonlocal calls
        calls += 1
        real(call, asked_us)  # type: ignore[arg-type]  # passes on whatever it was given

    machine = n1(cluster)
    machine._call = lambda call, sender: counted(call, 0)  # type: ignore[method-assign]
    group = cluster.view().group("web")
    assert group is not None
    record = cluster.view().resource("server")
    assert record is not None
    cluster.commit(lambda draft: draft.put(replace(record, fail_id="x")))
    cluster.run_for(10_000)
    assert 3 <= calls <= 8


def test_a_deleted_resource_is_stopped_and_forgotten() -> None:
    cluster = web()
    cluster.commit(lambda draft: draft.delete("resource/server"))
    cluster.run_for(2000)
    assert not cluster.ledger.running("server")
    assert cluster.ledger.running("data")
    report = cluster.view().report("web")
    assert report is not None
    assert [each.name for each in report.resources] == ["data"]


def test_a_report_under_way_when_the_leader_is_lost_arrives_after_all() -> None:
    cluster = web()
    leader = cluster.leader()
    assert leader is not None
    n1(cluster).guard.hosts["shared"].fail_workload("server")  # type: ignore[union-attr]  # the guard is up
    cluster.run_for(0.3)
    cluster.freeze(leader)
    cluster.run_for(500)
    cluster.kill(leader)
    assert cluster.run_until(lambda: cluster.is_online("web"), patience_ms=15_000)
    node = cluster.machines[cluster.names[1 if leader == "n1" else 0]].node
    assert node is not None
    for name in ("web",):
        owned = node.owning.owner.group(name)
        assert owned is None or not owned.is_reporting


def test_a_check_that_passes_again_counts_only_under_maintenance() -> None:
    cluster = web(restart_delay=5000)
    host = n1(cluster).guard.hosts["shared"]  # type: ignore[union-attr]  # the guard is up
    assert host.check("server", is_well=False)
    assert host.check("server", is_well=True)
    cluster.run_for(100)
    assert cluster.resource_states("web")["server"] is ResourceState.FAILED
    assert cluster.run_until(lambda: cluster.is_online("web", on="n1"), patience_ms=8000)
    assert starts(cluster, "server") == 2
