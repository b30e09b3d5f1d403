"""A node whose version of a type does not know what a resource is given is not sent the group: nothing is stopped for it."""

from dataclasses import replace

from clusterd.leader.type_versions import TypeVersions, newest, refused_by
from clusterd.model.ids import GroupId, NodeId, ResourceId
from clusterd.model.records import MoveRequest, ResourceRecord, ResourceTypeRecord
from clusterd.resource_api.properties import Property, PropertyKind, schema_of
from clusterd.sim import SimCluster, SimSettings

OLD = schema_of([Property("size", PropertyKind.INTEGER, "How large.", default=1)])
NEW = schema_of(
    [
        Property("size", PropertyKind.INTEGER, "How large.", default=1),
        Property("colour", PropertyKind.TEXT, "Which colour.", default="red"),
    ]
)
BLUE = ResourceRecord(ResourceId("server"), GroupId("web"), "paint", private={"colour": "blue"})


def paint(node: str, version: str) -> ResourceTypeRecord:
    return ResourceTypeRecord("paint", NodeId(node), version, NEW if version != "1" else OLD)


def test_who_refuses() -> None:
    records = [paint("n1", "2"), paint("n2", "1"), paint("n3", "2.1")]
    [(record, why)] = refused_by(records, BLUE.private)
    assert record.node == "n2" and why.startswith("n2 has version 1 of paint, which refuses it: ")
    assert refused_by(records, {"size": 3}) == []
    assert newest(records) == records[2]
    versions = TypeVersions(records)
    assert list(versions.refusals([BLUE])) == ["n2"]
    assert versions.refusals([replace(BLUE, private={})]) == {}
    assert TypeVersions([paint("n1", "1")]).refusals([BLUE]) == {}, "what all have was looked at when it was stored"


def test_a_group_does_not_go_where_its_properties_are_not_known() -> None:
    cluster = SimCluster(SimSettings(seed=3))
    for name, machine in cluster.machines.items():
        machine.types["shared"] = (*machine.usual_types(), paint(name, "1" if name == "n2" else "2"))
    cluster.start()
    cluster.run_for(3000)
    cluster.add_group("web", {"server": ""}, preferred=("n1", "n2", "n3"))
    record, group = cluster.view().resource("server"), cluster.view().group("web")
    assert record is not None and group is not None
    cluster.commit(lambda draft: draft.replace(replace(record, type="paint", private=BLUE.private)))
    assert cluster.run_until(lambda: cluster.is_online("web", on="n1"))
    cluster.commit(lambda draft: draft.replace(replace(group, move=MoveRequest("m1", NodeId("n2")))))
    cluster.run_for(5000)
    assert cluster.is_online("web", on="n1"), "it was stopped for a move that must fail"
    cluster.kill("n1")
    assert cluster.run_until(lambda: cluster.is_online("web", on="n3"), patience_ms=20_000)
    assert sum(run.resource == "server" for run in cluster.ledger.runs) == 2
