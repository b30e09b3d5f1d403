"""What the cluster knows of what an owner runs, before and after the record of it changes."""

from dataclasses import replace

from clusterd.model.ids import NodeId, key_of
from clusterd.model.ran_as import ran_as
from clusterd.model.records import MoveRequest, Properties, ResourceRecord
from clusterd.model.states import MoveKind, ResourceState, Wanted
from clusterd.sim import SimCluster, SimSettings
from clusterd.sim.host import Dials

OTHER: Properties = {"unit": "other"}


def web(live: tuple[str, ...] = ()) -> SimCluster:
    cluster = SimCluster(SimSettings(seed=5))
    cluster.start()
    cluster.run_for(3000)
    cluster.add_group("web", {"data": "", "server": "[data]"}, preferred=("n1", "n2"), live=live)
    assert cluster.run_until(lambda: cluster.is_online("web", on="n1"))
    cluster.run_for(500)
    return cluster


def record(cluster: SimCluster, name: str) -> ResourceRecord:
    found = cluster.view().resource(name)
    assert found is not None
    return found


def change(cluster: SimCluster, name: str, private: Properties) -> None:
    after = replace(record(cluster, name), private=private)
    cluster.commit(lambda draft: draft.put(after))
    cluster.run_for(500)


def said(cluster: SimCluster, name: str) -> str:
    report = cluster.view().report("web")
    assert report is not None
    return next(each.ran_as for each in report.resources if key_of(each.name) == name)


def fail(cluster: SimCluster, name: str) -> None:
    guard = cluster.machines[cluster.names[0]].guard
    assert guard is not None and guard.hosts["shared"].fail_workload(name)


def reports(cluster: SimCluster) -> int:
    return cluster.view().revision_of("report/web")


def test_what_runs_is_named_as_its_record_was_when_it_came_online() -> None:
    cluster = web()
    before = ran_as(record(cluster, "data"))
    assert said(cluster, "data") == before
    at = reports(cluster)
    change(cluster, "data", OTHER)
    assert said(cluster, "data") == before
    told = reports(cluster)
    assert told > at, "its owner says what is in force beside what was changed"
    cluster.run_for(5000)
    assert reports(cluster) == told, "and says it once"


def test_what_is_restarted_is_named_as_it_is_now() -> None:
    cluster = web()
    change(cluster, "data", OTHER)
    fail(cluster, "data")
    assert cluster.run_until(lambda: cluster.is_online("web", on="n1") and bool(cluster.ledger.running("data")))
    cluster.run_for(2000)
    assert said(cluster, "data") == ran_as(record(cluster, "data"))


def test_a_restarted_daemon_knows_what_runs() -> None:
    cluster = web()
    before = said(cluster, "data")
    change(cluster, "data", OTHER)
    machine = cluster.machines[cluster.names[0]]
    machine.kill_daemon()
    machine.start()
    cluster.run_for(5000)
    assert cluster.is_online("web", on="n1")
    assert said(cluster, "data") == before != ran_as(record(cluster, "data"))


def test_what_never_came_online_is_named_as_well() -> None:
    cluster = web()
    wanted_not = replace(record(cluster, "server"), wanted=Wanted.OFFLINE)
    cluster.commit(lambda draft: draft.put(wanted_not))
    cluster.run_for(500)
    assert cluster.resource_states("web")["server"] is ResourceState.OFFLINE
    change(cluster, "server", OTHER)
    assert said(cluster, "server") == ran_as(record(cluster, "server"))


def migrated_while(change_ms: int) -> SimCluster:
    """It moves live to n2, and its machine's record changes that long after the move was ordered."""
    cluster = web(live=("data", "server"))
    cluster.dials["server"] = Dials(migrate_ms=1000)
    group = cluster.view().group("web")
    assert group is not None
    move = MoveRequest("m1", NodeId("n2"), kind=MoveKind.LIVE)
    cluster.commit(lambda draft: draft.put(replace(group, move=move)))
    cluster.run_for(change_ms)
    change(cluster, "server", OTHER)
    assert cluster.run_until(lambda: cluster.is_online("web", on="n2"))
    cluster.run_for(1000)
    assert cluster.ledger.went_on
    return cluster


def test_what_arrived_live_is_named_as_it_was_prepared() -> None:
    cluster = migrated_while(5000)
    assert said(cluster, "data") == ran_as(record(cluster, "data"))
    assert said(cluster, "server") == ran_as(replace(record(cluster, "server"), private={}))


def test_what_was_changed_on_its_way_is_not_known() -> None:
    cluster = migrated_while(300)
    assert said(cluster, "data") == ran_as(record(cluster, "data"))
    assert said(cluster, "server") == ""


def test_nothing_is_said_anew_of_a_group_that_is_not_wanted() -> None:
    cluster = web()
    group = cluster.view().group("web")
    assert group is not None
    cluster.commit(lambda draft: draft.put(replace(group, wanted=Wanted.OFFLINE)))
    cluster.run_for(2000)
    at = reports(cluster)
    change(cluster, "data", OTHER)
    assert reports(cluster) == at
    cluster.commit(lambda draft: draft.put(replace(group, start_id="again")))
    assert cluster.run_until(lambda: cluster.is_online("web"))
    cluster.run_for(500)
    assert said(cluster, "data") == ran_as(record(cluster, "data"))
