"""Are nodes taken out of use and back as asked, and is everything refused that a rule forbids, with its name?"""

from dataclasses import replace

import pytest
from aiohttp.test_utils import TestClient
from asking import apply, get, post
from pretend_cluster import PretendCluster

from clusterd.database import Draft
from clusterd.model.drains import DrainFailure, DrainRecord
from clusterd.model.ids import GroupId, NodeId
from clusterd.model.records import Maintenance, NodeRun, PauseRequest
from clusterd.model.states import DrainState, FailbackMode, MembershipState, Order, ReleaseCause


async def node(client: TestClient, name: str) -> dict:
    return (await get(client, f"/v1/nodes/{name}"))["nodes"][0]


async def test_a_pause_stands_until_it_is_resumed(client: TestClient, cluster: PretendCluster) -> None:
    found = await post(client, "/v1/nodes/N1/pause")
    assert (found["http"], found["changed"], found["wait_for"]) == (200, True, ["node n1 paused"])
    assert (await post(client, "/v1/wait", {"for": "node n1 paused"}))["reached"] is True
    assert (await post(client, "/v1/wait", {"for": "node n1 up", "timeout_ms": 0}))["reached"] is False
    shown = await node(client, "n1")
    assert (shown["state"], shown["status"], shown["paused"]["by"]) == ("paused", [], "an operator")
    again = await post(client, "/v1/nodes/n1/pause")
    assert (again["changed"], again["notes"]) == (False, ["n1 is paused already: it is paused"])
    found = await post(client, "/v1/nodes/n1/resume", {"failback": "policy"})
    assert found["wait_for"] == ["node n1 resumed"]
    record = cluster.view().node("n1")
    assert record.pause is None
    assert record.resume.failback is FailbackMode.POLICY
    assert (await node(client, "n1"))["state"] == "up"
    again = await post(client, "/v1/nodes/n1/resume")
    assert (again["changed"], again["notes"]) == (False, ["n1 is not paused"])


async def test_a_pause_is_told_and_is_no_problem(client: TestClient, cluster: PretendCluster) -> None:
    await post(client, "/v1/nodes/n1/pause")
    status = await get(client, "/v1/status")
    assert (status["healthy"], status["problems"]) == (True, [])
    assert status["notices"] == ["node n1 is paused: an operator paused it"]


async def test_pausing_the_last_node_is_allowed_and_said(client: TestClient, cluster: PretendCluster) -> None:
    for name in ("n1", "n2"):
        assert (await post(client, f"/v1/nodes/{name}/pause"))["notes"] == []
    found = await post(client, "/v1/nodes/n3/pause")
    assert found["changed"] is True
    assert "no group can start or move anywhere" in found["notes"][0]


async def test_a_drain_empties_the_node(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    body = {"target": "n3", "retry": True}
    found = await post(client, "/v1/nodes/n1/drain", body, headers={"Request-Id": "drain-001"})
    assert found["wait_for"] == ["node n1 drained by drain-001"]
    assert found["changes"][0]["details"] == ["drain to n3: web"]
    record = cluster.view().node("n1")
    assert (record.pause.is_drain, record.pause.target, record.pause.is_retried, record.pause.is_forced) == (
        True,
        "n3",
        True,
        False,
    )
    assert (await post(client, "/v1/wait", {"for": found["wait_for"]}))["reached"] is True
    shown = await node(client, "n1")
    assert (shown["state"], shown["status"], shown["groups"]) == ("paused", ["drain-completed"], [])
    assert (shown["drain"]["gone"], shown["drain"]["total"]) == (1, 1)
    assert shown["because"] == "an operator paused it; it is drained: its only group has left"
    assert cluster.view().assignment("web").owner == "n3"
    again = await post(client, "/v1/nodes/n1/drain", body, headers={"Request-Id": "drain-001"})
    assert (again["changed"], again["repeated"]) == (True, True)


async def test_a_drain_says_how_far_it_is(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    cluster.change_node("n1", pause=PauseRequest("p1", is_drain=True, asked_by="ann"))
    drain = DrainRecord(NodeId("n1"), "p1", DrainState.IN_PROGRESS, (GroupId("gone"), GroupId("web")))
    cluster.write(Draft(cluster.view()).put(drain))
    shown = await node(client, "n1")
    assert shown["status"] == ["drain-in-progress"]
    assert shown["because"] == "ann paused it; it is being drained: 1 of 2 groups have left"
    assert shown["drain"]["still_here"] == ["web"]
    assert (await post(client, "/v1/wait", {"for": "node n1 drained", "timeout_ms": 0}))["impossible"] is False


async def test_a_failed_drain_names_the_group_and_the_reason(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    cluster.change_node("n1", pause=PauseRequest("p1", is_drain=True, asked_by="ann"))
    failures = (DrainFailure(GroupId("web"), "it is locked from moving"),)
    drain = DrainRecord(NodeId("n1"), "p1", DrainState.FAILED, (GroupId("web"),), failures)
    cluster.write(Draft(cluster.view()).put(drain))
    found = await post(client, "/v1/wait", {"for": "node n1 drained by p1"})
    assert (found["reached"], found["impossible"]) == (False, True)
    assert found["conditions"][0]["now"] == "node n1: its drain failed: web: it is locked from moving"
    status = await get(client, "/v1/status")
    assert "node n1 is paused, drain-failed" in status["problems"][0]
    assert status["notices"] == []  # not told twice
    cluster.change_node("n1", pause=PauseRequest("p1", is_drain=True, is_retried=True))
    assert (await post(client, "/v1/wait", {"for": "node n1 drained", "timeout_ms": 0}))["impossible"] is False


async def test_a_drain_that_was_ended_ends_the_wait(client: TestClient, cluster: PretendCluster) -> None:
    cluster.acts = False
    found = await post(client, "/v1/nodes/n1/drain")
    assert (await post(client, "/v1/nodes/n1/resume"))["changed"] is True
    waited = await post(client, "/v1/wait", {"for": found["wait_for"]})
    assert (waited["reached"], waited["impossible"]) == (False, True)


@pytest.mark.parametrize(
    ("arrange", "body", "rule", "words"),
    [
        ("drain n1", {}, "evacuation-in-progress", "it is about to be drained"),
        ("", {"target": "n1"}, "drain-target-is-itself", "that is the node itself"),
        ("lose n3", {"target": "n3"}, "drain-target-not-up", "n3 is down"),
        ("pause n3", {"target": "n3"}, "drain-target-not-up", "n3 is paused"),
        ("quarantine n3", {"target": "n3"}, "drain-target-quarantined", "n3 is quarantined"),
        ("lose n1", {}, "node-not-up", "it is down"),
        ("maintain n1", {}, "hands-off", "node n1 is in maintenance"),
    ],
)
async def test_drains_that_a_rule_forbids(
    client: TestClient, cluster: PretendCluster, arrange: str, body: dict, rule: str, words: str
) -> None:
    verb, _, name = arrange.partition(" ")
    match verb:
        case "drain":
            cluster.change_node(name, pause=PauseRequest("p1", is_drain=True))
        case "pause":
            cluster.change_node(name, pause=PauseRequest("p1"))
        case "lose":
            cluster.lose(name)
        case "maintain":
            cluster.change_node(name, maintenance=Maintenance("m1"))
        case "quarantine":
            member = cluster.view().membership(name)
            cluster.write(Draft(cluster.view()).put(replace(member, quarantined_until_cluster_ms=99_000)))
    revision = cluster.database.revision
    found = await post(client, "/v1/nodes/n1/drain", body)
    assert (found["http"], found["error"]["code"], found["error"]["rule"]) == (422, "refused", rule)
    assert words in found["error"]["message"]
    assert found["error"]["hint"]
    assert cluster.database.revision == revision


async def test_a_drain_says_what_will_stay(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    await client.patch("/v1/groups/web", json={"properties": {"locked_from_moving": True}})
    found = await post(client, "/v1/nodes/n1/drain", {"force": True})
    assert found["notes"] == [
        "web is locked from moving; to unlock it: clusterctl group set web locked_from_moving=false"
    ]


async def test_a_quarantine_is_shown_and_cleared(client: TestClient, cluster: PretendCluster) -> None:
    member = cluster.view().membership("n3")
    out = replace(member, state=MembershipState.DOWN, quarantined_until_cluster_ms=121_000, exits=(1, 2, 3))
    cluster.write(Draft(cluster.view()).put(out))
    shown = await node(client, "n3")
    assert (shown["state"], shown["status"], shown["quarantined_until"]) == (
        "down",
        ["quarantined"],
        "2026-01-01T00:02:00.000Z",
    )
    assert "lost 3 times within an hour" in shown["because"]
    found = await post(client, "/v1/nodes/n3/clear-quarantine")
    assert found["wait_for"] == ["node n3 trusted"]
    assert (await post(client, "/v1/wait", {"for": found["wait_for"]}))["reached"] is True
    again = await post(client, "/v1/nodes/n3/clear-quarantine")
    assert (again["changed"], again["notes"]) == (False, ["n3 is not quarantined"])


async def test_a_small_cluster_says_why_a_node_is_not_quarantined(client: TestClient, cluster: PretendCluster) -> None:
    member = cluster.view().membership("n3")
    often = replace(member, exits=tuple(cluster.cluster_ms - each for each in (3, 2, 1)))
    cluster.write(Draft(cluster.view()).put(often))
    told = "it was lost 3 times within an hour and is not quarantined: at most a quarter may be, 0 of 3"
    assert (await node(client, "n3"))["not_quarantined_because"] == told
    assert (await get(client, "/v1/explain/node/n3"))["not_quarantined_because"] == told
    assert (await node(client, "n1"))["not_quarantined_because"] == ""


async def test_a_node_whose_guard_is_gone_votes_on(client: TestClient, cluster: PretendCluster) -> None:
    cluster.without_guard.add("n3")
    cluster.lose("n3")
    shown = await node(client, "n3")
    assert (shown["state"], shown["status"], shown["vote"]) == ("down", ["no-guard"], 1)
    assert shown["because"].endswith("; its daemon is there and votes, but its guard is not")
    explained = await get(client, "/v1/explain/node/n3")
    assert explained["next_text"] == "it runs groups again as soon as its guard is back: start the node again"
    assert "node n3 is down, no-guard: " in (await get(client, "/v1/status"))["problems"][0]


async def test_a_stop_without_draining_says_that_others_start_what_was_there(
    client: TestClient, cluster: PretendCluster
) -> None:
    await apply(client)
    draft = Draft(cluster.view())
    record = cluster.view().cluster()
    cluster.write(draft.put(replace(record, properties={**record.properties, "drain_on_shutdown": False})))
    (told,) = (await post(client, "/v1/nodes/n1/stop?plan=1"))["notes"]
    assert "is not moved first" in told and "others start it: web" in told


async def test_the_plan_of_a_stop_says_what_would_follow(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    plan = await post(client, "/v1/nodes/n1/stop?plan=1")
    assert (plan["plan_only"], plan["plan_id"], cluster.told) == (True, None, [])
    assert plan["foresight"]["summary"] == "1 group moves"
    assert plan["notes"] == ["what is on it goes to other nodes first (drain_on_shutdown): web"]


async def test_a_stop_tells_the_daemon_of_that_node(client: TestClient, cluster: PretendCluster) -> None:
    found = await post(client, "/v1/nodes/n3/stop")
    assert (found["wait_for"], cluster.told) == (["node n3 down"], [("n3", "stop")])
    assert "stop.asked" in [each["name"] for each in (await get(client, "/v1/events"))["events"]]
    again = await post(client, "/v1/nodes/n3/stop")
    assert (again["changed"], again["notes"], len(cluster.told)) == (False, ["n3 is down already"], 1)


@pytest.mark.parametrize("verb", ["stop", "fence"])
@pytest.mark.parametrize("reason", ["silent", "down, and not silent for long yet"])
async def test_what_would_cost_the_quorum_is_refused(
    client: TestClient, cluster: PretendCluster, verb: str, reason: str
) -> None:
    if reason == "silent":
        cluster.unreachable.add("n1")
    else:
        cluster.lose("n1")
    found = await post(client, f"/v1/nodes/n3/{verb}")
    assert (found["http"], found["error"]["rule"]) == (422, "quorum")
    assert "1 of 3 votes would be left and 2 are needed" in found["error"]["message"]
    assert cluster.told == []
    assert (await post(client, f"/v1/nodes/n3/{verb}", {"force": True}))["changed"] is True


async def test_without_quorum_only_a_forced_stop_reaches_the_daemon(
    client: TestClient, cluster: PretendCluster
) -> None:
    cluster.acts = False
    cluster.is_quorate = False
    assert (await post(client, "/v1/nodes/n2/stop"))["http"] == 503
    assert cluster.told == []
    found = await post(client, "/v1/nodes/n2/stop", {"force": True})
    assert (found["changed"], cluster.told) == (True, [("n2", "stop")])


async def test_a_fence_names_the_run_that_is_meant(client: TestClient, cluster: PretendCluster) -> None:
    found = await post(client, "/v1/nodes/n3/fence")
    assert (found["wait_for"], cluster.view().node("n3").fence_id) == (["node n3 ended n3-i1"], "n3-i1")
    assert (await post(client, "/v1/wait", {"for": found["wait_for"], "timeout_ms": 0}))["reached"] is False
    assert (await post(client, "/v1/nodes/n3/fence"))["changed"] is False
    cluster.lose("n3")
    assert (await post(client, "/v1/wait", {"for": found["wait_for"]}))["reached"] is True
    assert "n3 runs nothing" in (await post(client, "/v1/nodes/n3/fence"))["notes"][0]


async def test_two_administrators_one_drain(client: TestClient, cluster: PretendCluster) -> None:
    cluster.acts = False
    first = await post(client, "/v1/nodes/n1/drain")
    second = await post(client, "/v1/nodes/n1/drain")
    assert (first["http"], second["http"], second["error"]["rule"]) == (200, 422, "evacuation-in-progress")


async def test_odd_bodies_are_refused(client: TestClient, cluster: PretendCluster) -> None:
    for path, body, word in (
        ("drain", {"force": 1}, "force is true or false"),
        ("drain", {"to": "n2"}, "did you mean"),
        ("resume", {"failback": "now"}, "failback is none, immediate, policy"),
        ("maintenance", {"on": "yes"}, "'on' is true or false"),
        ("maintenance", {"on": True, "reason": "x" * 300}, "at most 200 characters"),
    ):
        found = await post(client, f"/v1/nodes/n1/{path}", body)
        assert found["http"] == 400
        told = found["error"]["message"]
        assert word in told or "there is no 'to'" in told, told


async def test_a_node_that_is_down_is_not_waited_for_as_paused(client: TestClient, cluster: PretendCluster) -> None:
    cluster.lose("n1")
    found = await post(client, "/v1/nodes/n1/pause")
    assert (found["changed"], found["wait_for"]) == (True, [])
    waited = await post(client, "/v1/wait", {"for": "node n1 paused", "timeout_ms": 0})
    assert (waited["reached"], waited["impossible"]) == (False, False)
    assert waited["conditions"][0]["now"].startswith("node n1 is down")


RETURNS = [
    # What of the group that was drained from n1, and what is said of it (empty: it is not waited for).
    ("not begun", {"owner": "n2", "drained_from": "n1"}, "web has not begun to leave n2 yet"),
    (
        "leaving",
        {"owner": "n2", "order": Order.RELEASE, "release_cause": ReleaseCause.FAILBACK, "target": "n1"},
        "web is leaving n2",
    ),
    ("leaving for another reason", {"owner": "n2", "order": Order.RELEASE, "target": "n3"}, ""),
    ("not asked back", {"owner": "n2"}, ""),
    ("back", {"owner": "n1"}, ""),
]


@pytest.mark.parametrize(("name", "decided", "told"), RETURNS, ids=[each[0] for each in RETURNS])
async def test_a_resume_waits_for_what_comes_back(
    client: TestClient, cluster: PretendCluster, name: str, decided: dict, told: str
) -> None:
    await apply(client)
    cluster.acts = False
    drain = DrainRecord(NodeId("n1"), "p1", DrainState.COMPLETED, (GroupId("web"),))
    cluster.write(Draft(cluster.view()).put(drain))
    cluster.decide("web", incarnation=cluster.view().membership(decided["owner"]).incarnation, **decided)
    waited = await post(client, "/v1/wait", {"for": "node n1 resumed", "timeout_ms": 0})
    now = waited["conditions"][0]["now"].partition("; ")[2]
    assert (waited["reached"], now) == (not told, told)


BY_RULE = [
    # name, the group's properties, what else is written, what is told
    ("by its rule", {"auto_failback_type": "allow"}, {}, "web is to go back by its failback rule"),
    ("it may not go back", {}, {}, ""),
    ("its node was active already", {"auto_failback_type": "allow"}, {"passed_over": True}, ""),
    (
        "within its window",
        {"auto_failback_type": "allow"},
        {"hours_until": 0},
        "web is to go back by its failback rule",
    ),
    ("before its window", {"auto_failback_type": "allow"}, {"hours_until": 2}, ""),
    ("locked", {"auto_failback_type": "allow", "locked_from_moving": True}, {}, ""),
]


@pytest.mark.parametrize(("name", "properties", "more", "told"), BY_RULE, ids=[each[0] for each in BY_RULE])
async def test_a_resume_waits_for_what_goes_back_by_rule(
    client: TestClient, cluster: PretendCluster, name: str, properties: dict, more: dict, told: str
) -> None:
    """Nobody asked it back, but its rule takes it home now that its node is there again."""
    await apply(client)
    cluster.acts = False
    view = cluster.view()
    if "hours_until" in more:
        hour = cluster.status().local_minute // 60 + more["hours_until"]
        properties = {**properties, "failback_window_start": hour % 24, "failback_window_end": (hour + 1) % 24}
    group, home, away = view.group("web"), view.membership("n1"), view.membership("n2")
    drain = DrainRecord(NodeId("n1"), "p1", DrainState.COMPLETED, (GroupId("web"),))
    cluster.write(Draft(view).put(drain).put(replace(group, properties=properties)))
    passed_over = (NodeRun(home.node, home.incarnation),) if "passed_over" in more else ()
    cluster.decide("web", owner="n2", incarnation=away.incarnation, generation=2, passed_over=passed_over)
    report = view.report("web")
    cluster.write(
        Draft(view).put(replace(report, node=away.node, incarnation=away.incarnation, generation=2, was_online=True))
    )
    waited = await post(client, "/v1/wait", {"for": "node n1 resumed", "timeout_ms": 0})
    now = waited["conditions"][0]["now"].partition("; ")[2]
    assert (waited["reached"], now) == (not told, told)
