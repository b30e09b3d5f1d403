"""A simulated cluster, what is foreseen of it, and where its groups are. Shared by the tests of foresight."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from clusterd.database import DatabaseView, Draft
from clusterd.foresight import Foresight, Outlook, StepKind, foresee
from clusterd.model.ids import NodeId
from clusterd.model.records import PauseRequest, Properties
from clusterd.model.states import MembershipState
from clusterd.sim import SimCluster, SimSettings

NAMES = ("n1", "n2", "n3")
Change = Callable[[DatabaseView], Draft]


def started_cluster(names: tuple[str, ...] = NAMES, *, seed: int = 1) -> SimCluster:
    """Every node is up and nothing runs yet."""
    cluster = SimCluster(SimSettings(nodes=names, has_fence=True, seed=seed))
    cluster.start()
    assert cluster.run_until(lambda: cluster.leader() is not None)
    assert cluster.run_until(lambda: all(_is_up(cluster, name) for name in names))
    return cluster


def settled_cluster(groups: Mapping[str, tuple[str, ...]]) -> SimCluster:
    """Three nodes and groups (name → preferred owners), all online."""
    cluster = started_cluster()
    for name, preferred in groups.items():
        add_group(cluster, name, preferred)
    assert cluster.run_until(lambda: all(cluster.is_online(name) for name in groups))
    cluster.run_for(1000)
    return cluster


def add_group(
    cluster: SimCluster, name: str, preferred: tuple[str, ...], group_properties: Properties | None = None
) -> None:
    resources = {f"{name}-a": "", f"{name}-b": f"[{name}-a]"}
    cluster.add_group(name, resources, preferred=preferred, group_properties=group_properties)


def foreseen(cluster: SimCluster, change: Change) -> Foresight:
    view = cluster.view()
    digest, revision = view.database.digest, view.revision
    found = foresee(view, change(view), outlook_of(view))
    assert (view.database.digest, view.revision) == (digest, revision), "looking ahead must change nothing"
    return found


def outlook_of(view: DatabaseView) -> Outlook:
    return Outlook(tuple(each.name for each in view.nodes()), 1_000_000, view.database.cluster_ms)


def drain_node(view: DatabaseView, name: str) -> Draft:
    node = view.node(name)
    assert node is not None
    return Draft(view).put(replace(node, pause=PauseRequest("drain-1", is_drain=True)))


def commit(cluster: SimCluster, change: Change) -> None:
    """Carry out at the leader what was imagined."""
    machine = cluster.machines[NodeId(cluster.leader() or "")]
    assert machine.node is not None
    cluster.commit_soon(change(machine.node.replica.view).build("imagined"), machine)


def owners_after(cluster: SimCluster, found: Foresight) -> dict[str, str]:
    """Where every group would run; empty: nowhere."""
    now = owners_now(cluster)
    for each in found.happenings:
        now[each.group] = each.target if each.kind is not StepKind.STOPS else ""
    return now


def owners_now(cluster: SimCluster) -> dict[str, str]:
    return {
        str(each.name): cluster.group_state(each.name)[1] if cluster.is_online(each.name) else ""
        for each in cluster.view().groups()
    }


def _is_up(cluster: SimCluster, name: str) -> bool:
    member = cluster.view().membership(name)
    return member is not None and member.state is MembershipState.UP
