"""Is what somebody waits for true yet, and can it still become true? Pure.

group web online [on n2]      group web settled          resource web-server failed [on n2]
node n1 up                    cluster healthy            group web moved by ID     resource web-server failed by ID
"""

from collections.abc import Callable
from dataclasses import dataclass

from clusterd.api.observed import ObservedGroup
from clusterd.api.port import NodeStatus
from clusterd.api.views import because, find_group, find_node, find_resource, node_state, observe, status_document
from clusterd.database import DatabaseView
from clusterd.model.errors import BadInput, NotFound
from clusterd.model.ids import key_of
from clusterd.model.states import GroupState, NodeState, Order, ResourceState, Wanted

HINT = "write 'group web online', 'group web online on n2', 'resource db online', 'node n1 up' or 'cluster healthy'"


@dataclass(frozen=True, slots=True)
class Answer:
    """`is_impossible` says that waiting longer cannot help; `now` is the present state in a sentence."""

    is_reached: bool
    now: str
    is_impossible: bool = False


Condition = Callable[[DatabaseView, NodeStatus], Answer]


def parse_condition(text: str) -> Condition:
    """The condition in `text`. Raises BadInput; whether the object exists is asked at each look."""
    words = text.split()
    match words:
        case ["cluster", "healthy"]:
            return _healthy
        case ["group", name, state, *rest] if state in (*GroupState, "settled") and len(rest) in (0, 2):
            return _group(name, state, _node_of(text, rest))
        case ["group", name, "moved", "by", request_id]:
            return lambda view, status: _moved(view, status, name, request_id)
        case ["group", name, "deleted"]:
            return lambda view, _: _deleted(view, name)
        case ["resource", name, "failed", "by", request_id]:
            return lambda view, status: _failed_by(view, status, name, request_id)
        case ["resource", name, state, *rest] if state in list(ResourceState) and len(rest) in (0, 2):
            return _resource(name, state, _node_of(text, rest))
        case ["node", name, state] if state in list(NodeState):
            return lambda view, _: _node(view, name, state)
        case _:
            raise BadInput(f"{text!r} is nothing that can be waited for", hint=HINT)


def _node_of(text: str, rest: list[str]) -> str:
    if rest and rest[0] != "on":
        raise BadInput(f"{text!r} is nothing that can be waited for", hint=HINT)
    return rest[1] if rest else ""


def _healthy(view: DatabaseView, status: NodeStatus) -> Answer:
    problems = status_document(view, status)["problems"]
    return Answer(not problems, problems[0] if problems else "the cluster is healthy")


def _deleted(view: DatabaseView, name: str) -> Answer:
    found = view.group(name)
    return Answer(found is None, f"group {name} is deleted" if found is None else f"group {found.name} still exists")


def _group(name: str, state: str, node: str) -> Condition:
    def look(view: DatabaseView, status: NodeStatus) -> Answer:
        try:
            group = observe(view, status, name)
        except NotFound as error:
            return Answer(False, error.message)
        is_state = group.is_settled if state == "settled" else group.state.value == state
        is_there = not node or key_of(group.owner or "") == key_of(node)
        return Answer(is_state and is_there and not _is_leaving(group), _group_now(group))

    return look


def _resource(name: str, state: str, node: str) -> Condition:
    def look(view: DatabaseView, status: NodeStatus) -> Answer:
        try:
            record = find_resource(view, name)
            group = observe(view, status, record.group)
        except NotFound as error:
            return Answer(False, error.message)
        found = next(each for each in group.resources if key_of(each.record.name) == key_of(name))
        is_there = not node or key_of(group.owner or "") == key_of(node)
        now = f"resource {found.record.name} is {found.state} on {group.owner or 'no node'}: {found.cause}"
        return Answer(found.state.value == state and is_there, now)

    return look


def _node(view: DatabaseView, name: str, state: str) -> Answer:
    record = find_node(view, name)
    member = view.membership(record.name)
    now = node_state(member).value
    why = f": {member.because}" if member and member.because else ""
    return Answer(now == state, f"node {record.name} is {now}{why}")


def _moved(view: DatabaseView, status: NodeStatus, name: str, request_id: str) -> Answer:
    """Carried out, and settled where it went; or given up, which is an end too."""
    group = observe(view, status, find_group(view, name).name)
    move, assignment = group.record.move, group.assignment
    if move is None or move.id != request_id:
        return Answer(False, "another move was asked for since", is_impossible=True)
    if assignment is None or assignment.move_id != request_id or assignment.order is Order.RELEASE:
        return Answer(False, _group_now(group))
    if assignment.because.rule == "move: given up":
        return Answer(False, assignment.because.text, is_impossible=True)
    if not group.is_settled:
        return Answer(False, _group_now(group))
    if move.target and key_of(move.target) != key_of(assignment.owner):
        return Answer(False, f"it went to {assignment.owner} instead: {assignment.because.text}", is_impossible=True)
    return Answer(True, _group_now(group))


def _failed_by(view: DatabaseView, status: NodeStatus, name: str, request_id: str) -> Answer:
    record = find_resource(view, name)
    group = observe(view, status, record.group)
    found = next(each for each in group.resources if key_of(each.record.name) == key_of(name))
    is_done = found.report is not None and found.report.fail_id == request_id
    return Answer(is_done, f"resource {record.name} is {found.state}: {found.cause}")


def _is_leaving(group: ObservedGroup) -> bool:
    """Told to release what it still runs: online for a moment longer, and nothing to count on."""
    released = group.assignment is not None and group.assignment.order is Order.RELEASE
    return released and group.record.wanted is Wanted.ONLINE


def _group_now(group: ObservedGroup) -> str:
    return f"group {group.record.name} is {group.state} on {group.owner or 'no node'}: {because(group)}"
