"""What is said of a group's availability, in documents and for people."""

import pytest
from aiohttp.test_utils import TestClient
from asking import apply, get
from pretend_cluster import MANIFEST, WALL_MS, PretendCluster

from clusterd.cli.standing import availability_line
from clusterd.database import Draft
from clusterd.model.availability import AvailabilityRecord, AvailabilityState
from clusterd.model.ids import GroupId


def record(cluster: PretendCluster, state: AvailabilityState, **more: int) -> AvailabilityRecord:
    group = cluster.view().group("web")
    assert group is not None
    formation = cluster.view().formation().number
    return AvailabilityRecord(GroupId("web"), group.id, state, cluster.cluster_ms, WALL_MS, WALL_MS, formation, **more)


async def test_it_is_in_the_documents_of_a_group(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client, MANIFEST)
    assert (await get(client, "/v1/groups/web"))["groups"][0]["availability"] is None
    figures = {"online_ms": 59_000, "outage_ms": 1000, "outages": 2, "longest_ms": 800, "longest_wall_ms": WALL_MS}
    cluster.write(Draft(cluster.view()).put(record(cluster, AvailabilityState.OUTAGE, **figures)))
    cluster.cluster_ms += 40_000
    for path in ("/v1/groups/web", "/v1/groups"):
        told = next(each for each in (await get(client, path))["groups"] if each["name"] == "web")["availability"]
        assert told == {
            "state": "outage",
            "measured_since": "2026-01-01T00:00:00.000Z",
            "online_ms": 59_000,
            "expected_ms": 100_000,
            "ratio": 0.59,
            "outages": 2,
            "longest_outage_ms": 40_000,
            "longest_outage_at": "2026-01-01T00:00:00.000Z",
        }


SINCE = {"measured_since": "T", "longest_outage_at": None}


@pytest.mark.parametrize(
    ("told", "line"),
    [
        (None, "not known: it was not online yet since that is measured"),
        (
            {"state": "online", "ratio": 1.0, "online_ms": 60_000, "expected_ms": 60_000, "outages": 0}
            | {"longest_outage_ms": 0},
            "100.000 % (1 min of 1 min) since T: no outage",
        ),
        (
            {"state": "outage", "ratio": 0.9999999, "online_ms": 86_400_000, "expected_ms": 86_400_008, "outages": 1}
            | {"longest_outage_ms": 8},
            "99.999 % (24 h of 24 h) since T: 1 outage, the longest 8 ms (one lasts now)",
        ),
        ({"ratio": None}, "it was wanted for no time yet since T"),
    ],
)
def test_the_line_of_group_show(told: dict[str, object] | None, line: str) -> None:
    assert availability_line({**SINCE, **told} if told is not None else None) == f"availability: {line}"
