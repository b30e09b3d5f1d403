"""What is asked of something between two states, stuck, held back or given up: is it accepted, or refused, and why?"""

from dataclasses import replace

import pytest
from aiohttp.test_utils import TestClient
from asking import apply, get, post
from pretend_cluster import PretendCluster

from clusterd.database import Draft
from clusterd.model.records import Decision
from clusterd.model.states import GroupStatus, NextAction, Order, ResourceState, Wanted

ID = {"Request-Id": "asked-0001"}


async def test_every_request_to_start_what_does_not_run_carries_an_id(
    client: TestClient, cluster: PretendCluster
) -> None:
    await apply(client)
    await post(client, "/v1/groups/web/online", headers=ID)
    assert cluster.view().group("web").start_id == "", "what runs already needs none"
    await post(client, "/v1/groups/web/offline")
    found = await post(client, "/v1/groups/web/online", headers=ID)
    assert (found["changed"], cluster.view().group("web").start_id) == (True, "asked-0001")
    assert (await post(client, "/v1/groups/web/online", headers=ID))["repeated"] is True
    await post(client, "/v1/resources/web-server/offline")
    await post(client, "/v1/resources/web-server/online", headers={"Request-Id": "asked-0002"})
    assert cluster.view().group("web").start_id == "asked-0002"


async def test_a_group_that_waits_says_what_for_when_its_start_is_asked_for(
    client: TestClient, cluster: PretendCluster
) -> None:
    await apply(client)
    cluster.acts = False
    await post(client, "/v1/groups/web/offline")
    cluster.acts = True
    cluster.act()
    cluster.acts = False
    cluster.write(Draft(cluster.view()).put(replace(cluster.view().group("web"), wanted=Wanted.ONLINE)))
    status = (GroupStatus.WAITING_FOR_DEPENDENCIES,)
    cluster.decide("web", order=Order.HOLD, status=status, because=Decision("start", "set backend is not ready"))
    found = await post(client, "/v1/groups/web/online")
    assert (found["changed"], found["notes"]) == (True, ["web waits: set backend is not ready"])
    assert found["changes"][0]["details"] == ["its start is asked for"]


@pytest.mark.parametrize("state", [ResourceState.ONLINE_PENDING, ResourceState.OFFLINE_PENDING])
async def test_a_resource_between_two_states_is_left_alone(
    client: TestClient, cluster: PretendCluster, state: ResourceState
) -> None:
    await apply(client)
    cluster.report("web", "web-server", state=state, cause="it takes its time")
    for verb in ("online", "offline"):
        found = await post(client, f"/v1/resources/web-server/{verb}")
        assert (found["http"], found["error"]["rule"]) == (422, "pending"), verb
        assert "it takes its time" in found["error"]["message"]
    assert (await post(client, "/v1/groups/web/offline"))["changed"] is True


async def test_a_group_that_is_still_going_offline_may_be_wanted_online(
    client: TestClient, cluster: PretendCluster
) -> None:
    await apply(client)
    cluster.acts = False
    await post(client, "/v1/groups/web/offline")
    cluster.report("web", "web-server", state=ResourceState.OFFLINE_PENDING)
    found = await post(client, "/v1/groups/web/online")
    assert (found["changed"], found["notes"]) == (
        True,
        ["web is still going offline: it comes online after that"],
    )


async def test_only_what_is_online_can_be_made_to_fail(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    cluster.report("web", "web-server", state=ResourceState.FAILED)
    found = await post(client, "/v1/resources/web-server/fail")
    assert found["error"]["rule"] == "not-online"


async def test_what_is_stuck_is_shown_with_the_ways_out(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    stuck = {"state": ResourceState.FAILED, "may_run": True, "evidence": "pid 4711 is alive since 12:00"}
    cluster.report("web", "web-server", **stuck)
    group = (await get(client, "/v1/groups/web"))["groups"][0]
    shown = next(each for each in group["resources"] if each["name"] == "web-server")
    assert (group["state"], group["status"], shown["status"]) == ("failed", ["stuck"], ["stuck"])
    assert [each.split("    ")[0] for each in shown["ways_out"]] == [
        "clusterctl resource offline web-server",
        "clusterctl resource kill web-server",
        "clusterctl node fence n1",
    ]
    found = await post(client, "/v1/resources/web-server/kill", headers=ID)
    assert found["wait_for"] == ["resource web-server killed by asked-0001"]
    assert cluster.view().resource("web-server").kill_id == "asked-0001"
    assert (await post(client, "/v1/wait", {"for": found["wait_for"]}))["reached"] is True


async def test_what_failed_while_hands_were_kept_off_is_not_stuck(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    cluster.report("web", "web-server", state=ResourceState.FAILED, may_run=True, is_hands_off=True)
    group = (await get(client, "/v1/groups/web"))["groups"][0]
    assert "stuck" not in group["status"]


async def test_what_is_well_is_not_killed(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    found = await post(client, "/v1/resources/web-server/kill")
    assert (found["http"], found["error"]["rule"]) == (422, "nothing-stuck")
    assert found["error"]["hint"] == "to stop it in order: clusterctl resource offline web-server"


# ---- waiting for what cannot come ----


async def test_a_group_that_failed_for_good_ends_the_wait_at_once(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    failed = {"state": ResourceState.FAILED, "cause": "exit code 3", "next_action": NextAction.RETRY}
    cluster.report("web", "web-server", **failed, next_action_cluster_ms=3_601_000)
    for text in ("group web settled", "group web online", "resource web-server online"):
        found = await post(client, "/v1/wait", {"for": text})
        assert (found["reached"], found["impossible"]) == (False, True), text
        told = "group web failed on n1 and is not tried again now: web-server: exit code 3; retry of web-server in 1 h"
        assert found["conditions"][0]["now"].startswith(told)
    assert (await post(client, "/v1/wait", {"for": "group web failed"}))["reached"] is True


async def test_what_no_node_can_run_is_tried_again_when_somebody_asks(
    client: TestClient, cluster: PretendCluster
) -> None:
    """It is offline, not failed: no node lacked the will. While the leader still has nodes to try, the wait goes on."""
    await apply(client)
    cluster.acts = False
    cluster.report("web", "web-server", state=ResourceState.OFFLINE, cause="no libiscsi", next_action=NextAction.RETRY)
    found = await post(client, "/v1/wait", {"for": "group web online", "timeout_ms": 0})
    assert found["impossible"] is False
    cluster.decide("web", blocked_until_cluster_ms=1)
    found = await post(client, "/v1/wait", {"for": "group web online"})
    assert found["impossible"] is True
    assert "is not tried again now: web-server: no libiscsi" in found["conditions"][0]["now"]
    for path in ("/v1/groups/web/online", "/v1/resources/web-server/online"):
        before = cluster.view().group("web")
        asked = await post(client, path)
        after = cluster.view().group("web")
        assert before is not None and after is not None
        assert after.reset_id not in ("", before.reset_id), "the owner forgets the failure, and tries"
        assert "failures and counters are forgotten" in str(asked["changes"])


async def test_a_resource_waits_in_vain_for_a_provider_that_failed_for_good(
    client: TestClient, cluster: PretendCluster
) -> None:
    await apply(client)
    cluster.acts = False
    cluster.report("web", "web-server", state=ResourceState.OFFLINE)
    cluster.report("web", "web-data", state=ResourceState.FAILED, cause="exit code 3", next_action=NextAction.NONE)
    found = await post(client, "/v1/wait", {"for": "resource web-server online"})
    assert found["impossible"] is True
    assert "web-data: exit code 3" in found["conditions"][0]["now"]
    cluster.report("web", "web-server", state=ResourceState.FAILED, cause="x", next_action=NextAction.NONE)
    cluster.report("web", "web-data", state=ResourceState.ONLINE_PENDING, cause="", next_action=NextAction.NONE)
    found = await post(client, "/v1/wait", {"for": "resource web-data online", "timeout_ms": 0})
    assert found["impossible"] is False, "what depends on it is no reason"


@pytest.mark.parametrize("reason", ["a restart is planned", "the leader decides", "asked for again", "it leaves"])
async def test_while_something_may_still_come_of_it_the_wait_goes_on(
    client: TestClient, cluster: PretendCluster, reason: str
) -> None:
    await apply(client)
    cluster.acts = False
    cluster.report("web", "web-server", state=ResourceState.FAILED, cause="exit code 3", next_action=NextAction.RETRY)
    match reason:
        case "a restart is planned":
            cluster.report("web", "web-server", next_action=NextAction.RESTART, next_action_cluster_ms=1500)
        case "the leader decides":
            report = replace(cluster.view().report("web"), failed_over_by="web-server")
            cluster.write(Draft(cluster.view()).put(report))
        case "asked for again":
            await post(client, "/v1/groups/web/online")
        case "it leaves":
            cluster.decide("web", order=Order.RELEASE)
    found = await post(client, "/v1/wait", {"for": "group web online", "timeout_ms": 0})
    assert (found["reached"], found["impossible"]) == (False, False)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("group wob online", "did you mean web?"),
        ("resource web-sever online", "did you mean web-server?"),
        ("node n4 up", "there are n1, n2, n3"),
        ("group wob nowhere", "did you mean web?"),
        ("node n4 drained", "there are n1, n2, n3"),
    ],
)
async def test_a_name_that_there_is_not_is_named_at_once(
    client: TestClient, cluster: PretendCluster, text: str, hint: str
) -> None:
    await apply(client)
    found = await post(client, "/v1/wait", {"for": text})
    assert (found["http"], found["error"]["code"]) == (404, "not-found")
    assert found["error"]["hint"].startswith(hint)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("group web onlin", "did you mean online?"),
        ("node n1 drain", "did you mean drained?"),
        ("cluster helthy", "did you mean healthy?"),
        ("host n1 up", "is nothing that can be waited for"),
        ("group", "is nothing that can be waited for"),
        ("", "is nothing that can be waited for"),
        ("group web online at n2", "is nothing that can be waited for"),
    ],
)
async def test_a_condition_that_is_none_says_which_is_near(client: TestClient, text: str, words: str) -> None:
    found = await post(client, "/v1/wait", {"for": [text]})
    assert found["http"] == 400
    assert words in found["error"]["message"]
