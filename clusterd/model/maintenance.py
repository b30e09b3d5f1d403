"""Who asked to keep hands off a group or a resource, and on which level? Pure. The one place that knows the order."""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from clusterd.model.records import ClusterRecord, GroupRecord, Maintenance, NodeRecord, ResourceRecord


class Level(StrEnum):
    """Of what maintenance can be asked for, the widest first."""

    CLUSTER = "cluster"
    NODE = "node"
    GROUP = "group"
    RESOURCE = "resource"


class HandsOff(NamedTuple):
    """Of what maintenance was asked for, and the request. The cluster needs no name."""

    level: Level
    name: str
    maintenance: Maintenance

    @property
    def scope(self) -> str:
        """As in 'group web', or 'the cluster'."""
        return "the cluster" if self.level is Level.CLUSTER else f"{self.level} {self.name}"

    @property
    def text(self) -> str:
        """As in 'hands off: group web is in maintenance (new firmware), asked for by ann'."""
        asked = self.maintenance
        reason = f" ({asked.reason})" if asked.reason else ""
        return f"hands off: {self.scope} is in maintenance{reason}, asked for by {asked.asked_by or 'an operator'}"


def group_hands_off(cluster: ClusterRecord, node: NodeRecord | None, group: GroupRecord) -> HandsOff | None:
    """Maintenance that covers a whole group on its owner: the cluster's, the node's or its own."""
    if cluster.maintenance is not None:
        return HandsOff(Level.CLUSTER, "", cluster.maintenance)
    if node is not None and node.maintenance is not None:
        return HandsOff(Level.NODE, node.name, node.maintenance)
    if group.maintenance is not None:
        return HandsOff(Level.GROUP, group.name, group.maintenance)
    return None


def resource_hands_off(
    cluster: ClusterRecord, node: NodeRecord | None, group: GroupRecord, resource: ResourceRecord
) -> HandsOff | None:
    """Maintenance that covers one resource: its group's, or its own."""
    covering = group_hands_off(cluster, node, group)
    if covering is None and resource.maintenance is not None:
        return HandsOff(Level.RESOURCE, resource.name, resource.maintenance)
    return covering


def group_pinned_by(covering: HandsOff | None, resources: Iterable[ResourceRecord]) -> HandsOff | None:
    """What keeps a group where it is: maintenance that covers it, or that of one resource, which nobody may stop."""
    pinning = ((each, each.maintenance) for each in resources if each.maintenance is not None)
    own = next((HandsOff(Level.RESOURCE, resource.name, asked) for resource, asked in pinning), None)
    return covering if covering is not None else own
