"""What is told about capacity? Pure."""

from typing import Any

from clusterd.foresight.votes import VotesLeft
from clusterd.leader.capacity import CapacityAnswer, Loss, NodeCapacity, Stranded


def capacity_view(found: CapacityAnswer, votes: VotesLeft) -> dict[str, Any]:
    """Enough is what has both: votes to decide, and room."""
    return {
        "failures": found.failures,
        "enough": found.is_enough and votes.is_enough,
        "summary": found.sentence if votes.is_enough else votes.sentence,
        "has_room": found.is_enough,
        "votes": {
            "votes": votes.votes,
            "needed": votes.needed,
            "left": votes.left,
            "enough": votes.is_enough,
            "bearable": votes.bearable,
            "witness": votes.has_witness,
            "text": votes.sentence,
        },
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
