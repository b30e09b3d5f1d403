"""What is foreseen is what then happens: the same cluster, imagined and then simulated."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from imagined import NAMES, commit, drain_node, foreseen, outlook_of, owners_after, owners_now, settled_cluster

from clusterd.database import DatabaseView, Draft
from clusterd.foresight import StepKind, foresee, lose_node
from clusterd.model.ids import NodeId
from clusterd.model.records import GroupRecord, MoveRequest
from clusterd.model.states import Wanted


@dataclass(frozen=True)
class Loss:
    name: str
    groups: dict[str, tuple[str, ...]]
    node: str


LOSSES = [
    Loss("one group with a next preferred owner", {"web": ("n2", "n3")}, "n2"),
    Loss("the next of the list after the lost node", {"web": ("n1", "n2", "n3")}, "n1"),
    Loss("several groups are spread", {f"g{number}": () for number in range(7)}, "n1"),
    Loss("groups elsewhere stay", {"web": ("n1",), "db": ("n2",)}, "n3"),
]


@pytest.mark.parametrize("case", LOSSES, ids=lambda case: case.name)
def test_the_loss_of_a_node_is_foreseen_as_it_then_happens(case: Loss) -> None:
    cluster = settled_cluster(case.groups)
    found = foreseen(cluster, lambda view: lose_node(view, NodeId(case.node), 1))
    assert found.keeps_quorum and found.is_complete and not found.not_running
    assert all(each.kind is StepKind.MOVES and each.source == case.node for each in found.happenings)
    expected = owners_after(cluster, found)
    cluster.kill(case.node)
    cluster.run_for(8000)
    assert owners_now(cluster) == expected


def test_every_step_says_why_and_what_was_said_of_each_node() -> None:
    found = foreseen(settled_cluster({"web": ("n2", "n3")}), lambda view: lose_node(view, NodeId("n2"), 1))
    (step,) = found.happenings
    assert step.text == "web moves from n2 to n3"
    assert "n2 was lost" in step.because
    assert {each.node: each.is_chosen for each in step.candidates} == {"n1": False, "n2": False, "n3": True}


def test_a_move_is_foreseen_as_it_then_happens() -> None:
    cluster = settled_cluster({"web": ("n1",), "db": ("n2",)})

    def change(record: GroupRecord) -> GroupRecord:
        return replace(record, move=MoveRequest("m-1", NodeId("n3")))

    found = foreseen(cluster, lambda view: Draft(view).put(change(view.group("web"))))  # type: ignore[arg-type]
    assert [each.text for each in found.happenings] == ["web moves from n1 to n3"]
    cluster.change_group_soon("web", "n1", change)  # type: ignore[arg-type]
    cluster.run_for(5000)
    assert owners_now(cluster) == owners_after(cluster, found)


def test_a_drain_is_foreseen() -> None:
    cluster = settled_cluster({"web": ("n1",), "db": ("n1", "n3"), "mail": ("n2",)})
    found = foreseen(cluster, lambda view: drain_node(view, "n1"))
    assert {(each.kind, each.group, each.source) for each in found.happenings} == {
        (StepKind.MOVES, "web", "n1"),
        (StepKind.MOVES, "db", "n1"),
    }
    assert not found.not_running
    commit(cluster, lambda view: drain_node(view, "n1"))
    cluster.run_for(8000)
    assert owners_now(cluster) == owners_after(cluster, found)


def test_what_is_taken_offline_stops_and_what_is_put_online_starts() -> None:
    cluster = settled_cluster({"web": ("n1",)})

    def want(wanted: Wanted) -> Callable[[DatabaseView], Draft]:
        def change(view: DatabaseView) -> Draft:
            group = view.group("web")
            assert group is not None
            return Draft(view).put(replace(group, wanted=wanted, start_id=f"start-{wanted}"))

        return change

    found = foreseen(cluster, want(Wanted.OFFLINE))
    assert [(each.text, each.because) for each in found.happenings] == [("web stops on n1", "it is wanted offline")]
    assert not found.not_running, "what is not wanted is not missed"
    cluster.commit(lambda draft: draft.put(replace(cluster.view().group("web"), wanted=Wanted.OFFLINE)))  # type: ignore[type-var]
    cluster.run_for(5000)
    found = foreseen(cluster, want(Wanted.ONLINE))
    assert [each.text for each in found.happenings] == ["web starts on n1"]


def test_a_lost_majority_stops_everything() -> None:
    cluster = settled_cluster({"web": ("n2",), "db": ("n3",)})

    view = cluster.view()
    outlook = replace(outlook_of(view), voters=(NodeId("n1"), NodeId("n2")))
    found = foresee(view, lose_node(view, NodeId("n1"), 1), outlook)
    assert not found.keeps_quorum
    assert {each.group for each in found.happenings} == {"web", "db"}
    assert all(each.kind is StepKind.STOPS for each in found.happenings)
    assert {each.reason for each in found.not_running} == {"without quorum nothing runs"}


def test_a_group_that_no_other_node_may_run_is_named_with_the_reasons() -> None:
    cluster = settled_cluster({"web": ("n2",)})
    for name in ("web-a", "web-b"):
        record = cluster.view().resource(name)
        assert record is not None
        cluster.commit(lambda draft, record=record: draft.put(replace(record, possible_owners=(NodeId("n2"),))))
    cluster.run_for(2000)
    found = foreseen(cluster, lambda view: lose_node(view, NodeId("n2"), 1))
    (left,) = found.not_running
    assert (left.group, left.was_running) == ("web", True)
    assert {each.node for each in left.candidates} == set(NAMES)
    assert all(each.reason for each in left.candidates)


def test_what_only_time_brings_is_foreseen_with_its_moment() -> None:
    cluster = settled_cluster({"web": ("n2", "n3")})
    web = cluster.view().group("web")
    assert web is not None
    cluster.commit(lambda draft: draft.put(replace(web, properties={"group_start_delay": 45_000})))
    found = foreseen(cluster, lambda view: lose_node(view, NodeId("n2"), 1))
    assert [(each.text, each.after_ms) for each in found.happenings][-1] == ("web moves from n2 to n3", 45_000)
    view = cluster.view()
    soon = foresee(view, lose_node(view, NodeId("n2"), 1), outlook_of(view), horizon_ms=1000)
    assert soon.is_complete
    (left,) = soon.not_running
    assert (left.group, left.status) == ("web", ("waiting-to-start",))


def test_a_drain_that_something_cannot_follow_is_foreseen_to_fail() -> None:
    cluster = settled_cluster({"web": ("n1",), "db": ("n1",)})

    def change(record: GroupRecord) -> GroupRecord:
        return replace(record, properties={**record.properties, "locked_from_moving": True})

    cluster.change_group_soon("db", "n1", change)  # type: ignore[arg-type]
    cluster.run_for(500)
    found = foreseen(cluster, lambda view: drain_node(view, "n1"))
    stays = {each.group: each.because for each in found.happenings if each.kind is StepKind.STAYS}
    assert set(stays) == {"db"}
    assert stays["db"].startswith("the drain of n1 would fail: ")
    assert [each.group for each in found.happenings if each.kind is StepKind.MOVES] == ["web"]
