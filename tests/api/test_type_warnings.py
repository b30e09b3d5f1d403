"""Is it told where nodes differ in what they can run, without the cluster counting as unwell for it?"""

from aiohttp.test_utils import TestClient
from asking import apply, get
from pretend_cluster import PretendCluster

from clusterd.cli.overview import _status_lines
from clusterd.cli.resource_types import _list_lines
from clusterd.database import Draft
from clusterd.model.ids import NodeId
from clusterd.model.records import NodeFactsRecord, ResourceTypeRecord

SIZE = {"type": "integer", "description": "How large."}
SCHEMA = {"type": "object", "properties": {"size": SIZE}}
RICHER = {"type": "object", "properties": {"size": SIZE, "colour": {"type": "string"}}}
SAME = {"type": "object", "properties": {"size": {"type": "integer", "description": "How big it is."}}}


def install(cluster: PretendCluster, node: str, version: str, schema: dict[str, object]) -> None:
    cluster.write(Draft(cluster.view()).put(ResourceTypeRecord("paint", NodeId(node), version, schema)))


async def warnings(client: TestClient) -> list[str]:
    status = await get(client, "/v1/status")
    assert status["healthy"] is True
    assert all(each in "\n".join(_status_lines(status)).replace("\n", "") for each in status["warnings"])
    return [str(each) for each in status["warnings"]]


async def test_versions_are_in_status_only_where_they_differ(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    install(cluster, "n1", "1", SCHEMA)
    install(cluster, "n2", "1", SAME)
    assert await warnings(client) == []
    install(cluster, "n3", "2", RICHER)
    [told] = await warnings(client)
    assert told == (
        "resource type paint differs: version 2 on n3; version 1 on n1, n2: install one version on every node"
    )


async def test_one_version_that_takes_other_properties_is_told(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    install(cluster, "n1", "1", SCHEMA)
    install(cluster, "n2", "1", RICHER)
    [told] = await warnings(client)
    assert "version 1 on n2; version 1 with other properties on n1" in told


async def test_plug_ins_that_are_not_loaded(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    assert (await get(client, "/v1/resource-types"))["not_loaded"] == []
    trouble = "/srv/plugins/lamp.py: SyntaxError: invalid syntax (lamp.py, line 3)"
    for node in ("n2", "n3"):
        cluster.write(Draft(cluster.view()).put(NodeFactsRecord(NodeId(node), 1, 1, (trouble,))))
    assert await warnings(client) == [f"a plug-in is not loaded on n2, n3: {trouble}"]
    found = await get(client, "/v1/resource-types")
    assert found["not_loaded"] == [{"node": node, "because": trouble} for node in ("n2", "n3")]
    assert any(trouble in each for each in _list_lines(found))
