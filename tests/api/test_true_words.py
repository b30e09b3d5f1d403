"""Each sentence that was once untrue, in the case in which it was."""

import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from pretend_cluster import PretendCluster, service

from clusterd.api.explain import explain_group, explain_node
from clusterd.api.finding import observe
from clusterd.api.foreseeing import summary_of
from clusterd.api.group_views import next_action, planned_text
from clusterd.api.node_operations import node_resume
from clusterd.api.plans import Asked
from clusterd.database import Draft
from clusterd.foresight import Foresight, lose_node
from clusterd.model.ids import NodeId
from clusterd.model.records import FenceRecord, PauseRequest
from clusterd.model.states import EvidenceKind, FailbackMode, GroupState, MembershipState, NextAction, ResourceState


def cluster_with_web() -> PretendCluster:
    cluster = PretendCluster()
    cluster.cluster_ms = 600_000
    cluster.add_group("web", service("web-server", "web"))
    cluster.act()
    return cluster


def test_a_quarantined_node_does_not_rejoin_when_it_starts() -> None:
    cluster = cluster_with_web()
    member = replace(cluster.view().membership("n3"), state=MembershipState.DOWN, quarantined_until_cluster_ms=900_000)
    cluster.write(Draft(cluster.view()).put(member))
    told = explain_node(cluster.view(), cluster.status(), "n3")["next_text"]
    assert told.startswith("nothing: it stays out until 2026-") and "clear-quarantine n3" in told


def test_an_owner_that_was_never_heard_leaves_its_groups_unknown() -> None:
    cluster = cluster_with_web()
    assert observe(cluster.view(), cluster.status(), "web").state is GroupState.ONLINE
    status = cluster.status()
    peers = tuple(
        replace(each, is_reachable=False, heartbeat_age_ms=None) if each.node == "n1" else each for each in status.peers
    )
    found = observe(cluster.view(), replace(status, peers=peers), "web")
    assert (found.owner, found.state) == ("n1", GroupState.UNKNOWN)
    assert "was not heard since this node started" in found.resources[0].cause


def test_a_step_that_is_overdue_is_not_told_as_to_come() -> None:
    cluster = cluster_with_web()
    told = {}
    for at_ms in (603_200, 600_000, 588_000, 0):
        report = cluster.view().report("web")
        failed = replace(
            report.resources[0],
            state=ResourceState.FAILED,
            next_action=NextAction.RESTART,
            next_action_cluster_ms=at_ms,
        )
        cluster.write(Draft(cluster.view()).put(replace(report, resources=(failed,))))
        step = next_action(observe(cluster.view(), cluster.status(), "web"), cluster.status())
        told[at_ms] = (planned_text(step), step["in_ms"], step["overdue_ms"], step["at"] is None)
        assert explain_group(cluster.view(), cluster.status(), "web")["next_text"] == told[at_ms][0]
    assert told == {
        603_200: ("restart of web-server in 3.2 s", 3_200, 0, False),
        600_000: ("restart of web-server now", 0, 0, False),
        588_000: ("restart of web-server due since 12.0 s", 0, 12_000, False),
        0: ("restart of web-server", None, None, True),
    }


def test_the_time_of_day_of_a_failback_window_is_the_leaders() -> None:
    status = replace(PretendCluster().status(), wall_ms=1_767_225_600_000)  # midnight, UTC
    assert [replace(status, local_offset_ms=hours * 3_600_000).local_minute // 60 for hours in (0, 2, -3)] == [0, 2, 21]


def test_a_resume_without_failback_names_what_comes_back_by_its_own_rule() -> None:
    cluster = cluster_with_web()
    for mode, properties, is_named in (
        (FailbackMode.NONE, {"auto_failback_type": "allow"}, True),
        (FailbackMode.NONE, {}, False),
        (FailbackMode.POLICY, {"auto_failback_type": "allow"}, False),
    ):
        view = cluster.view()
        group = replace(view.group("web"), properties=properties, preferred_owners=(NodeId("n1"),))
        node = replace(view.node("n1"), pause=PauseRequest("p1", is_drain=True))
        away = view.membership("n2")
        cluster.write(Draft(view).put(group).put(node))
        cluster.decide("web", owner="n2", incarnation=away.incarnation, generation=3)
        plan = node_resume("n1", mode)(cluster.view(), Asked("r1", "ann", cluster.status()))
        assert any("web goes back to n1 all the same" in each for each in plan.notes) == is_named


def test_what_if_names_the_evidence_that_there_would_be() -> None:
    cluster = cluster_with_web()

    def evidence() -> EvidenceKind:
        view = cluster.view()
        future = view.fork()
        transaction = lose_node(view, NodeId("n1"), 5).build("")
        future.database.apply(transaction, future.database.revision + 1)
        return future.membership("n1").evidence.kind

    assert evidence() is EvidenceKind.EXPIRED
    cluster.write(Draft(cluster.view()).put(FenceRecord("rack", "lab", (NodeId("n1"),))))
    assert evidence() is EvidenceKind.FENCED


def test_a_loss_of_the_quorum_where_nothing_runs_stops_nothing() -> None:
    nothing = Foresight((), (), keeps_quorum=False)
    assert (
        summary_of(nothing) == "too few votes would be left: no group runs that could stop, and nothing can be changed"
    )
