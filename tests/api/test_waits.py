"""Is a grace that no call can grant refused when it is asked for, with both numbers?"""

from dataclasses import replace

import pytest
from aiohttp.test_utils import TestClient
from asking import apply, get
from pretend_cluster import MANIFEST, PretendCluster, service
from test_configuration import patch

from clusterd.api.waits import LEEWAY_MS, wait_problems
from clusterd.model.settings import TypeSettings
from clusterd.resource_api import schema_of
from resource_types.generic_service import GenericService
from resource_types.virtual_machine import VirtualMachine

SCHEMA = schema_of(GenericService.properties)
GRACE = "ready: {tcp: 8081}\n          stop_grace: 10min"


@pytest.mark.parametrize(
    ("grace", "deadlock_ms", "fits"),
    [
        (300_000 - LEEWAY_MS, 300_000, True),
        (300_000 - LEEWAY_MS + 1, 300_000, False),
        ("5min", 300_000, False),
        ("5min", 305_000, True),
        (None, 1000, True),  # nobody asked for it; what the default cannot get is told when it stops
        ("never", 1000, True),  # refused for what it is
    ],
)
def test_what_fits(grace: object, deadlock_ms: int, fits: bool) -> None:
    record = service("a", "g")
    private = {**record.private, **({} if grace is None else {"stop_grace": grace})}
    found = wait_problems(
        replace(record, private=private),
        SCHEMA,
        TypeSettings(deadlock_timeout_ms=deadlock_ms),
    )
    assert (found == []) is fits
    for each in found:
        assert each.part == "properties.stop_grace" and f"{deadlock_ms} ms" in each.message


@pytest.mark.parametrize(
    ("schema", "names"), [(SCHEMA, {"stop_grace"}), (schema_of(VirtualMachine.properties), {"offline_timeout"})]
)
def test_which_durations_are_waited_for(schema: dict, names: set[str]) -> None:
    assert {name for name, part in schema["properties"].items() if part.get("x-waited-for")} == names


async def test_a_change_is_refused_with_both_numbers(client: TestClient, cluster: PretendCluster) -> None:
    cluster.add_group("a", service("a-server", "a"))
    found = await patch(client, "/v1/resources/a-server", stop_grace="10min")
    assert found["http"] == 400
    assert "stop_grace is 600000 ms" in found["error"]["message"]
    assert "deadlock_timeout (300000 ms)" in found["error"]["message"]
    assert (await patch(client, "/v1/resources/a-server", stop_grace="10min", deadlock_timeout="11min"))["http"] == 200
    found = await patch(client, "/v1/resources/a-server", deadlock_timeout=None)
    assert found["http"] == 400  # also from the other side
    found = await patch(client, "/v1/resources/a-server", stop_grace=None, deadlock_timeout=None)
    assert found["http"] == 200


async def test_a_type_cannot_take_the_time_away(client: TestClient, cluster: PretendCluster) -> None:
    cluster.add_group("a", service("a-server", "a"))
    await patch(client, "/v1/resources/a-server", stop_grace="4min")
    found = await patch(client, "/v1/resource-types/generic_service", deadlock_timeout="3min")
    assert found["http"] == 422
    assert "a-server: stop_grace is 240000 ms" in found["error"]["message"]
    assert (await patch(client, "/v1/resource-types/generic_service", deadlock_timeout="5min"))["http"] == 200


async def test_a_manifest_is_judged_with_the_types_it_sets(client: TestClient, cluster: PretendCluster) -> None:
    manifest = MANIFEST.replace("ready: {tcp: 8081}", GRACE)
    found = await apply(client, manifest)
    assert found["http"] == 400
    assert [each["message"] for each in found["error"]["problems"] if "stop_grace is 600000 ms" in each["message"]]
    longer = "resource_types:\n  - {name: generic_service, properties: {deadlock_timeout: 15min}}\n" + manifest
    assert (await apply(client, longer))["http"] == 200
    assert (await get(client, "/v1/resources/web-server"))["http"] == 200


async def test_a_client_of_another_daemon_is_told_when_it_is_applied(
    client: TestClient, cluster: PretendCluster
) -> None:
    manifest = MANIFEST.replace('[python3, -m, http.server, "8081"]', "[docker, run, web]")
    found = await apply(client, manifest)
    assert [each for each in found["notes"] if "web-server starts docker: only that client" in each]
    found = await patch(client, "/v1/resources/web-server", command=["systemd-run", "web"])
    assert [each for each in found["notes"] if "web-server starts systemd-run" in each]
