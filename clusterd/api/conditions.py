"""Is what somebody waits for true yet, and can it still become true? Pure.

group web online [on n2]     group web settled | nowhere | hands-off | hands-on | deleted     group web moved by ID
resource db failed [on n2]   resource db failed by ID | killed by ID | restarted by ID | hands-off | hands-on | deleted
node n1 up | down | paused   node n1 drained [by ID] | resumed | trusted | hands-off | hands-on | ended RUN
cluster healthy              cluster hands-off | hands-on
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from clusterd.api.finding import find_group, find_node, find_resource, observe
from clusterd.api.group_views import because, next_action, planned_text
from clusterd.api.maintenance import groups_on, waiting_groups
from clusterd.api.migrating import LEAVING, is_queued_move, migration_text
from clusterd.api.node_views import current_drain, drain_text, is_quarantined, node_state, pause_view
from clusterd.api.observed import ObservedGroup, ObservedResource, observe_groups
from clusterd.api.port import NodeStatus
from clusterd.api.resuming import still_to_come
from clusterd.api.views import status_document
from clusterd.database import DatabaseView
from clusterd.leader.namesakes import held_names
from clusterd.leader.standing import is_left
from clusterd.model.dependencies import parse_dependency
from clusterd.model.errors import BadInput
from clusterd.model.ids import key_of
from clusterd.model.settings_check import nearest
from clusterd.model.states import (
    DecisionCode,
    DrainState,
    GroupState,
    MembershipState,
    NextAction,
    NodeState,
    Order,
    ResourceState,
    Wanted,
)

HINT = (
    "write 'group web online', 'group web online on n2', 'resource db online', 'node n1 up', 'node n1 drained' "
    "or 'cluster healthy'"
)
HANDS = ("hands-off", "hands-on")
_WORDS: dict[str, tuple[str, ...]] = {
    "group": (*GroupState, "settled", "nowhere", "deleted", "moved", *HANDS),
    "resource": (*ResourceState, "killed", "deleted", *HANDS),
    "node": (*NodeState, "drained", "resumed", "trusted", "ended", *HANDS),
    "cluster": ("healthy", *HANDS),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """`is_impossible` says that waiting longer cannot help; `now` is the present state in a sentence."""

    is_reached: bool
    now: str
    is_impossible: bool = False
    is_refused: bool = False
    """It cannot become true because a rule or somebody's setting forbids it. Nothing was changed."""


Condition = Callable[[DatabaseView, NodeStatus], Answer]


def parse_condition(text: str) -> Condition:
    """The condition in `text`. Raises BadInput; a look raises NotFound for a name that there is not."""
    words = text.split()
    match words:
        case ["cluster", "healthy"]:
            return _healthy
        case ["cluster", word] if word in HANDS:
            return lambda view, status: _hands(view, status, "the cluster", "", is_on=word == "hands-off")
        case ["group", name, *rest]:
            found = _group_condition(text, name, rest)
        case ["resource", name, *rest]:
            found = _resource_condition(text, name, rest)
        case ["node", name, *rest]:
            found = _node_condition(name, rest)
        case _:
            found = None
    if found is None:
        raise BadInput(f"{text!r} is nothing that can be waited for{_nearest_word(words)}", hint=HINT)
    return found


def _nearest_word(words: list[str]) -> str:
    if len(words) < 2 or words[0] not in _WORDS:
        return ""
    word = words[1] if words[0] == "cluster" else words[2] if len(words) > 2 else ""
    return f": {nearest(word, _WORDS[words[0]])}" if word and word not in _WORDS[words[0]] else ""


def _group_condition(text: str, name: str, rest: list[str]) -> Condition | None:
    match rest:
        case ["moved", "by", request_id]:
            return lambda view, status: _moved(view, status, name, request_id)
        case ["deleted"]:
            return lambda view, _: _deleted(view, name)
        case ["nowhere"]:
            return lambda view, status: _nowhere(observe(view, status, name))
        case [word] if word in HANDS:
            return lambda view, status: _group_hands(observe(view, status, name), is_on=word == "hands-off")
        case [state, *place] if state in (*GroupState, "settled") and len(place) in (0, 2):
            return _group(name, state, _node_of(text, place))
        case _:
            return None


def _resource_condition(text: str, name: str, rest: list[str]) -> Condition | None:
    match rest:
        case [("failed" | "killed" | "restarted") as done, "by", request_id]:
            return lambda view, status: _done_by(view, status, name, done, request_id)
        case ["deleted"]:
            return lambda view, _: _resource_deleted(view, name)
        case [word] if word in HANDS:
            return lambda view, status: _resource_hands(view, status, name, is_on=word == "hands-off")
        case [state, *place] if state in list(ResourceState) and len(place) in (0, 2):
            return _resource(name, state, _node_of(text, place))
        case _:
            return None


def _node_condition(name: str, rest: list[str]) -> Condition | None:
    match rest:
        case ["drained"]:
            return lambda view, _: _drained(view, name, "")
        case ["drained", "by", request_id]:
            return lambda view, _: _drained(view, name, request_id)
        case ["resumed"]:
            return lambda view, status: _resumed(view, status, name)
        case ["trusted"]:
            return lambda view, status: _trusted(view, status, name)
        case ["ended", incarnation]:
            return lambda view, _: _ended(view, name, incarnation)
        case [word] if word in HANDS:
            return lambda view, status: _hands(view, status, f"node {name}", name, is_on=word == "hands-off")
        case [state] if state in list(NodeState):
            return lambda view, _: _node(view, name, state)
        case _:
            return None


def _node_of(text: str, rest: list[str]) -> str:
    if rest and rest[0] != "on":
        raise BadInput(f"{text!r} is nothing that can be waited for", hint=HINT)
    return rest[1] if rest else ""


def _healthy(view: DatabaseView, status: NodeStatus) -> Answer:
    problems = status_document(view, status)["problems"]
    return Answer(not problems, problems[0] if problems else "the cluster is healthy")


def _deleted(view: DatabaseView, name: str) -> Answer:
    """Deleted, and given up by whoever had it: from then on what it had may be made elsewhere."""
    found, assignment = view.group(name), view.assignment(name)
    if found is not None:
        return Answer(False, f"group {found.name} still exists")
    if assignment is not None and not is_left(view, assignment):
        return Answer(False, f"group {name} is deleted, and {assignment.owner} has not given it up yet")
    return Answer(True, f"group {name} is deleted")


def _resource_deleted(view: DatabaseView, name: str) -> Answer:
    found = view.resource(name)
    if found is not None:
        return Answer(False, f"resource {found.name} still exists")
    holder = next(iter(held_names(view).get(key_of(name), ())), None)
    if holder is not None:
        return Answer(False, f"resource {name} is deleted, and {holder.owner} has not given it up yet")
    return Answer(True, f"resource {name} is deleted")


def _group(name: str, state: str, node: str) -> Condition:
    def look(view: DatabaseView, status: NodeStatus) -> Answer:
        group = observe(view, status, name)
        is_state = group.is_settled if state == "settled" else group.state.value == state
        is_there = not node or key_of(group.owner or "") == key_of(find_node(view, node).name)
        is_reached = is_state and is_there and not _is_leaving(group)
        failed = failed_for_good(group, status) if state in ("settled", GroupState.ONLINE) else ""
        return Answer(is_reached, failed or _group_now(group), is_impossible=bool(failed) and not is_reached)

    return look


def failed_for_good(group: ObservedGroup, status: NodeStatus) -> str:
    """Why nothing will bring it online within any patience, in a sentence; empty when something still may.

    A timed retry after an hour counts as nothing. Until the owner knows what was asked for last, everything is open.
    """
    assignment, report = group.assignment, group.report
    if assignment is None or report is None:
        return ""
    if group.state is not GroupState.FAILED and not assignment.blocked_until_cluster_ms:
        return ""  # what no node can run is offline, and another node is still to be tried
    if assignment.order is Order.RELEASE or report.reset_id != group.record.reset_id:
        return ""
    if report.failed_over_by and not assignment.blocked_until_cluster_ms:
        return ""  # the leader has not decided yet
    hopeless = [each for each in group.resources if _is_hopeless(each)]
    if not hopeless:
        return ""
    step = next_action(group, status)
    later = f"; {planned_text(step)}" if step is not None and step["at"] else ""
    told = "; ".join(f"{each.record.name}: {each.cause}" for each in hopeless)
    return f"group {group.record.name} failed on {group.owner} and is not tried again now: {told}{later}"


def _is_hopeless(resource: ObservedResource) -> bool:
    is_wanted = resource.wanted_state is ResourceState.ONLINE
    if resource.report is None or not is_wanted:
        return False
    if resource.state is ResourceState.OFFLINE:
        return resource.report.next_action is NextAction.RETRY
    return resource.state is ResourceState.FAILED and resource.report.next_action in _RESTS


_RESTS = frozenset({NextAction.NONE, NextAction.RETRY, NextAction.REST})


def _nowhere(group: ObservedGroup) -> Answer:
    return Answer(group.owner is None, _group_now(group))


def _resource(name: str, state: str, node: str) -> Condition:
    def look(view: DatabaseView, status: NodeStatus) -> Answer:
        group, found = _find(view, status, name)
        is_there = not node or key_of(group.owner or "") == key_of(find_node(view, node).name)
        now = f"resource {found.record.name} is {found.state} on {group.owner or 'no node'}: {found.cause}"
        is_reached = found.state.value == state and is_there
        if state == ResourceState.ONLINE and not is_reached and _is_needed_hopeless(group, found):
            failed = failed_for_good(group, status)
            return Answer(False, failed or now, is_impossible=bool(failed))
        return Answer(is_reached, now)

    return look


def _is_needed_hopeless(group: ObservedGroup, resource: ObservedResource) -> bool:
    """The resource, or something that it cannot do without, will not come online within any patience."""
    by_key = {key_of(each.record.name): each for each in group.resources}
    seen: set[str] = set()
    waiting = [key_of(resource.record.name)]
    while waiting:
        key = waiting.pop()
        if key in seen or key not in by_key:
            continue
        seen.add(key)
        if _is_hopeless(by_key[key]):
            return True
        terms = parse_dependency(by_key[key].record.depends_on).terms
        waiting += [key_of(term[0]) for term in map(tuple, terms) if len(term) == 1]
    return False


def _find(view: DatabaseView, status: NodeStatus, name: str) -> tuple[ObservedGroup, ObservedResource]:
    group = observe(view, status, find_resource(view, name).group)
    return group, next(each for each in group.resources if key_of(each.record.name) == key_of(name))


def _done_by(view: DatabaseView, status: NodeStatus, name: str, done: str, request_id: str) -> Answer:
    """Whether the owner has carried out a simulated failure, a kill or a restart."""
    _, found = _find(view, status, name)
    report = found.report
    ids = {} if report is None else {"killed": report.kill_id, "failed": report.fail_id, "restarted": report.restart_id}
    is_done = ids.get(done) == request_id and (done != "restarted" or found.state is ResourceState.ONLINE)
    return Answer(is_done, f"resource {found.record.name} is {found.state}: {found.cause}")


# ---- nodes ----


def _node(view: DatabaseView, name: str, state: str) -> Answer:
    record = find_node(view, name)
    member = view.membership(record.name)
    now = node_state(member, record).value
    pause = pause_view(record)
    why = f": {member.because}" if member and member.because else ""
    if pause is not None and now == NodeState.PAUSED.value:
        why = f": {pause['by'] or 'an operator'} paused it at {pause['since']}"
    return Answer(now == state, f"node {record.name} is {now}{why}")


def _resumed(view: DatabaseView, status: NodeStatus, name: str) -> Answer:
    """Whether the node may gain groups again, and has back what of the drained ones was to come back."""
    up = _node(view, name, NodeState.UP)
    to_come = still_to_come(view, status, name) if up.is_reached else []
    return replace(up, is_reached=up.is_reached and not to_come, now="; ".join([up.now, *to_come]))


def _drained(view: DatabaseView, name: str, request_id: str) -> Answer:
    record = find_node(view, name)
    pause = record.pause
    if pause is None or not pause.is_drain:
        now = f"nobody wants node {record.name} drained" if not request_id else f"the drain of {record.name} was ended"
        return Answer(False, now, is_impossible=bool(request_id))
    if request_id and pause.id != request_id:
        return Answer(False, f"another drain of {record.name} was asked for since", is_impossible=True)
    drain = current_drain(view, record)
    is_failed = drain is not None and drain.state is DrainState.FAILED and not pause.is_retried
    is_reached = drain is not None and drain.state is DrainState.COMPLETED
    return Answer(is_reached, f"node {record.name}: {drain_text(view, record)}", is_impossible=is_failed)


def _trusted(view: DatabaseView, status: NodeStatus, name: str) -> Answer:
    record = find_node(view, name)
    member = view.membership(record.name)
    is_out = is_quarantined(member, record, status)
    return Answer(not is_out, f"node {record.name} is {'' if is_out else 'not '}quarantined")


def _ended(view: DatabaseView, name: str, incarnation: str) -> Answer:
    """Whether it is proven that one run of the node is over."""
    record = find_node(view, name)
    member = view.membership(record.name)
    is_other = member is not None and member.incarnation != incarnation
    is_over = is_other or (member is not None and member.state is MembershipState.DOWN)
    why = f": {member.because}" if member is not None else ""
    return Answer(is_over, f"run {incarnation} of {record.name} is {'over' if is_over else 'not over yet'}{why}")


# ---- maintenance ----


def _hands(view: DatabaseView, status: NodeStatus, scope: str, node: str, *, is_on: bool) -> Answer:
    groups = observe_groups(view, is_quorate=status.is_quorate, unheard=status.unheard)
    if node:
        groups = groups_on(groups, find_node(view, node).name)
    waiting = waiting_groups(groups, is_on=is_on)
    now = f"{scope}: {_hands_text(is_on)}" + (f"; still to come for {', '.join(waiting)}" if waiting else "")
    return Answer(not waiting, now)


def _group_hands(group: ObservedGroup, *, is_on: bool) -> Answer:
    is_reached = not waiting_groups([group], is_on=is_on)
    waits = "" if is_reached else f"; that waits for the end of what is under way: {because(group)}"
    return Answer(is_reached, f"group {group.record.name}: {_hands_text(is_on)}{waits}")


def _resource_hands(view: DatabaseView, status: NodeStatus, name: str, *, is_on: bool) -> Answer:
    group, found = _find(view, status, name)
    is_off = found.report.is_hands_off if found.report is not None else group.owner is None and is_on
    waits = "" if is_off is is_on else f"; that waits for the end of what is under way: {found.cause}"
    return Answer(is_off is is_on, f"resource {found.record.name}: {_hands_text(is_on)}{waits}")


def _hands_text(is_on: bool, /) -> str:
    return "hands are kept off" if is_on else "hands are no longer kept off"


# ---- moves ----


def _moved(view: DatabaseView, status: NodeStatus, name: str, request_id: str) -> Answer:
    """Carried out, and settled where it went; or cancelled or given up, which is an end too."""
    group = observe(view, status, find_group(view, name).name)
    move, assignment = group.record.move, group.assignment
    if move is None:
        return Answer(False, f"the move of {group.record.name} was cancelled", is_impossible=True)
    if move.id != request_id:
        return Answer(False, "another move was asked for since", is_impossible=True)
    if assignment is not None and is_queued_move(assignment):
        return Answer(False, f"the move of {group.record.name} waits in the queue: {assignment.because.text}")
    if assignment is None or assignment.move_id != request_id or assignment.order in LEAVING:
        return Answer(False, migration_text(view, group) or _group_now(group))
    if assignment.because.code in (DecisionCode.MOVE_GIVEN_UP, DecisionCode.MIGRATION_GIVEN_UP):
        return Answer(
            False,
            assignment.because.text,
            is_impossible=True,
            is_refused=assignment.because.code is DecisionCode.MOVE_GIVEN_UP,
        )
    if assignment.because.code is DecisionCode.RETURNED:
        return Answer(False, f"it is back on {assignment.owner}: {assignment.because.text}", is_impossible=True)
    if not group.is_settled:
        failed = failed_for_good(group, status)
        return Answer(False, failed or _group_now(group), is_impossible=bool(failed))
    if move.target and key_of(move.target) != key_of(assignment.owner):
        now = f"it went to {assignment.owner or 'no node'} instead: {assignment.because.text}"
        return Answer(False, now, is_impossible=True)
    return Answer(True, _group_now(group))


def _is_leaving(group: ObservedGroup) -> bool:
    """Told to release what it still runs: online for a moment longer, and nothing to count on."""
    released = group.assignment is not None and group.assignment.order is Order.RELEASE
    return released and group.record.wanted is Wanted.ONLINE


def _group_now(group: ObservedGroup) -> str:
    return f"group {group.record.name} is {group.state} on {group.owner or 'no node'}: {because(group)}"
