"""Who asked to keep hands off a group or a resource, and on which level? Pure. The one place that knows the order."""

from collections.abc import Iterable
from typing import NamedTuple

from clusterd.model.records import ClusterRecord, GroupRecord, Maintenance, NodeRecord, ResourceRecord


class HandsOff(NamedTuple):
    """Where maintenance was asked for, and the request."""

    scope: str
    maintenance: Maintenance

    @property
    def text(self) -> str:
        """As in 'hands off: group web is in maintenance (new firmware), asked for by ann'."""
        asked = self.maintenance
        reason = f" ({asked.reason})" if asked.reason else ""
        return f"hands off: {self.scope} is in maintenance{reason}, asked for by {asked.asked_by or 'an operator'}"


def group_hands_off(cluster: ClusterRecord, node: NodeRecord | None, group: GroupRecord) -> HandsOff | None:
    """Maintenance that covers a whole group on its owner: the cluster's, the node's or its own."""
    if cluster.maintenance is not None:
        return HandsOff("the cluster", cluster.maintenance)
    if node is not None and node.maintenance is not None:
        return HandsOff(f"node {node.name}", node.maintenance)
    if group.maintenance is not None:
        return HandsOff(f"group {group.name}", group.maintenance)
    return None


def resource_hands_off(
    cluster: ClusterRecord, node: NodeRecord | None, group: GroupRecord, resource: ResourceRecord
) -> HandsOff | None:
    """Maintenance that covers one resource: its group's, or its own."""
    covering = group_hands_off(cluster, node, group)
    if covering is None and resource.maintenance is not None:
        return HandsOff(f"resource {resource.name}", resource.maintenance)
    return covering


def group_pinned_by(covering: HandsOff | None, resources: Iterable[ResourceRecord]) -> HandsOff | None:
    """What keeps a group where it is: maintenance that covers it, or that of one resource, which nobody may stop."""
    pinning = ((each, each.maintenance) for each in resources if each.maintenance is not None)
    own = next((HandsOff(f"resource {resource.name}", asked) for resource, asked in pinning), None)
    return covering if covering is not None else own
