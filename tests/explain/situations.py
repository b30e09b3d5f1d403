"""Situations of a group, each made from the same healthy one by changing what was committed about it."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "api"))

from pretend_cluster import WALL_MS, PretendCluster, service

from clusterd.database import Draft
from clusterd.model.ids import Incarnation, NodeId, ResourceId
from clusterd.model.records import (
    Candidate,
    Decision,
    FailoverStamp,
    Maintenance,
    MoveRequest,
    NodeRun,
    PauseRequest,
    RestartStamp,
    ResumeRequest,
    Step,
)
from clusterd.model.states import (
    DecisionCode,
    FailbackMode,
    GroupStatus,
    MembershipState,
    NextAction,
    Order,
    ReleaseCause,
    ResourceState,
    Wanted,
)

NOW_MS = 600_000
"""The cluster's own clock in every situation."""
CANDIDATES = (
    Candidate(NodeId("n1"), False, "it is down"),
    Candidate(NodeId("n2"), False, "web-server may not run there (possible owners: n1)"),
    Candidate(NodeId("n3"), False, "it is paused"),
)
LIMIT_REACHED = DecisionCode.LIMIT_REACHED
_FAILED: dict[str, Any] = {"state": ResourceState.FAILED, "cause": "exit code 1"}
_OFFLINE: dict[str, Any] = {"state": ResourceState.OFFLINE, "cause": "", "pid": 0}

Situation = Callable[[PretendCluster], None]
SITUATIONS: dict[str, Situation] = {}


def healthy() -> PretendCluster:
    """Group web on n1, which prefers n1 and then n2: web-data, and web-server that needs it."""
    cluster = PretendCluster()
    cluster.cluster_ms = NOW_MS
    cluster.wall_ms = WALL_MS + NOW_MS
    cluster.add_group("web", service("web-data", "web"), service("web-server", "web", "[web-data]"))
    group(cluster, preferred_owners=(NodeId("n1"), NodeId("n2")))
    cluster.act()
    return cluster


def situation(make: Situation) -> Situation:
    SITUATIONS[make.__name__.replace("_", "-")] = make
    return make


# ---- ways to change what is committed ----


def group(cluster: PretendCluster, **changed: Any) -> None:
    record = cluster.view().group("web")
    assert record is not None
    cluster.write(Draft(cluster.view()).put(replace(record, **changed)))


def assignment(cluster: PretendCluster, **changed: Any) -> None:
    record = cluster.view().assignment("web")
    assert record is not None
    cluster.write(Draft(cluster.view()).put(replace(record, **changed)))


def report(cluster: PretendCluster, **changed: Any) -> None:
    record = cluster.view().report("web")
    assert record is not None
    cluster.write(Draft(cluster.view()).put(replace(record, **changed)))


def node(cluster: PretendCluster, name: str, **changed: Any) -> None:
    record = cluster.view().node(name)
    assert record is not None
    cluster.write(Draft(cluster.view()).put(replace(record, **changed)))


def both(cluster: PretendCluster, **changed: Any) -> None:
    for name in ("web-data", "web-server"):
        cluster.report("web", name, **changed)


def nowhere(cluster: PretendCluster, status: GroupStatus, text: str, **changed: Any) -> None:
    """No node has it."""
    because = Decision("placement: no node can take it", text, (Step(WALL_MS, text),), CANDIDATES)
    assignment(
        cluster,
        owner=NodeId(""),
        incarnation=Incarnation(""),
        order=Order.HOLD,
        because=because,
        status=(status,),
        **changed,
    )


def held(cluster: PretendCluster, status: GroupStatus, text: str, **changed: Any) -> None:
    """Its owner keeps it offline until something happens."""
    because = Decision(f"start: {status}", text, (Step(WALL_MS, text),))
    assignment(cluster, order=Order.HOLD, because=because, status=(status,), **changed)
    both(cluster, **_OFFLINE)


def on_second_choice(cluster: PretendCluster, *, auto_failback: bool = True, **changed: Any) -> None:
    """Online on n2, although it prefers n1."""
    text = "web goes to n2: its owner n1 was lost"
    steps = (
        Step(WALL_MS, "last heartbeat of n1 reached n3"),
        Step(
            WALL_MS + 2100, "suspected by n3: a majority of the voters has not exchanged heartbeats with it for 2100 ms"
        ),
        Step(WALL_MS + 2101, "expelled: no voter acknowledges it any more, so its run lease cannot be renewed"),
        Step(WALL_MS + 2180, "evidence (fenced): the lab confirmed that run 17 of n1 ended"),
        Step(WALL_MS + 2190, "n3 (leader of term 7) gave it to n2"),
    )
    done = (
        Step(WALL_MS + 2200, "n2 brings web-data online", resource=ResourceId("web-data")),
        Step(WALL_MS + 2350, "web-data online after 150 ms", resource=ResourceId("web-data")),
    )
    candidates = (
        Candidate(NodeId("n2"), True, "the next preferred owner"),
        Candidate(NodeId("n1"), False, "it is down"),
    )
    assignment(
        cluster,
        owner=NodeId("n2"),
        incarnation=Incarnation("n2-i1"),
        generation=2,
        because=Decision("placement: its node was lost", text, steps, candidates),
        last_owner=NodeId("n1"),
        **changed,
    )
    report(cluster, node=NodeId("n2"), incarnation=Incarnation("n2-i1"), generation=2, was_online=True, steps=done)
    properties = {"auto_failback_type": "allow"} if auto_failback else {}
    group(cluster, properties=properties)


# ---- the situations ----


@situation
def running(cluster: PretendCluster) -> None:
    """Nothing is wrong."""


@situation
def no_quorum(cluster: PretendCluster) -> None:
    cluster.is_quorate = False


@situation
def no_resources(cluster: PretendCluster) -> None:
    draft = Draft(cluster.view()).delete("resource/web-server").delete("resource/web-data")
    cluster.write(draft)


@situation
def stuck(cluster: PretendCluster) -> None:
    assignment(cluster, order=Order.RELEASE, release_cause=ReleaseCause.MOVE, target=NodeId("n3"))
    evidence = "pid 4711 alive since 00:00:01, in uninterruptible sleep on /dev/sdb"
    cluster.report("web", "web-data", **{**_FAILED, "cause": "offline failed"}, evidence=evidence, may_run=True)
    cluster.report("web", "web-server", **_OFFLINE)


@situation
def not_wanted(cluster: PretendCluster) -> None:
    group(cluster, wanted=Wanted.OFFLINE)
    both(cluster, **_OFFLINE)


@situation
def not_wanted_and_stopping(cluster: PretendCluster) -> None:
    group(cluster, wanted=Wanted.OFFLINE)
    cluster.report("web", "web-data", state=ResourceState.ONLINE)
    cluster.report("web", "web-server", state=ResourceState.OFFLINE_PENDING, cause="its group is wanted offline")


@situation
def hands_off(cluster: PretendCluster) -> None:
    group(cluster, maintenance=Maintenance("m-1", "new firmware", WALL_MS, "ann"))
    cluster.report("web", "web-server", **_FAILED)
    report(cluster, is_hands_off=True)


@situation
def owner_unproven(cluster: PretendCluster) -> None:
    cluster.lose("n1", state=MembershipState.EXPELLING)


@situation
def no_node(cluster: PretendCluster) -> None:
    cluster.lose("n1")
    nowhere(cluster, GroupStatus.NO_NODE, "its owner n1 was lost; no node can take it")


@situation
def physical_resources_lacking(cluster: PretendCluster) -> None:
    text = "no node has 4096 MiB free for it"
    nowhere(cluster, GroupStatus.PHYSICAL_RESOURCES_LACKING, text, next_action="start again as soon as a node has room")


@situation
def anti_affinity_conflict(cluster: PretendCluster) -> None:
    nowhere(cluster, GroupStatus.ANTI_AFFINITY_CONFLICT, "every node has a group that it must keep apart from")


@situation
def waiting_to_start(cluster: PretendCluster) -> None:
    text = "32 groups start on n1 already"
    held(cluster, GroupStatus.WAITING_TO_START, text, next_action="start", next_action_cluster_ms=NOW_MS + 5000)


@situation
def waiting_for_dependencies(cluster: PretendCluster) -> None:
    held(cluster, GroupStatus.WAITING_FOR_DEPENDENCIES, "it waits for the group set storage, which is not ready")


@situation
def waiting_for_node(cluster: PretendCluster) -> None:
    cluster.lose("n1")
    because = Decision("cold start: wait for a node", "cold start: it waits for n1 (it is down)")
    assignment(
        cluster,
        because=because,
        status=(GroupStatus.WAITING_FOR_NODE,),
        next_action="start elsewhere",
        next_action_cluster_ms=NOW_MS + 90_000,
    )


@situation
def preempted(cluster: PretendCluster) -> None:
    nowhere(cluster, GroupStatus.PREEMPTED, "it made room for db on n1, which is more important")


@situation
def no_auto_start(cluster: PretendCluster) -> None:
    held(cluster, GroupStatus.NO_AUTO_START, "its priority says that it is never started by itself")


@situation
def leaving(cluster: PretendCluster) -> None:
    because = Decision("move", "an operator asked for it", (Step(WALL_MS, "an operator asked to move web to n3"),))
    assignment(cluster, order=Order.RELEASE, release_cause=ReleaseCause.MOVE, target=NodeId("n3"), because=because)
    both(cluster, state=ResourceState.OFFLINE_PENDING, cause="its group leaves n1")


@situation
def coming_online(cluster: PretendCluster) -> None:
    cluster.report("web", "web-data", state=ResourceState.ONLINE_PENDING, cause="")
    cluster.report("web", "web-server", **_OFFLINE)


@situation
def restarted_soon(cluster: PretendCluster) -> None:
    stamps = tuple(RestartStamp(NOW_MS - ago_ms, NodeId("n1")) for ago_ms in (500_000, 90_000))
    group(cluster, properties={})
    cluster.report(
        "web",
        "web-data",
        **_FAILED,
        restarts=stamps,
        next_action=NextAction.RESTART,
        next_action_cluster_ms=NOW_MS + 500,
    )
    cluster.report("web", "web-server", **_OFFLINE)


@situation
def failed_for_good(cluster: PretendCluster) -> None:
    cluster.report("web", "web-data", **_FAILED)
    cluster.report("web", "web-server", **_OFFLINE)


@situation
def ended_by_itself(cluster: PretendCluster) -> None:
    never = {"next_action": NextAction.REST, "next_action_cluster_ms": 1 << 53}
    cluster.report("web", "web-server", **{**_OFFLINE, "cause": "it ended by itself, which is no failure"}, **never)


@situation
def failovers_used_up(cluster: PretendCluster) -> None:
    text = "web-data: exit code 1; 2 of 2 failovers are used up"
    stamps = tuple(
        FailoverStamp(NOW_MS - ago, cluster.view().resources()[0].name, NodeId("n2")) for ago in (400_000, 60_000)
    )
    candidates = (Candidate(NodeId("n2"), True, "it has 0 groups"), Candidate(NodeId("n3"), False, "it is down"))
    because = Decision(
        "failover: given up, its limit is reached", text, (Step(WALL_MS, text),), candidates, LIMIT_REACHED
    )
    assignment(cluster, because=because, failovers=stamps, blocked_until_cluster_ms=NOW_MS)
    cluster.report(
        "web", "web-data", **_FAILED, next_action=NextAction.RETRY, next_action_cluster_ms=NOW_MS + 3_000_000
    )
    cluster.report("web", "web-server", **_OFFLINE)


@situation
def online_again_after_it_was_given_up(cluster: PretendCluster) -> None:
    text = "web-data: exit code 1; 2 of 2 failovers are used up"
    steps = (Step(WALL_MS, text),)
    because = Decision("failover: given up, its limit is reached", text, steps, code=LIMIT_REACHED)
    assignment(cluster, because=because)


@situation
def provider_taken_offline_while_wanted(cluster: PretendCluster) -> None:
    cluster.report("web", "web-data", **{**_OFFLINE, "cause": "not started yet"})
    cluster.report("web", "web-server", **_OFFLINE)


@situation
def a_move_waits_in_the_queue(cluster: PretendCluster) -> None:
    group(cluster, move=MoveRequest("m-9", NodeId("n3"), WALL_MS + 5000, "ann", is_queued=True))
    because = Decision(
        "move: queued", "the move to n3 waits: it is paused", (Step(WALL_MS + 5001, "ann asked for it"),)
    )
    assignment(
        cluster,
        because=because,
        status=(GroupStatus.WAITING_IN_QUEUE_FOR_MOVE,),
        move_id="m-9",
        next_action="move as soon as nothing forbids it",
    )


@situation
def hands_off_waits_for_a_restart(cluster: PretendCluster) -> None:
    group(cluster, maintenance=Maintenance("m-1", "new firmware", WALL_MS, "ann"))
    cluster.report("web", "web-data", state=ResourceState.ONLINE_PENDING, cause="it is restarted")
    cluster.report("web", "web-server", **_OFFLINE)


# ---- why it did not move back ----


@situation
def stays_since_failback_is_prevented(cluster: PretendCluster) -> None:
    on_second_choice(cluster, auto_failback=False)


@situation
def stays_since_the_home_is_down(cluster: PretendCluster) -> None:
    on_second_choice(cluster)
    cluster.lose("n1")


@situation
def stays_since_the_home_was_active_already(cluster: PretendCluster) -> None:
    on_second_choice(cluster, passed_over=(NodeRun(NodeId("n1"), Incarnation("n1-i1")),))


@situation
def stays_since_the_home_is_paused(cluster: PretendCluster) -> None:
    on_second_choice(cluster)
    node(cluster, "n1", pause=PauseRequest("p-1"))


@situation
def stays_since_it_is_locked(cluster: PretendCluster) -> None:
    on_second_choice(cluster)
    group(cluster, properties={"auto_failback_type": "allow", "locked_from_moving": True})


@situation
def goes_back_in_its_window(cluster: PretendCluster) -> None:
    on_second_choice(cluster)
    window = {"failback_window_start": 22, "failback_window_end": 6}
    cluster.wall_ms = WALL_MS + 12 * 3_600_000
    group(cluster, properties={"auto_failback_type": "allow", **window})


@situation
def goes_back_now(cluster: PretendCluster) -> None:
    on_second_choice(cluster)


@situation
def drained_and_still_paused(cluster: PretendCluster) -> None:
    on_second_choice(cluster, drained_from=NodeId("n1"))
    node(cluster, "n1", pause=PauseRequest("p-1", is_drain=True))


@situation
def drained_and_resumed(cluster: PretendCluster) -> None:
    on_second_choice(cluster, drained_from=NodeId("n1"))
    node(cluster, "n1", resume=ResumeRequest("r-1", FailbackMode.IMMEDIATE))
