"""Plans, and what-if: what would follow is told, nothing is changed, and a plan is applied only while it still holds."""

from dataclasses import replace

from aiohttp.test_utils import TestClient
from asking import apply, get, post
from pretend_cluster import PretendCluster

from clusterd.api.kept_plans import PLAN_LIFE_MS, PLANS_KEPT_MAX
from clusterd.database import Draft
from clusterd.model.ids import NodeId
from clusterd.model.states import MembershipState


async def planned_move(client: TestClient, target: str = "n3") -> dict:
    return await post(client, "/v1/groups/web/move", {"target": target}, params={"plan": "1"})


async def test_a_plan_says_what_would_follow_and_changes_nothing(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    revision, digest = cluster.database.revision, cluster.database.digest
    found = await planned_move(client)
    assert (found["http"], found["changed"], found["plan_only"]) == (200, False, True)
    (step,) = found["foresight"]["happenings"]
    assert (step["kind"], step["source"], step["target"]) == ("moves", "n1", "n3")
    assert {each["node"]: each["is_chosen"] for each in step["candidates"]}["n3"]
    assert (cluster.database.revision, cluster.database.digest) == (revision, digest)


async def test_a_plan_is_applied_by_its_id_once(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    plan_id = (await planned_move(client))["plan_id"]
    done = await post(client, f"/v1/plans/{plan_id}")
    assert (done["http"], done["changed"], done["request_id"]) == (200, True, plan_id)
    assert done["wait_for"] == [f"group web moved by {plan_id}"]
    assignment = cluster.view().assignment("web")
    assert assignment is not None and (assignment.owner, assignment.move_id) == ("n3", plan_id)
    revision = cluster.database.revision
    again = await post(client, f"/v1/plans/{plan_id}")
    assert (again["http"], again["changed"], cluster.database.revision) == (200, False, revision)
    shown = await get(client, f"/v1/plans/{plan_id}")
    assert shown["applied"] and shown["changes"]


async def test_a_plan_that_something_overtook_is_refused_with_what_is_newer(
    client: TestClient, cluster: PretendCluster
) -> None:
    await apply(client)
    plan = await planned_move(client)
    cluster.lose("n2", state=MembershipState.EXPELLING)
    found = await post(client, f"/v1/plans/{plan['plan_id']}")
    assert (found["http"], found["error"]["code"]) == (409, "conflict")
    assert f"membership/n2 changed at {cluster.database.revision}" in found["error"]["message"]
    group = cluster.view().group("web")
    assert group is not None and group.move is None


async def test_what_owners_merely_report_does_not_make_a_plan_old(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    plan_id = (await planned_move(client))["plan_id"]
    cluster.report("web", "web-server", pid=4712)
    cluster.event("something happened")
    assert (await post(client, f"/v1/plans/{plan_id}"))["changed"]


async def test_what_changes_between_the_check_and_the_commit_is_a_conflict(
    client: TestClient, cluster: PretendCluster
) -> None:
    await apply(client)
    plan_id = (await planned_move(client))["plan_id"]
    cluster.conflicts_left = 1
    found = await post(client, f"/v1/plans/{plan_id}")
    assert (found["http"], found["error"]["code"]) == (409, "conflict")


async def test_plans_are_forgotten_after_an_hour_and_when_there_are_too_many(
    client: TestClient, cluster: PretendCluster
) -> None:
    await apply(client)
    first = (await planned_move(client))["plan_id"]
    for _ in range(PLANS_KEPT_MAX):
        last = (await planned_move(client))["plan_id"]
    found = await post(client, f"/v1/plans/{first}")
    assert (found["http"], found["error"]["code"]) == (404, "not-found")
    assert "--plan" in found["error"]["hint"]
    assert (await get(client, f"/v1/plans/{last}"))["http"] == 200
    cluster.cluster_ms += PLAN_LIFE_MS + 1
    assert (await get(client, f"/v1/plans/{last}"))["http"] == 404


async def test_a_plan_that_changes_nothing_has_no_id(client: TestClient) -> None:
    await apply(client)
    found = await planned_move(client, "n1")
    assert (found["plan_id"], found["foresight"], found["changes"]) == (None, None, [])


async def test_what_if_a_node_is_lost(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    digest = cluster.database.digest
    found = await get(client, "/v1/what-if", change="node n1 down")
    assert found["keeps_quorum"] and found["complete"]
    assert [each["text"] for each in found["happenings"]] == ["web moves from n1 to n2"]
    assert found["summary"] == "1 group moves"
    assert found["as_of"]["node"] == "n2"
    assert cluster.database.digest == digest


async def test_what_if_the_majority_is_lost(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    cluster.lose("n3")
    found = await get(client, "/v1/what-if", change="node n1 down")
    assert not found["keeps_quorum"]
    assert [each["kind"] for each in found["happenings"]] == ["stops"]


async def test_what_if_in_other_words(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    cases = {
        "drain n1": [("moves", "n2")],
        "node n1 drain": [("moves", "n2")],
        "group web move n3": [("moves", "n3")],
        "group web offline": [("stops", None)],
        "resource web-server offline": [],
        "node n3 down": [],
    }
    told = {}
    for change in cases:
        found = await get(client, "/v1/what-if", change=change)
        told[change] = [(each["kind"], each["target"]) for each in found["happenings"]]
    assert told == cases
    cluster.lose("n3")
    assert (await get(client, "/v1/what-if", change="node n3 down"))["notes"] == ["n3 is down already"]


async def test_what_if_refuses_what_makes_no_sense(client: TestClient) -> None:
    await apply(client)
    for change, code in {
        "": "bad-input",
        "node n1 sideways": "bad-input",
        "node n9 down": "not-found",
        "group nothing offline": "not-found",
        "x " * 600: "bad-input",
    }.items():
        found = await get(client, "/v1/what-if", change=change)
        assert (found["error"]["code"], found["error"]["hint"] != "") == (code, True), change


async def test_capacity_says_what_would_be_stranded(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    found = await get(client, "/v1/capacity", failures="1")
    assert (found["enough"], found["failures"]) == (True, 1)
    assert [each["name"] for each in found["nodes"]] == ["n1", "n2", "n3"]
    assert found["votes"]["text"] == "2 of 3 votes would be left at least, and 2 are needed"
    found = await get(client, "/v1/capacity", failures="2")
    assert (found["enough"], found["has_room"], found["votes"]["bearable"]) == (False, True, 1)
    assert found["summary"].startswith("without n1 and n2 the quorum would be lost: 1 of 3 votes would be left")
    draft = Draft(cluster.view())
    for name in ("web-data", "web-server"):
        record = cluster.view().resource(name)
        assert record is not None
        draft.put(replace(record, possible_owners=(NodeId("n1"),)))
    cluster.write(draft)
    found = await get(client, "/v1/capacity", failures="1")
    assert not found["enough"]
    assert [(loss["nodes"], loss["stranded"][0]["group"]) for loss in found["losses"]] == [(["n1"], "web")]
