"""May the leader plan without asking round first, and what if it leads no more when it commits?"""

from collections.abc import Iterator

import pytest
from aiohttp.test_utils import TestClient
from asking import apply, post
from pretend_cluster import PretendCluster

ID = {"Request-Id": "asked-0001"}


@pytest.fixture
def leads(cluster: PretendCluster) -> Iterator[PretendCluster]:
    cluster.leader = "n2"
    yield cluster


async def test_the_leader_commits_without_a_read_and_only_in_its_term(
    client: TestClient, leads: PretendCluster
) -> None:
    await apply(client)
    reads = leads.reads
    found = await post(client, "/v1/groups/web/offline", headers=ID)
    assert (found["changed"], leads.reads, leads.committed_in[-1]) == (True, reads, 7)
    again = await post(client, "/v1/groups/web/offline", headers=ID)
    assert (again["repeated"], leads.reads) == (True, reads + 1)


async def test_another_node_reads_first_and_leaves_it_to_whoever_leads(
    client: TestClient, cluster: PretendCluster
) -> None:
    await apply(client)
    reads = cluster.reads
    assert (await post(client, "/v1/groups/web/offline"))["changed"] is True
    assert (cluster.reads, cluster.committed_in[-1]) == (reads + 1, 0)


@pytest.mark.parametrize(
    ("path", "status"), [("/v1/groups/web/online", 200), ("/v1/groups/none/online", 404), ("/v1/groups", 422)]
)
async def test_what_changes_nothing_is_said_after_a_read_only(
    client: TestClient, leads: PretendCluster, path: str, status: int
) -> None:
    """No commit would prove that it was still so."""
    await apply(client)
    reads = leads.reads
    found = await post(client, path, {"name": "web"} if path == "/v1/groups" else {})
    assert (found["http"], leads.reads) == (status, reads + 1)


async def test_who_leads_no_more_asks_round(client: TestClient, leads: PretendCluster) -> None:
    """1. It plans as the leader of term 7. 2. Term 8 begins. 3. It commits: refused there, and planned anew after a read."""
    await apply(client)
    status = leads.status

    def old_status() -> object:
        found = status()
        leads.term, leads.leader, leads.status = 8, "n1", status  # type: ignore[method-assign]
        return found

    leads.status = old_status  # type: ignore[method-assign,assignment]
    reads = leads.reads
    found = await post(client, "/v1/groups/web/offline", headers=ID)
    assert (found["changed"], leads.reads) == (True, reads + 1)
    assert leads.committed_in[-2:] == [7, 0]


async def test_a_lost_answer_is_told_as_unknown(client: TestClient, leads: PretendCluster) -> None:
    await apply(client)
    leads.loses_answers = 1
    found = await post(client, "/v1/groups/web/offline", headers=ID)
    assert (found["http"], found["error"]["code"]) == (504, "unknown-outcome")
    again = await post(client, "/v1/groups/web/offline", headers=ID)
    assert (again["changed"], again["repeated"]) == (True, True)
