"""Does every change do what it says, refuse what it should, and tell what to wait for?"""

import asyncio

import pytest
from aiohttp.test_utils import TestClient
from asking import apply, get, post
from pretend_cluster import MANIFEST, PretendCluster, service

from clusterd.api.conditions import parse_condition
from clusterd.database import Draft
from clusterd.model import keys
from clusterd.model.records import ResourceTypeRecord
from clusterd.model.states import ResourceState, Wanted


async def test_apply_creates_and_says_what_to_wait_for(client: TestClient, cluster: PretendCluster) -> None:
    found = await apply(client)
    assert (found["http"], found["changed"]) == (200, True)
    assert [(each["action"], each["kind"], each["name"]) for each in found["changes"]] == [
        ("create", "group", "web"),
        ("create", "resource", "web-data"),
        ("create", "resource", "web-server"),
    ]
    assert found["wait_for"] == ["group web settled"]
    record = cluster.view().resource("web-server")
    assert record is not None
    assert record.depends_on == "[web-data]"
    assert record.properties["restart_period"] == 900_000
    names = [each["name"] for each in (await get(client, "/v1/events"))["events"]]
    assert names == ["configuration.applied"]


async def test_a_plan_changes_nothing(client: TestClient, cluster: PretendCluster) -> None:
    before = cluster.database.revision
    found = await apply(client, plan="1")
    assert (found["changed"], found["plan_only"], len(found["changes"])) == (False, True, 3)
    assert cluster.database.revision == before


async def test_apply_again_changes_only_what_differs(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    found = await apply(client, MANIFEST.replace("threshold: 1", "threshold: 3").replace("[n1, n2]", "[n2]"))
    assert [each["details"] for each in found["changes"]] == [
        ["preferred_owners: [n1, n2] → [n2]"],
        ["restart_threshold: 1 → 3"],
    ]
    assert (await apply(client, MANIFEST.replace('"8081"]', '"8082"]')))["notes"] == [
        "web-server is running: its new properties take effect the next time it comes online"
    ]


async def test_a_refused_manifest_names_every_line_and_stores_nothing(
    client: TestClient, cluster: PretendCluster
) -> None:
    bad = MANIFEST.replace("[n1, n2]", "[n1, n7]").replace("type: generic_script", "type: generic_scrip")
    bad = bad.replace("ready: {tcp: 8081}", "reddy: {tcp: 8081}").replace('"[web-data]"', '"[web-date]"')
    before = cluster.database.revision
    found = await apply(client, bad)
    assert found["http"] == 400
    assert found["error"]["problems"] == [
        {
            "line": 3,
            "path": "groups[0].preferred_owners[1]",
            "message": "there is no node n7: there are n1, n2, n3",
        },
        {
            "line": 6,
            "path": "groups[0].resources[0].type",
            "message": "there is no resource type generic_scrip: did you mean generic_script?",
        },
        {
            "line": 10,
            "path": "groups[0].resources[1].depends_on",
            "message": "web-server depends on web-date, and there is no such resource: did you mean web-data?",
        },
        {
            "line": 14,
            "path": "groups[0].resources[1].properties.reddy",
            "message": "no such property; did you mean ready?",
        },
    ]
    assert cluster.database.revision == before


async def test_a_resource_of_another_group_is_refused(client: TestClient) -> None:
    await apply(client)
    found = await apply(client, MANIFEST.replace("name: web\n", "name: shop\n"))
    assert "web-data is in group web" in found["error"]["message"]


async def test_a_circle_is_refused(client: TestClient) -> None:
    found = await apply(
        client,
        MANIFEST.replace("type: generic_script", 'type: generic_script\n        depends_on: "[web-server]"'),
    )
    assert "dependencies go in a circle: web-data → web-server → web-data" in found["error"]["message"]


async def test_apply_without_prune_keeps_and_with_prune_deletes_what_is_offline(
    client: TestClient, cluster: PretendCluster
) -> None:
    await apply(client)
    other = MANIFEST.replace("web", "shop")
    assert (await apply(client, other))["changed"]
    assert cluster.view().group("web") is not None
    found = await apply(client, other, prune="1")
    assert (found["http"], found["error"]["code"]) == (422, "refused")
    assert found["error"]["hint"] == "first: clusterctl group offline web"
    await post(client, "/v1/groups/web/offline")
    found = await apply(client, other, prune="1")
    assert [(each["action"], each["name"]) for each in found["changes"]] == [("delete", "web")]
    assert cluster.view().group("web") is None and cluster.view().resource("web-data") is None


async def test_a_left_out_resource_is_kept_or_pruned(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    short = MANIFEST[: MANIFEST.index("      - name: web-server")]
    assert (await apply(client, short))["notes"] == [
        "web-server of web is kept although the manifest leaves it out; --prune deletes it"
    ]
    found = await apply(client, short, prune="1")
    assert "web-server is online" in found["error"]["message"]
    await post(client, "/v1/resources/web-server/offline")
    assert [each["name"] for each in (await apply(client, short, prune="1"))["changes"]] == ["web-server"]
    assert cluster.view().resource("web-server") is None


async def test_a_running_resource_gets_no_new_dependency(client: TestClient, cluster: PretendCluster) -> None:
    without = MANIFEST.replace('        depends_on: "[web-data]"\n', "")
    await apply(client, without)
    found = await apply(client)
    assert found["error"]["code"] == "refused"
    assert "clusterctl resource offline web-server" in found["error"]["message"]
    await post(client, "/v1/resources/web-server/offline")
    assert (await apply(client))["changed"]


async def test_lease_times_can_only_be_raised(client: TestClient) -> None:
    text = "cluster:\n  properties: {run_lease: 1s}\n"
    found = await apply(client, text)
    assert found["error"]["problems"][0]["line"] == 2
    assert "a running cluster can only raise it" in found["error"]["message"]
    assert (await apply(client, text.replace("1s", "4s")))["changes"][0]["details"] == ["run_lease: 2s → 4s"]
    response = await client.patch("/v1/cluster", json={"properties": {"same_subnet_delay": 2000}})
    assert "it must be at least 4100 ms" in (await response.json())["error"]["message"]


async def test_group_offline_online_move(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    found = await post(client, "/v1/groups/web/offline")
    assert (found["changed"], found["wait_for"]) == (True, ["group web offline"])
    assert (await post(client, "/v1/groups/web/offline"))["changed"] is False
    await post(client, "/v1/groups/web/online")
    found = await post(client, "/v1/groups/web/move", {"target": "N3"}, headers={"Request-Id": "move-0001"})
    assert found["wait_for"] == ["group web moved by move-0001"]
    assert cluster.view().assignment("web").owner == "n3"
    again = await post(client, "/v1/groups/web/move", {"target": "N3"}, headers={"Request-Id": "move-0001"})
    assert (again["repeated"], again["revision"]) == (True, found["revision"])
    there = await post(client, "/v1/groups/web/move", {"target": "n3"})
    assert there["notes"] == ["web is on n3 already"]
    assert (await post(client, "/v1/groups/web/move"))["changed"]
    assert cluster.view().assignment("web").owner == "n1"


async def test_moves_that_cannot_be_are_refused_with_every_reason(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    found = await post(client, "/v1/groups/web/move", {"target": "n7"})
    assert (found["http"], found["error"]["hint"]) == (404, "there are n1, n2, n3")
    cluster.lose("n3")
    found = await post(client, "/v1/groups/web/move", {"target": "n3"})
    assert (found["http"], found["error"]["message"]) == (422, "web cannot move to n3: n3 is down (rule node-not-up)")
    cluster.lose("n2")
    found = await post(client, "/v1/groups/web/move")
    told = "web cannot move to another node: n2: n2 is down; n3: n3 is down (rule node-not-up)"
    assert (found["error"]["message"], found["error"]["rule"]) == (told, "node-not-up")


async def test_a_resource_goes_offline_and_online_with_what_it_needs(
    client: TestClient, cluster: PretendCluster
) -> None:
    await apply(client)
    found = await post(client, "/v1/resources/web-data/offline")
    assert found["notes"] == ["web-server depends on it and may go offline with it"]
    await post(client, "/v1/groups/web/offline")
    found = await post(client, "/v1/resources/web-server/online")
    assert cluster.view().resource("web-data").wanted is Wanted.ONLINE
    await post(client, "/v1/groups/web/offline")
    await post(client, "/v1/resources/web-data/online")
    assert cluster.view().resource("web-server").wanted is Wanted.OFFLINE
    await post(client, "/v1/groups/web/online")
    assert cluster.view().resource("web-server").wanted is Wanted.ONLINE


async def test_pending_resources_take_no_requests(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    cluster.report("web", "web-server", state=ResourceState.ONLINE_PENDING)
    found = await post(client, "/v1/resources/web-server/offline")
    assert found["error"]["code"] == "refused"
    assert "web-server is between two states" in found["error"]["message"]


async def test_fail_needs_something_online_and_happens_once(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    headers = {"Request-Id": "fail-0001"}
    found = await post(client, "/v1/resources/web-server/fail", headers=headers)
    assert found["wait_for"] == ["resource web-server failed by fail-0001"]
    assert (await post(client, "/v1/resources/web-server/fail", headers=headers))["repeated"] is True
    await post(client, "/v1/groups/web/offline")
    assert (await post(client, "/v1/resources/web-server/fail"))["error"]["code"] == "refused"


async def test_a_failed_group_is_tried_again_by_online(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    cluster.report("web", "web-server", state=ResourceState.FAILED)
    found = await post(client, "/v1/groups/web/online", headers={"Request-Id": "again-001"})
    assert found["changes"][0]["details"] == ["failures and counters are forgotten"]
    assert cluster.view().group("web").reset_id == "again-001"


async def test_groups_and_resources_one_at_a_time(client: TestClient, cluster: PretendCluster) -> None:
    assert (await post(client, "/v1/groups", {"name": "db", "preferred_owners": ["n2"]}))["changed"]
    assert "already" in (await post(client, "/v1/groups", {"name": "DB"}))["error"]["message"]
    body = {"name": "db-server", "group": "db", "type": "Generic_Service", "properties": {"command": ["x"]}}
    assert (await post(client, "/v1/resources", body))["changed"]
    record = cluster.view().resource("db-server")
    assert (record.type, record.wanted) == ("generic_service", Wanted.OFFLINE)
    bad = {**body, "name": "x", "properties": {"commandd": 1}}
    message = (await post(client, "/v1/resources", bad))["error"]["message"]
    assert "did you mean command?" in message and "command: is required" in message
    response = await client.patch(
        "/v1/resources/db-server",
        json={"properties": {"RestartThreshold": 4, "stop_grace": "3s", "restart_delay": None}},
    )
    assert (await response.json())["changes"][0]["details"] == [
        "restart_threshold: 1 by default → 4",
        "stop_grace: none → 3s",
    ]
    response = await client.patch("/v1/resources/db-server", json={"depends_on": "[db-server]"})
    assert "cannot depend on itself" in (await response.json())["error"]["message"]
    response = await client.patch("/v1/groups/db", json={"properties": {"failover_period": "90min"}})
    assert "not a whole number of h" in (await response.json())["error"]["message"]
    response = await client.patch("/v1/groups/db", json={"properties": {"persistent_state": 1}})
    assert "persistent_state cannot be set" in (await response.json())["error"]["message"]
    await post(client, "/v1/groups/db/online")
    response = await client.delete("/v1/resources/db-server")
    assert response.status == 422
    await post(client, "/v1/groups/db/offline")
    assert (await client.delete("/v1/resources/db-server")).status == 200
    assert (await client.delete("/v1/groups/db")).status == 200
    assert cluster.view().groups() == []


async def test_if_match_turns_a_lost_update_into_a_conflict(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    revision = cluster.view().revision_of(keys.group("web"))
    change = {"properties": {"failover_threshold": 1}}
    response = await client.patch("/v1/groups/web", json=change, headers={"If-Match": str(revision - 1)})
    assert (response.status, (await response.json())["error"]["code"]) == (409, "conflict")
    response = await client.patch("/v1/groups/web", json=change, headers={"If-Match": str(revision)})
    assert response.status == 200


async def test_conflicts_that_are_not_the_users_are_tried_again(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    cluster.conflicts_left = 3
    assert (await post(client, "/v1/groups/web/offline"))["changed"]
    cluster.conflicts_left = 100
    found = await post(client, "/v1/groups/web/online")
    assert (found["http"], found["error"]["code"], found["error"]["retryable"]) == (409, "conflict", True)


async def test_without_quorum_nothing_is_changed(client: TestClient, cluster: PretendCluster) -> None:
    cluster.is_quorate = False
    found = await apply(client)
    assert (found["http"], found["error"]["code"], found["error"]["retryable"]) == (503, "no-quorum", True)


async def test_a_timeout_is_called_unknown_and_never_failed(client: TestClient, cluster: PretendCluster) -> None:
    cluster.is_silent = True
    found = await apply(client)
    assert (found["http"], found["error"]["code"]) == (504, "unknown-outcome")


async def test_a_bug_in_a_handler_becomes_an_answer(client: TestClient, cluster: PretendCluster) -> None:
    cluster.status = None  # type: ignore[assignment]  # a broken port
    found = await get(client, "/v1/status")
    assert (found["http"], found["error"]["code"]) == (500, "error")


# ---- waiting ----


@pytest.mark.parametrize(
    ("text", "reached"),
    [
        ("group web online", True),
        ("group WEB online on n1", True),
        ("group web online on n2", False),
        ("group web offline", False),
        ("group web settled", True),
        ("resource web-server online", True),
        ("resource web-server online on N1", True),
        ("resource web-server failed", False),
        ("node n1 up", True),
        ("node n1 down", False),
        ("cluster healthy", True),
        ("group nothing deleted", True),
    ],
)
async def test_conditions(client: TestClient, text: str, reached: bool) -> None:
    await apply(client)
    found = await post(client, "/v1/wait", {"for": text, "timeout_ms": 0})
    assert found["reached"] is reached, found
    assert found["conditions"][0]["for"] == text


async def test_waiting_ends_when_it_becomes_true(client: TestClient, cluster: PretendCluster) -> None:
    cluster.acts = False
    await apply(client)
    cluster.acts = True
    waiting = client.post("/v1/wait", json={"for": ["group web online", "cluster healthy"], "timeout_ms": 20_000})
    cluster.act()
    assert (await (await waiting).json())["reached"] is True


async def test_a_move_that_was_given_up_ends_the_wait(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    await post(client, "/v1/groups/web/move", {"target": "n2"}, headers={"Request-Id": "move-0002"})
    found = await post(client, "/v1/wait", {"for": "group web moved by move-0002"})
    assert found["reached"] is True
    found = await post(client, "/v1/wait", {"for": "group web moved by move-0001"})
    assert (found["reached"], found["impossible"]) == (False, True)


async def test_odd_names_do_not_break_anything(client: TestClient, cluster: PretendCluster) -> None:
    cluster.add_group("a.b-c_d", service("x", "a.b-c_d"))
    assert (await get(client, "/v1/groups/A.B-C_D"))["groups"][0]["name"] == "a.b-c_d"
    for name in ("%3Cscript%3E", "..%2f..%2fetc", "%00", "é"):
        response = await client.get(f"/v1/groups/{name}")
        assert response.status in (404, 400)
        assert response.content_type == "application/json"


async def test_right_after_the_start_a_manifest_waits_for_the_types(
    client: TestClient, cluster: PretendCluster
) -> None:
    known = [(key, record) for key, record in cluster.view().items(ResourceTypeRecord)]
    draft = Draft(cluster.view())
    for key, _ in known:
        draft.delete(key)
    cluster.write(draft)
    applying = asyncio.create_task(apply(client))
    await asyncio.sleep(0.05)
    draft = Draft(cluster.view())
    for _, record in known:
        draft.put(record)
    cluster.write(draft)
    assert (await applying)["changed"] is True


async def test_a_group_made_anew_is_another_group(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    await post(client, "/v1/groups/web/offline")
    before = cluster.view().group("web")
    cluster.acts = False  # the owner has not heard of it yet
    assert (await client.delete("/v1/groups/web")).status == 200
    await apply(client)
    after = cluster.view().group("web")
    assert before is not None
    assert after is not None
    assert before.id != after.id
    [found] = (await get(client, "/v1/groups/web"))["groups"]
    assert (found["state"], found["owner"], found["generation"]) == ("offline", None, 0)
    told = "no node has been given it yet: n1 has to give up the deleted group of its name first"
    assert found["because"] == told


async def test_a_restart_is_asked_for_once_and_done_when_it_is_online_again(
    client: TestClient, cluster: PretendCluster
) -> None:
    await apply(client)
    headers = {"Request-Id": "restart-1"}
    found = await post(client, "/v1/resources/web-server/restart", headers=headers)
    assert found["wait_for"] == ["resource web-server restarted by restart-1"]
    record = cluster.view().resource("web-server")
    assert record is not None and record.restart_id == "restart-1"
    condition = parse_condition(found["wait_for"][0])
    assert not condition(cluster.view(), cluster.status()).is_reached
    cluster.acts = False
    cluster.report("web", "web-server", restart_id="restart-1")
    assert condition(cluster.view(), cluster.status()).is_reached
    cluster.report("web", "web-server", restart_id="restart-1", state=ResourceState.OFFLINE)
    assert not condition(cluster.view(), cluster.status()).is_reached


async def test_what_is_wanted_offline_is_not_restarted(client: TestClient) -> None:
    await apply(client)
    await post(client, "/v1/groups/web/offline")
    found = await post(client, "/v1/resources/web-server/restart")
    assert (found["http"], found["error"]["rule"]) == (422, "not-wanted")
