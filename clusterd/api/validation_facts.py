"""What of the cluster does a validation judge? Pure: from the database and what the answering node knows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from clusterd.api.group_views import because
from clusterd.api.node_views import node_state
from clusterd.api.observed import ObservedResource, observe_groups
from clusterd.api.port import NodeStatus
from clusterd.database import DatabaseView
from clusterd.leader.capacity import CapacityAnswer
from clusterd.leader.type_versions import variants
from clusterd.model.clients import clients
from clusterd.model.ids import key_of
from clusterd.model.records import FenceRecord, ResourceRecord, ResourceTypeRecord
from clusterd.model.settings import cluster_settings, node_settings
from clusterd.model.settings_relations import cluster_notes, cluster_problems
from clusterd.validation import ClusterFacts, Disk, DiskSeen, Group, Node


def cluster_facts(
    view: DatabaseView,
    status: NodeStatus,
    capacity: CapacityAnswer,
    disks: Sequence[Disk] = (),
) -> ClusterFacts:
    """`disks`: what is known of them (`placed_disk`)."""
    record = view.cluster()
    times = cluster_settings(record)
    votes = {peer.node: peer.has_vote for peer in status.peers}
    stranded = {each.group for loss in capacity.losses for each in loss.stranded}
    return ClusterFacts(
        name=record.name,
        asked=status.node,
        is_quorate=status.is_quorate,
        leader=status.leader or "",
        wall_ms=status.wall_ms,
        delay_ms=times.same_subnet_delay_ms,
        silence_max_ms=times.silence_max_ms,
        run_lease_ms=times.run_lease_ms,
        stop_budget_ms=times.stop_budget_ms,
        setting_problems=tuple(cluster_problems(times)),
        setting_notes=tuple(cluster_notes(record.properties)),
        nodes=tuple(
            Node(
                each.name,
                node_state(view.membership(each.name), each).value,
                votes.get(each.name, True),
                node_settings(each).avoid_placement,
            )
            for each in view.nodes()
        ),
        groups=groups_of(view, status),
        disks=tuple(disks),
        fence_agents={each.name: _agents(view.fences(), each.name) for each in view.nodes()},
        types=types_by_node(view),
        type_versions=_versions(view),
        outside=tuple(_outside(view)),
        capacity=capacity.sentence,
        is_capacity_enough=capacity.is_enough,
        stranded=tuple(sorted(stranded | {each.group for each in capacity.homeless})),
    )


def _outside(view: DatabaseView) -> Iterator[tuple[str, str, str, str]]:
    for record in view.resources():
        for each in clients(record.private):
            yield record.name, each.name, each.because, each.instead


def groups_of(view: DatabaseView, status: NodeStatus) -> tuple[Group, ...]:
    found = []
    for group in observe_groups(view, is_quorate=status.is_quorate, unheard=status.unheard):
        records = [each.record for each in group.resources]
        found.append(
            Group(
                group.record.name,
                group.state.value,
                group.record.wanted.value,
                group.owner or "",
                possible_owners(view, records),
                tuple(sorted({each.type for each in records})),
                sum(_number(each, "memory_demand") for each in records),
                sum(_number(each, "core_demand") for each in records),
                because(group),
                tuple(_part(each) for each in group.resources),
            )
        )
    return tuple(found)


def _part(resource: ObservedResource) -> str:
    record = resource.record
    needs = f", depends on {record.depends_on}" if record.depends_on else ""
    return f"{record.name} ({record.type}, {resource.state}{needs})"


def possible_owners(view: DatabaseView, resources: Sequence[ResourceRecord]) -> tuple[str, ...]:
    """Nodes on which every one of these may run, in join order."""
    allowed = [{key_of(node) for node in each.possible_owners} for each in resources if each.possible_owners]
    return tuple(str(each.name) for each in view.nodes() if all(key_of(each.name) in owners for owners in allowed))


def types_by_node(view: DatabaseView) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for each in view.resource_types():
        found[each.name] = (*found.get(each.name, ()), str(each.node))
    return found


def disk_of(record: ResourceRecord, state: str, said: Mapping[str, object], trouble: str = "") -> Disk:
    """From a disk's answer to `status`."""
    standing = str(said.get("standing", ""))
    return Disk(
        record.name,
        record.group,
        state,
        guarantee=str(said.get("guarantee", "")),
        is_reserved=standing == "held",
        holder=str(said.get("key", "")),
        trouble=trouble,
    )


def placed_disk(view: DatabaseView, disk: Disk, seen: Mapping[str, Mapping[str, DiskSeen]]) -> Disk:
    """What its owner said of a disk, with what each node finds of it: by node and disk."""
    owners = possible_owners(view, view.resources_of(disk.group))
    found = {node: told[disk.resource] for node, told in seen.items() if disk.resource in told}
    return replace(disk, possible_owners=owners, seen=found)


def _agents(fences: Sequence[FenceRecord], node: str) -> tuple[str, ...]:
    return tuple(
        each.name for each in fences if not each.nodes or key_of(node) in {key_of(other) for other in each.nodes}
    )


def _versions(view: DatabaseView) -> Mapping[str, tuple[str, ...]]:
    by_type: dict[str, list[ResourceTypeRecord]] = {}
    for each in view.resource_types():
        by_type.setdefault(each.name, []).append(each)
    return {
        name: tuple(f"{text} on {', '.join(who)}" for text, who in variants(there)) for name, there in by_type.items()
    }


def _number(record: ResourceRecord, name: str) -> int:
    value = record.properties.get(name, 0)
    return value if isinstance(value, int) else 0
