"""Does everybody who asks hear when unknown health becomes a failure, and what happens then?"""

import pytest
from aiohttp.test_utils import TestClient
from asking import apply, get
from pretend_cluster import PretendCluster

from clusterd.cli.standing import unknown_health_lines
from clusterd.model.records import RestartStamp
from clusterd.model.states import ResourceState

DOUBT = "is_alive of box broke: ZeroDivisionError()"


async def _doubted(client: TestClient, cluster: PretendCluster, *, restarts: int = 0, hands_off: bool = False) -> None:
    await apply(client)
    cluster.acts = False
    now = cluster.status()
    cluster.report(
        "web",
        "web-server",
        state=ResourceState.ONLINE,
        doubt=DOUBT,
        doubt_since_wall_ms=now.wall_ms,
        doubt_since_cluster_ms=now.cluster_ms,
        restarts=tuple(RestartStamp(now.cluster_ms, "n1") for _ in range(restarts)),
        is_hands_off=hands_off,
    )


async def _explained(client: TestClient) -> dict[str, object]:
    return await get(client, "/v1/explain/resource/web-server")


async def test_when_it_counts_as_a_failure_and_what_then(client: TestClient, cluster: PretendCluster) -> None:
    await _doubted(client, cluster)
    group = (await get(client, "/v1/status"))["groups"][0]
    assert group["next_action"]["what"] == "failure of web-server (health unknown)"
    assert group["next_action"]["in_ms"] == 300_000
    found = await _explained(client)
    assert found["health_unknown_fails_at"] == group["next_action"]["at"]
    then = "a failure 5 min after that (health_unknown_timeout), then it is restarted on n1 (restart 1 of 1 in 500 ms)"
    assert found["health_unknown_then"] == then
    assert any(then in each for each in (await get(client, "/v1/status"))["problems"])
    explained = await get(client, "/v1/explain/group/web")
    assert explained["next_text"] == "failure of web-server (health unknown) in 5 min"
    assert then in "\n".join(unknown_health_lines(found))


async def test_a_group_whose_restarts_are_used_up_moves_then(client: TestClient, cluster: PretendCluster) -> None:
    await _doubted(client, cluster, restarts=1)
    assert "its group is to move to another node" in str((await _explained(client))["health_unknown_then"])


@pytest.mark.parametrize("is_never", [True, False], ids=["never", "in maintenance"])
async def test_where_nothing_follows_that_is_said(client: TestClient, cluster: PretendCluster, is_never: bool) -> None:
    await _doubted(client, cluster, hands_off=not is_never)
    if is_never:
        answer = await client.patch(
            "/v1/resources/web-server", json={"properties": {"health_unknown_timeout": "never"}}
        )
        assert answer.status == 200, await answer.text()
    found = await _explained(client)
    assert found["health_unknown"] == DOUBT
    assert found["health_unknown_fails_at"] is None
    said = "it never counts as a failure" if is_never else "nothing follows while it is in maintenance"
    assert said in str(found["health_unknown_then"])
    assert (await get(client, "/v1/groups/web"))["groups"][0]["next_action"] is None


async def test_known_health_has_nothing_to_tell(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    found = await _explained(client)
    assert (found["health_unknown"], found["health_unknown_then"], found["health_unknown_fails_at"]) == ("", "", None)
