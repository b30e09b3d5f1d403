"""Does every question get its answer, in its shape, and as fresh as it says?"""

import json
from dataclasses import replace

import pytest
from aiohttp.test_utils import TestClient
from asking import READS, apply, get, post
from pretend_cluster import MANIFEST, PretendCluster

from clusterd.adapters.kept_output import KeptOutput
from clusterd.cli.resources import _log_lines
from clusterd.database import Draft
from clusterd.model import keys
from clusterd.model.ids import GroupId, ResourceId
from clusterd.model.records import EventRecord, ResourceRecord, ResourceReport
from clusterd.model.states import MembershipState, NextAction, ResourceState


@pytest.mark.parametrize("path", READS)
async def test_reads_say_how_fresh_they_are(client: TestClient, path: str) -> None:
    await apply(client)
    found = await get(client, path)
    assert found["http"] == 200
    assert found["schema"] == 1
    assert found["as_of"]["node"] == "n2"
    assert found["as_of"]["quorate"] is True
    assert found["as_of"]["age_ms"] == 3


@pytest.mark.parametrize("path", [*READS, "/v1/export"])
async def test_reads_answer_without_quorum(client: TestClient, cluster: PretendCluster, path: str) -> None:
    await apply(client)
    cluster.is_quorate = False
    response = await client.get(path)
    assert response.status == 200
    if path != "/v1/export":
        assert (await response.json())["as_of"]["quorate"] is False
    assert (await client.get(path, params={"level": "linearizable"})).status == 503


async def test_a_group_in_json_has_the_fields_that_scripts_rely_on(client: TestClient) -> None:
    await apply(client)
    group = (await get(client, "/v1/groups/WEB"))["groups"][0]
    assert {key: group[key] for key in ("name", "state", "wanted", "owner", "generation", "preferred_owners")} == {
        "name": "web",
        "state": "online",
        "wanted": "online",
        "owner": "n1",
        "generation": 1,
        "preferred_owners": ["n1", "n2"],
    }
    assert group["since"] == "2026-01-01T00:00:02.000Z"
    assert group["because"] == "web goes to n1"
    server = group["resources"][1]
    assert server["pid"] == 4711
    assert server["restarts"] == {"used": 0, "limit": 1, "window_ms": 900_000}
    assert server["properties"]["restart_period_ms"] == 900_000
    assert server["properties"]["ready"] == {"tcp": 8081}


async def test_a_node_in_json(client: TestClient, cluster: PretendCluster) -> None:
    nodes = (await get(client, "/v1/nodes"))["nodes"]
    assert [each["heartbeat_age_ms"] for each in nodes] == [40, None, 90]
    assert [each["is_leader"] for each in nodes] == [True, False, False]
    assert nodes[0]["vote"] == nodes[0]["assigned_vote"] == 1
    cluster.lose("n1", state=MembershipState.EXPELLING)
    node = (await get(client, "/v1/nodes/n1"))["nodes"][0]
    assert (node["state"], node["status"]) == ("up", ["expelling"])
    cluster.lose("n1")
    node = (await get(client, "/v1/nodes/n1"))["nodes"][0]
    assert (node["state"], node["status"], node["evidence"]["kind"]) == ("down", [], "fenced")


async def test_quorum_in_json(client: TestClient, cluster: PretendCluster) -> None:
    found = await get(client, "/v1/quorum")
    expected = {"votes": 3, "needed": 2, "have": 3, "quorate": True, "witness": None, "leader": "n1", "term": 7}
    assert {key: found[key] for key in expected} == expected
    cluster.is_quorate = False
    assert "n2 reaches 1 of 3 votes and needs 2" in (await get(client, "/v1/quorum"))["advice"]


async def test_what_is_not_known_is_shown_as_unknown(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    cluster.lose("n1", state=MembershipState.EXPELLING)
    group = (await get(client, "/v1/groups/web"))["groups"][0]
    assert group["state"] == "unknown"
    assert "not yet proven" in group["because"]
    assert group["resources"][0]["last_known"] == "online"
    assert group["resources"][0]["pid"] is None
    cluster.lose("n1")
    assert (await get(client, "/v1/groups/web"))["groups"][0]["state"] == "offline"


async def test_status_has_the_worst_first(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    await apply(client, MANIFEST.replace("web", "alpha"))
    cluster.report("web", "web-server", state=ResourceState.FAILED, cause="exit 3")
    found = await get(client, "/v1/status")
    assert [each["name"] for each in found["groups"]] == ["web", "alpha"]
    assert found["healthy"] is False
    assert found["problems"] == ["group web is failed, wanted online: web-server: exit 3"]


async def test_events_since_last_and_of_one_group(client: TestClient, cluster: PretendCluster) -> None:
    for number in range(5):
        cluster.event(f"m{number}", group="a" if number % 2 else "b", wall_ms=cluster.wall_ms - 60_000 * (5 - number))
    events = (await get(client, "/v1/events"))["events"]
    assert [each["message"] for each in events] == ["m0", "m1", "m2", "m3", "m4"]
    assert sorted(each["sequence"] for each in events) == [each["sequence"] for each in events]
    assert [each["message"] for each in (await get(client, "/v1/events", last="2"))["events"]] == ["m3", "m4"]
    assert [each["message"] for each in (await get(client, "/v1/events", group="A"))["events"]] == ["m1", "m3"]
    assert [each["message"] for each in (await get(client, "/v1/events", since="150s"))["events"]] == ["m3", "m4"]
    after = str(events[2]["sequence"])
    assert [each["message"] for each in (await get(client, "/v1/events", after=after))["events"]] == ["m3", "m4"]
    assert (await get(client, "/v1/events", since="yesterday"))["error"]["code"] == "bad-input"


async def test_an_event_names_its_cause_by_number(client: TestClient, cluster: PretendCluster) -> None:
    cluster.event("first")
    first = cluster.view().database.keys_under(keys.EVENT)[0]
    cluster.write(Draft(cluster.view()).event(EventRecord(1, "x.y", "info", message="second", caused_by=first)))
    events = (await get(client, "/v1/events"))["events"]
    assert events[1]["caused_by"] == events[0]["sequence"]
    assert events[0]["caused_by"] is None


async def test_explain_tells_the_decision_its_steps_and_its_candidates(
    client: TestClient, cluster: PretendCluster
) -> None:
    await apply(client)
    cluster.lose("n3")
    found = await get(client, "/v1/explain/group/web")
    assert found["summary"] == "web is online on n1 (generation 1): web goes to n1"
    assert [(each["text"], each["after_ms"]) for each in found["decision"]["steps"]] == [
        ("asked", None),
        ("n1 (leader) gave it to n1", 1500),
    ]
    assert found["decision"]["candidates"][1] == {"node": "n9", "is_chosen": False, "reason": "it is down"}
    assert found["nodes"][0]["evidence"]["kind"] == "fenced"
    assert found["next_text"] == "nothing: it is as wanted"
    assert found["failovers"] == {
        "used": 0,
        "limit": 2,
        "window_ms": 6 * 3_600_000,
        "text": "0 of 2 in the last 6 h",
        "stamps": [],
    }


async def test_explain_says_why_something_is_not_running(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    cluster.report(
        "web",
        "web-data",
        state=ResourceState.FAILED,
        cause="exit 1",
        next_action=NextAction.RETRY,
        next_action_cluster_ms=61_000,
    )
    cluster.report("web", "web-server", state=ResourceState.OFFLINE, cause="")
    found = await get(client, "/v1/explain/group/web")
    assert found["why_not"] == ["web-data failed on n1: exit 1; next: retry in 1 min", "web-server waits for web-data"]
    assert found["next_text"] == "retry of web-data in 1 min"
    assert found["next"]["time"] == "2026-01-01T00:01:00.000Z"
    await post(client, "/v1/groups/web/offline")
    found = await get(client, "/v1/explain/resource/web-server")
    assert found["why_not"] == ["its group web: it is wanted offline"]


async def test_export_applied_again_changes_nothing(client: TestClient) -> None:
    await apply(client, MANIFEST + "cluster:\n  properties: {same_subnet_threshold: 12, run_lease: 3s}\n")
    text = await (await client.get("/v1/export")).text()
    assert "same_subnet_threshold: 12" in text
    again = await apply(client, text)
    assert (again["changed"], again["changes"]) == (False, [])
    assert await (await client.get("/v1/export")).text() == text


async def test_logs_come_from_the_owner(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    cluster.logs["web-server"] = b"forgotten\n" + b"hello\n" * 6 + b"\xff\n"
    found = await get(client, "/v1/resources/web-server/logs", lines="7")
    assert found["text"] == "hello\n" * 6 + "�"
    assert cluster.asked == [("web-server", "logs", json.dumps({"lines": 7}).encode())]
    assert (await get(client, "/v1/resources/web-data/logs"))["error"]["code"] == "not-found"


async def test_the_output_of_the_run_before_comes_from_whoever_had_it(
    client: TestClient, cluster: PretendCluster
) -> None:
    await apply(client)
    path = "/v1/resources/web-server/logs"
    kept = {
        "n1": KeptOutput("web-server", 3, 1_700_000_000_000, "segmentation fault\n").encode(),
        "n2": b"",
        "n3": KeptOutput("web-server", 2, 1_800_000_000_000, "older\n").encode(),
    }
    cluster.node_answers["previous-output"] = lambda node: kept[node]
    found = await get(client, path, previous="1")
    assert (found["node"], found["generation"], found["text"]) == ("n1", 3, "segmentation fault")
    assert (found["ended"], found["silent"]) == ("2023-11-14T22:13:20.000Z", [])
    assert "segmentation fault" in _log_lines(found)
    kept["n1"] = b"nonsense"
    found = await get(client, path, previous="1")
    assert (found["node"], found["silent"]) == ("n3", ["n1"])
    kept["n3"] = b""
    error = (await get(client, path, previous="1"))["error"]
    assert error["code"] == "not-found" and "n1 did not answer" in error["message"]


async def test_what_waits_for_something_taken_offline_on_purpose_is_as_it_should_be(
    client: TestClient, cluster: PretendCluster
) -> None:
    await apply(client)
    await post(client, "/v1/resources/web-data/offline")
    cluster.report("web", "web-server", state=ResourceState.OFFLINE, cause="nothing of it runs here")
    group = (await get(client, "/v1/groups/web"))["groups"][0]
    assert (group["state"], group["settled"]) == ("offline", True)
    assert (await get(client, "/v1/status"))["healthy"] is True
    await post(client, "/v1/resources/web-data/online")
    cluster.report("web", "web-data", state=ResourceState.ONLINE_PENDING, cause="")
    cluster.report("web", "web-server", state=ResourceState.OFFLINE, cause="")
    group = (await get(client, "/v1/groups/web"))["groups"][0]
    assert group["settled"] is False


async def test_a_workload_that_complains_inside_is_told_and_the_cluster_is_not_healthy(
    client: TestClient, cluster: PretendCluster
) -> None:
    await apply(client)
    cluster.acts = False
    cluster.report("web", "web-server", embedded_failure="the guest's disk is full")
    words = "web-server: the workload inside complains: the guest's disk is full"
    assert (await get(client, "/v1/groups/web"))["groups"][0]["because"] == words
    assert any(words in each for each in (await get(client, "/v1/status"))["problems"])
    assert words in str(await get(client, "/v1/explain/group/web"))


async def test_what_waits_for_a_provider_has_no_time_of_its_own(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    cluster.acts = False
    view = cluster.view()
    record, report = view.resource("web-server"), view.report("web")
    assert record is not None and report is not None
    provider = ResourceRecord(ResourceId("web-data"), GroupId("web"), "generic_service")
    cluster.write(Draft(view).put(provider).put(replace(record, depends_on="[web-data]")))
    server = next(each for each in report.resources if each.name == "web-server")
    rests = ResourceReport(ResourceId("web-data"), ResourceState.FAILED, cause="it failed")
    failed = replace(server, state=ResourceState.FAILED, cause="it failed")
    waits = replace(failed, next_action=NextAction.RESUME, next_action_cluster_ms=1)
    cluster.write(Draft(view).put(replace(report, resources=(rests, waits))))
    assert (await get(client, "/v1/groups/web"))["groups"][0]["next_action"] is None
    retries = replace(rests, next_action=NextAction.RETRY, next_action_cluster_ms=cluster.status().cluster_ms + 5000)
    cluster.write(Draft(view).put(replace(report, resources=(retries, waits))))
    next_action = (await get(client, "/v1/groups/web"))["groups"][0]["next_action"]
    assert (next_action["what"], next_action["in_ms"]) == ("retry of web-data", 5000)


async def test_what_is_in_force_stands_beside_what_was_changed(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    cluster.acts = False
    found = (await get(client, "/v1/resources/web-server"))["resources"][0]
    assert (found["restart_needed"], found["in_force"]) == (False, {})
    cluster.report("web", "web-server", is_outdated=True, in_force={"command": ["/bin/old"], "ready": None})
    found = (await get(client, "/v1/resources/web-server"))["resources"][0]
    assert found["restart_needed"] is True
    assert found["in_force"] == {"command": ["/bin/old"], "ready": None}
