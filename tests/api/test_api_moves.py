"""Are moves asked for, waited for in a queue and taken back, and are those refused that a rule forbids?"""

from dataclasses import replace

import pytest
from aiohttp.test_utils import TestClient
from asking import apply, get, post
from pretend_cluster import PretendCluster

from clusterd.database import Draft
from clusterd.model.ids import GroupId, NodeId, ResourceId
from clusterd.model.records import Decision, PauseRequest, Record, RuleRecord
from clusterd.model.states import DecisionCode, GroupStatus, MoveKind, Order, ReleaseCause, ResourceState, RuleKind

MOVE = "/v1/groups/web/move"
ID = {"Request-Id": "move-0001"}


async def test_a_wish_carries_what_may_be_overridden(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    await post(client, MOVE, {"target": "n2", "queue": True, "ignore_lock": True, "ignore_rules": True}, headers=ID)
    move = cluster.view().group("web").move
    assert (move.id, move.target, move.is_queued, move.ignores_lock, move.ignores_rules) == (
        "move-0001",
        "n2",
        True,
        True,
        True,
    )


async def test_a_wish_carries_its_kind(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    await post(client, MOVE, {"target": "n2", "kind": "turn-off"}, headers=ID)
    assert cluster.view().group("web").move.kind is MoveKind.TURN_OFF
    assert (await post(client, MOVE, {"target": "n2", "kind": "magic"}))["http"] == 400


@pytest.mark.parametrize(
    ("arrange", "body", "rule", "words"),
    [
        ("lock", {"target": "n2"}, "locked-from-moving", "it is locked where it is"),
        ("lock", {"target": "n2", "queue": True}, "locked-from-moving", "it is locked where it is"),
        ("pause n2", {"target": "n2"}, "node-paused", "n2 is paused"),
        ("lose n2", {"target": "n2"}, "node-not-up", "n2 is down"),
        ("quarantine n2", {"target": "n2"}, "node-quarantined", "n2 is quarantined"),
        ("owners n1", {"target": "n2"}, "possible-owners", "n2 is no possible owner of web-data"),
        ("owners n1", {"target": "n2", "queue": True}, "possible-owners", "n2 is no possible owner of web-data"),
        ("pause n2, lose n3", {}, "no-node-fits", "n2: n2 is paused"),
        ("none", {"target": "n2", "kind": "live"}, "live-migration", "cannot migrate live"),
        ("nowhere", {"target": "n2"}, "no-owner", "no node has it: every node is full"),
    ],
)
async def test_moves_that_a_rule_forbids(
    client: TestClient, cluster: PretendCluster, arrange: str, body: dict, rule: str, words: str
) -> None:
    await apply(client)
    for each in arrange.split(", "):
        _arrange(cluster, *each.split(" "))
    revision = cluster.database.revision
    found = await post(client, MOVE, body)
    assert (found["http"], found["error"]["rule"]) == (422, rule)
    assert words in found["error"]["message"]
    assert found["error"]["hint"]
    assert cluster.database.revision == revision


def _arrange(cluster: PretendCluster, verb: str, name: str = "") -> None:
    draft = Draft(cluster.view())
    match verb:
        case "lock":
            draft.put(replace(cluster.view().group("web"), properties={"locked_from_moving": True}))
        case "pause":
            draft.put(replace(cluster.view().node(name), pause=PauseRequest("p1")))
        case "quarantine":
            draft.put(replace(cluster.view().membership(name), quarantined_until_cluster_ms=99_000))
        case "owners":
            draft.put(replace(cluster.view().resource("web-data"), possible_owners=(NodeId(name),)))
        case "nowhere":
            because = Decision("placement: no node can take it", "every node is full")
            cluster.decide("web", owner=NodeId(""), order=Order.HOLD, because=because)
            return
        case "lose":
            cluster.lose(name)
            return
    cluster.write(draft)


@pytest.mark.parametrize(
    ("arrange", "body"),
    [("lock", {"target": "n2", "ignore_lock": True}), ("pause n2", {"target": "n2", "queue": True})],
)
async def test_what_is_overridden_or_waited_for_is_accepted(
    client: TestClient, cluster: PretendCluster, arrange: str, body: dict
) -> None:
    await apply(client)
    cluster.acts = False
    _arrange(cluster, *arrange.split(" "))
    assert (await post(client, MOVE, body))["changed"] is True


async def test_a_move_in_the_queue_is_shown_and_taken_back(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    cluster.acts = False
    await post(client, MOVE, {"target": "n2", "queue": True}, headers=ID)
    because = Decision("move: waits", "the move waits: n2 is full")
    cluster.decide("web", status=(GroupStatus.WAITING_IN_QUEUE_FOR_MOVE,), because=because)
    shown = (await get(client, "/v1/groups/web"))["groups"][0]
    assert (shown["status"], shown["move"]["queued"], shown["move"]["target"]) == (
        ["waiting-in-queue-for-move"],
        True,
        "n2",
    )
    waited = await post(client, "/v1/wait", {"for": "group web moved by move-0001", "timeout_ms": 0})
    assert (waited["impossible"], waited["conditions"][0]["now"]) == (
        False,
        "the move of web waits in the queue: the move waits: n2 is full",
    )
    found = await post(client, MOVE, {"cancel": True})
    assert (found["changed"], cluster.view().group("web").move) == (True, None)
    waited = await post(client, "/v1/wait", {"for": "group web moved by move-0001"})
    assert (waited["impossible"], waited["conditions"][0]["now"]) == (True, "the move of web was cancelled")


async def test_nothing_to_take_back_is_no_change(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    assert (await post(client, MOVE, {"cancel": True}))["notes"] == ["no move of web is waiting"]
    await post(client, MOVE, {"target": "n2"})
    done = await post(client, MOVE, {"cancel": True})
    assert (done["changed"], done["notes"]) == (False, ["no move of web is waiting"])
    assert (await post(client, MOVE, {"cancel": True, "target": "n2"}))["http"] == 400


async def test_a_move_under_way_may_be_taken_back_and_says_what_that_means(
    client: TestClient, cluster: PretendCluster
) -> None:
    await apply(client)
    cluster.acts = False
    await post(client, MOVE, {"target": "n2"}, headers=ID)
    cluster.decide("web", order=Order.RELEASE, release_cause=ReleaseCause.MOVE, move_id="move-0001")
    found = await post(client, MOVE, {"cancel": True})
    assert found["changed"] is True
    assert "it stays only if it has not been given up there yet" in found["notes"][0]


@pytest.mark.parametrize(
    ("code", "owner", "words"),
    [
        (DecisionCode.MOVE_GIVEN_UP, "n1", "n2 is full"),
        (DecisionCode.MIGRATION_GIVEN_UP, "n1", "n2 is full"),
        (DecisionCode.RETURNED, "n1", "it is back on n1"),
        (DecisionCode.UNSAID, "n3", "it went to n3 instead"),
    ],
)
async def test_the_end_of_a_move_that_did_not_work_ends_the_wait(
    client: TestClient, cluster: PretendCluster, code: DecisionCode, owner: str, words: str
) -> None:
    await apply(client)
    await post(client, MOVE, {"target": "n2"}, headers=ID)
    because = Decision("whatever it is called", "n2 is full", code=code)
    cluster.decide("web", owner=NodeId(owner), incarnation=f"{owner}-i1", because=because)
    found = await post(client, "/v1/wait", {"for": "group web moved by move-0001"})
    assert (found["reached"], found["impossible"]) == (False, True)
    assert words in found["conditions"][0]["now"]


async def test_to_stay_where_it_is_after_all_is_a_move_that_worked(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    cluster.acts = False
    await post(client, MOVE, {"target": "n2"})
    cluster.decide("web", order=Order.RELEASE, release_cause=ReleaseCause.MOVE, move_id="another")
    assert (await post(client, MOVE, {"target": "n1"}, headers=ID))["changed"] is True
    cluster.decide("web", order=Order.RUN, move_id="move-0001", because=Decision("move: there already", "it stays"))
    assert (await post(client, "/v1/wait", {"for": "group web moved by move-0001"}))["reached"] is True


async def test_a_group_that_no_node_has_is_offline_and_says_why(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    _arrange(cluster, "nowhere")
    cluster.decide(
        "web",
        status=(GroupStatus.PHYSICAL_RESOURCES_LACKING,),
        last_owner=NodeId("n1"),
        next_action="give it to a node as soon as one can take it",
        waits_since_cluster_ms=500,
    )
    shown = (await get(client, "/v1/groups/web"))["groups"][0]
    assert (shown["state"], shown["wanted"], shown["owner"], shown["last_owner"]) == ("offline", "online", None, "n1")
    assert (shown["status"], shown["because"]) == (["physical-resources-lacking"], "every node is full")
    assert shown["next_action"] == {
        "what": "give it to a node as soon as one can take it",
        "at": None,
        "in_ms": None,
        "overdue_ms": None,
    }
    assert shown["waits_since"] == "2025-12-31T23:59:59.500Z"
    assert [each["state"] for each in shown["resources"]] == [ResourceState.OFFLINE] * 2
    assert (await post(client, "/v1/wait", {"for": "group web nowhere"}))["reached"] is True
    assert "group web is offline, wanted online: every node is full" in (await get(client, "/v1/status"))["problems"]


async def test_what_is_started_by_hand_only_is_as_it_should_be(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    cluster.decide("web", owner=NodeId(""), order=Order.HOLD, status=(GroupStatus.NO_AUTO_START,))
    assert (await post(client, "/v1/wait", {"for": "group web settled"}))["reached"] is True
    status = await get(client, "/v1/status")
    assert (status["healthy"], status["notices"]) == (
        True,
        ["group web is started by hand only: clusterctl group online web"],
    )


async def test_one_of_two_that_belong_together_is_refused_with_the_way_to_move_both(
    client: TestClient, cluster: PretendCluster
) -> None:
    await _two_together(client, cluster)
    found = await post(client, MOVE, {"target": "n2"})
    assert found["http"] == 422 and found["error"]["rule"] == "same-node" and "--with-set" in found["error"]["hint"]
    assert cluster.view().group("web").move is None


async def test_a_move_of_the_set_is_one_wish(client: TestClient, cluster: PretendCluster) -> None:
    await _two_together(client, cluster)
    cluster.acts = False
    await post(client, MOVE, {"target": "n2", "with_set": True}, headers=ID)
    assert {cluster.view().group(name).move.id for name in ("web", "web2")} == {"move-0001"}


async def test_what_a_rule_refuses_later_is_told_as_refused(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    await post(client, MOVE, {"target": "n2"}, headers=ID)
    cluster.decide("web", because=Decision("", "a rule says no", code=DecisionCode.MOVE_GIVEN_UP))
    found = await post(client, "/v1/wait", {"for": "group web moved by move-0001"})
    assert found["conditions"][0]["refused"] is True


async def _two_together(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    view, draft, other = cluster.view(), Draft(cluster.view()), GroupId("web2")
    resource, report = view.resources_of("web")[0], view.report("web")
    name = ResourceId("web2-a")
    records: list[Record] = [
        replace(view.group("web"), name=other, id="another"),
        replace(view.assignment("web"), group=other, group_id="another"),
        replace(resource, name=name, group=other, depends_on=""),
        replace(report, group=other, resources=tuple(replace(each, name=name) for each in report.resources[:1])),
        RuleRecord("pair", RuleKind.SAME_NODE, (GroupId("web"), other)),
    ]
    for record in records:
        draft.put(record)
    cluster.write(draft)
