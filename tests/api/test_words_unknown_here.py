"""Words that a newer version wrote are shown as they are."""

from dataclasses import fields, is_dataclass, replace
from enum import StrEnum
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from asking import READS, apply, get, post
from pretend_cluster import PretendCluster

from clusterd.database import Draft
from clusterd.model.drains import DrainRecord
from clusterd.model.ids import GroupId, NodeId
from clusterd.model.records import (
    AssignmentRecord,
    GroupRecord,
    MembershipRecord,
    ReportRecord,
    ResourceRecord,
    RuleRecord,
)
from clusterd.model.states import DrainState, RuleKind
from clusterd.model.words import word_of

WORD = "from-the-future"
KINDS = (GroupRecord, ResourceRecord, AssignmentRecord, ReportRecord, MembershipRecord, RuleRecord, DrainRecord)


def in_future(record: Any) -> Any:
    """The record with every word in it unknown."""
    changed: dict[str, Any] = {}
    for each in fields(record):
        value = getattr(record, each.name)
        if isinstance(value, StrEnum):
            changed[each.name] = word_of(type(value), WORD)
        elif is_dataclass(value) and not isinstance(value, type):
            changed[each.name] = in_future(value)
        elif isinstance(value, tuple) and value and is_dataclass(value[0]):
            changed[each.name] = tuple(in_future(inner) for inner in value)
    return replace(record, **changed)


@pytest.mark.parametrize("kind", KINDS)
async def test_every_answer_is_still_given(client: TestClient, cluster: PretendCluster, kind: type) -> None:
    await apply(client)
    cluster.acts = False
    cluster.write(Draft(cluster.view()).put(RuleRecord("apart", RuleKind.DIFFERENT_NODE, (GroupId("web"),))))
    cluster.write(Draft(cluster.view()).put(DrainRecord(NodeId("n1"), "drain1", DrainState.IN_PROGRESS)))
    draft = Draft(cluster.view())
    for _, record in list(cluster.view().items(kind)):
        draft.put(in_future(record))
    cluster.write(draft)
    for path in (*READS, "/v1/explain/group/web", "/v1/explain/node/n1", "/v1/export", "/v1/rules"):
        found = await get(client, path) if path != "/v1/export" else {"http": (await client.get(path)).status}
        assert found["http"] == 200, (path, found)
    assert (await post(client, "/v1/what-if", {"node": "n1", "becomes": "down"}))["http"] < 500


async def test_a_state_is_shown_as_it_is(client: TestClient, cluster: PretendCluster) -> None:
    await apply(client)
    cluster.acts = False
    record = cluster.view().report("web")
    assert record is not None
    cluster.write(Draft(cluster.view()).put(in_future(record)))
    group = (await get(client, "/v1/groups/web"))["groups"][0]
    assert group["state"] == "unknown"
    assert {each["state"] for each in group["resources"]} == {WORD}
