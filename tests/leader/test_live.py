"""What can leave its node while it runs, and how the cluster's own moves go."""

import pytest

from clusterd.database import Database, DatabaseView, Draft
from clusterd.leader.live import kind_of_own_move, live_obstacle
from clusterd.model.ids import GroupId, NodeId, ResourceId
from clusterd.model.records import ClusterRecord, ResourceRecord, ResourceTypeRecord
from clusterd.model.settings import cluster_settings
from clusterd.model.states import MoveKind, Wanted
from clusterd.resource_api import Property, PropertyKind, schema_of

N1, N2, N3 = NodeId("n1"), NodeId("n2"), NodeId("n3")
SETTINGS = cluster_settings(ClusterRecord("", ""))


def world() -> DatabaseView:
    """On n1 and n2 machines can migrate live, on n3 they cannot; stores can unless they have a folder; services and disks
    never can."""
    folder = Property("folder", PropertyKind.TEXT, "where", prevents=("live-migration",))
    database = Database()
    draft = Draft(DatabaseView(database))
    for node in (N1, N2, N3):
        draft.put(ResourceTypeRecord("service", node, "1"))
        draft.put(ResourceTypeRecord("disk", node, "1"))
        draft.put(ResourceTypeRecord("store", node, "1", schema_of([folder]), ("live-migration",)))
        draft.put(ResourceTypeRecord("machine", node, "1", abilities=() if node == N3 else ("live-migration",)))
    database.apply(draft.build("r1"), 1)
    return DatabaseView(database)


def resource(
    name: str, kind: str, depends_on: str = "", wanted: Wanted = Wanted.ONLINE, **private: str
) -> ResourceRecord:
    return ResourceRecord(ResourceId(name), GroupId("g"), kind, wanted, depends_on, private=dict(private))


VM = resource("vm", "machine", "[data]")
DATA = resource("data", "disk")
FREE, BOUND = resource("data", "store"), resource("data", "store", folder="/srv")


@pytest.mark.parametrize(
    ("name", "resources", "target", "words"),
    [
        ("a machine and what it needs", [VM, DATA], N2, ""),
        ("a service beside it would be interrupted", [VM, DATA, resource("web", "service")], N2, "web (service)"),
        ("a service that needs it, too", [VM, DATA, resource("web", "service", "[vm]")], N2, "web (service)"),
        ("not when that is offline anyway", [VM, DATA, resource("web", "service", wanted=Wanted.OFFLINE)], N2, ""),
        (
            "the other node must be able to take it",
            [VM, DATA],
            N3,
            "vm (machine) cannot migrate live: its resource type on n3",
        ),
        ("nothing is to run", [resource("vm", "machine", wanted=Wanted.OFFLINE)], N2, "nothing of it is to be online"),
        ("what it needs goes along", [VM, FREE], N2, ""),
        (
            "what it needs cannot, as its property says",
            [VM, BOUND],
            N2,
            "data (store) cannot migrate live, as it has a folder",
        ),
        ("nothing but that", [BOUND], N2, "data (store) cannot migrate live, as it has a folder"),
    ],
)
def test_obstacle(name: str, resources: list[ResourceRecord], target: NodeId, words: str) -> None:
    found = live_obstacle(world(), resources, N1, target)
    assert found.startswith(words), name
    assert bool(found) is bool(words), name


@pytest.mark.parametrize(
    ("name", "resources", "priority", "target", "kind"),
    [
        ("what has nothing to save just stops", [resource("web", "service")], 3000, N2, MoveKind.UNSAID),
        ("important ones go live", [VM, DATA], 2000, N2, MoveKind.LIVE),
        ("others are saved", [VM, DATA], 1999, N2, MoveKind.QUICK),
        ("with what it needs", [VM, FREE], 2000, N2, MoveKind.LIVE),
        ("what it needs cannot go live", [VM, BOUND], 2000, N2, MoveKind.QUICK),
        ("what cannot go live alone just stops", [BOUND], 2000, N2, MoveKind.UNSAID),
        ("a node that cannot take it live", [VM, DATA], 3000, N3, MoveKind.QUICK),
        (
            "the machine itself says how",
            [resource("vm", "machine", default_move_type="shutdown")],
            3000,
            N2,
            MoveKind.SHUTDOWN,
        ),
        ("also that it is live", [resource("vm", "machine", default_move_type="live")], 0, N2, MoveKind.LIVE),
        ("or by priority", [resource("vm", "machine", default_move_type="by-priority")], 0, N2, MoveKind.QUICK),
    ],
)
def test_kind_of_own_move(
    name: str, resources: list[ResourceRecord], priority: int, target: NodeId, kind: MoveKind
) -> None:
    assert kind_of_own_move(world(), resources, SETTINGS, priority, N1, target) is kind, name
