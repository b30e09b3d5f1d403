"""What would follow from a change, as the API tells it? Pure.

node n2 down      drain n1      group web online|offline|move [n2]      resource web-server online|offline
"""

from collections.abc import Callable
from typing import Any

from clusterd.api import operations
from clusterd.api.finding import find_node
from clusterd.api.moves import MoveWish, group_move
from clusterd.api.node_operations import DrainWish, node_drain
from clusterd.api.plans import Asked, Plan, Planner
from clusterd.api.port import NodeStatus
from clusterd.database import DatabaseView, Draft
from clusterd.foresight import Foresight, Happening, NotRunning, Outlook, StepKind, lose_node
from clusterd.model.errors import BadInput
from clusterd.model.records import Candidate
from clusterd.model.states import MembershipState

WORDS_MAX = 8
HINT = "write 'node n2 down', 'drain n1', 'group web offline' or 'group web move n2'"
_NAMED: dict[tuple[str, str], Callable[[str], Planner]] = {
    ("group", "online"): operations.group_online,
    ("group", "offline"): operations.group_offline,
    ("resource", "online"): operations.resource_online,
    ("resource", "offline"): operations.resource_offline,
}
_COUNTED = {
    StepKind.MOVES: ("moves", "move"),
    StepKind.STARTS: ("starts", "start"),
    StepKind.STOPS: ("stops", "stop"),
    StepKind.STAYS: ("stays where it is", "stay where they are"),
}


def parse_what_if(text: str) -> Planner:
    """The change that `text` imagines. Raises BadInput; what does not exist is refused when it is planned."""
    match text.split()[: WORDS_MAX + 1]:
        case ["node", name, "down"]:
            return _node_down(name)
        case ["drain", name] | ["node", name, "drain"]:
            return node_drain(name, DrainWish())
        case ["group", name, "move"]:
            return group_move(name, MoveWish())
        case ["group", name, "move", target]:
            return group_move(name, MoveWish(target))
        case [kind, name, verb] if (kind, verb) in _NAMED:
            return _NAMED[kind, verb](name)
        case _:
            raise BadInput(f"{text!r} is nothing that can be imagined", hint=HINT)


def _node_down(name: str) -> Planner:
    def plan(view: DatabaseView, asked: Asked) -> Plan:
        node = find_node(view, name).name
        member = view.membership(node)
        if member is not None and member.state is MembershipState.DOWN:
            return Plan(Draft(view), notes=[f"{node} is down already"])
        return Plan(lose_node(view, node, asked.wall_ms))

    return plan


def outlook_of(status: NodeStatus) -> Outlook:
    """From where this node looks ahead."""
    voters = tuple(each.node for each in status.peers if each.has_vote)
    return Outlook(voters, status.wall_ms, status.cluster_ms, status.local_minute)


def foresight_view(found: Foresight) -> dict[str, Any]:
    return {
        "summary": summary_of(found),
        "keeps_quorum": found.keeps_quorum,
        "complete": found.is_complete,
        "happenings": [_happening(each) for each in found.happenings],
        "not_running": [_not_running(each) for each in found.not_running],
    }


def summary_of(found: Foresight) -> str:
    """One sentence: how many groups move, start, stop, and what would have no node."""
    if not found.keeps_quorum:
        stopped = {each.group for each in found.happenings if each.kind is StepKind.STOPS}
        told = _counted(len(stopped), *_COUNTED[StepKind.STOPS]) if stopped else "no group runs that could stop"
        return f"too few votes would be left: {told}, and nothing can be changed"
    lost = {each.group for each in found.not_running if each.was_running}
    groups = {kind: {each.group for each in found.happenings if each.kind is kind} for kind in StepKind}
    groups[StepKind.STOPS] -= lost
    parts = [_counted(len(names), *_COUNTED[kind]) for kind, names in groups.items() if names]
    if lost:
        parts.append(_counted(len(lost), "would not run any more", "would not run any more"))
    told = "; ".join(parts) or "no group starts, stops or moves"
    return told if found.is_complete else f"{told}; more would follow than was looked at"


def _counted(count: int, one: str, many: str) -> str:
    return f"1 group {one}" if count == 1 else f"{count} groups {many}"


def _happening(each: Happening) -> dict[str, Any]:
    return {
        "kind": each.kind.value,
        "group": each.group,
        "source": each.source or None,
        "target": each.target or None,
        "after_ms": each.after_ms,
        "text": each.text,
        "rule": each.rule,
        "because": each.because,
        "candidates": _candidates(each.candidates),
    }


def _not_running(each: NotRunning) -> dict[str, Any]:
    return {
        "group": each.group,
        "was_running": each.was_running,
        "reason": each.reason,
        "status": list(each.status),
        "candidates": _candidates(each.candidates),
    }


def _candidates(candidates: tuple[Candidate, ...]) -> list[dict[str, Any]]:
    return [{"node": each.node, "is_chosen": each.is_chosen, "reason": each.reason} for each in candidates]
