"""What is told about capacity? Pure."""

from typing import Any

from clusterd.leader.capacity import CapacityAnswer, Loss, NodeCapacity, Stranded


def capacity_view(found: CapacityAnswer) -> dict[str, Any]:
    return {
        "failures": found.failures,
        "enough": found.is_enough,
        "summary": found.sentence,
        "complete": found.is_complete,
        "looked_at": found.looked_at,
        "possible": found.possible,
        "nodes": [_node(each) for each in found.nodes],
        "homeless": [_stranded(each) for each in found.homeless],
        "losses": [_loss(each) for each in found.losses],
    }


def _node(each: NodeCapacity) -> dict[str, Any]:
    return {
        "name": each.node,
        "groups": each.groups,
        "memory_mib": each.memory_mib,
        "memory_used_mib": each.memory_used_mib,
        "memory_free_mib": each.memory_free_mib,
        "cores": each.cores,
        "cores_used": each.cores_used,
        "cores_free": each.cores_free,
        "refusal": each.refusal,
    }


def _loss(each: Loss) -> dict[str, Any]:
    return {
        "nodes": list(each.nodes),
        "stranded": [_stranded(group) for group in each.stranded],
        "placed": [{"group": group, "node": node} for group, node in each.placed],
    }


def _stranded(each: Stranded) -> dict[str, Any]:
    return {"group": each.group, "status": each.status.value, "reason": each.reason}
