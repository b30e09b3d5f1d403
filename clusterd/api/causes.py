"""Why is this not running? Pure. The first reason that holds, as a rule with a sentence and what can be done about it.

The order is from what overrides everything to what is particular: what cannot be known, what could not be stopped, what
nobody wants, hands off, an owner that is not proven gone, no node, held back, on its way elsewhere, and last what keeps each
resource down.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from clusterd.api.group_views import ways_out
from clusterd.api.guarantees import fence_lines
from clusterd.api.maintenance import end_command, hands_off_group, hands_off_resource, is_in_force
from clusterd.api.observed import ObservedGroup, ObservedResource, why_not_placed
from clusterd.api.port import NodeStatus
from clusterd.database import DatabaseView
from clusterd.model.dependencies import parse_dependency
from clusterd.model.durations import until_text
from clusterd.model.ids import key_of
from clusterd.model.reasons import short_text
from clusterd.model.records import AssignmentRecord
from clusterd.model.states import GroupStatus, MembershipState, NextAction, Order, ResourceState, Wanted

_NOWHERE = frozenset({GroupStatus.NO_NODE, GroupStatus.PHYSICAL_RESOURCES_LACKING, GroupStatus.ANTI_AFFINITY_CONFLICT})
_HINT_OF_STATUS = {
    GroupStatus.NO_AUTO_START: "clusterctl group online {group}",
    GroupStatus.PREEMPTED: "clusterctl capacity",
    GroupStatus.PHYSICAL_RESOURCES_LACKING: "clusterctl capacity",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something does not run. `ways_out`: commands that may end it. `details`: one line each, such as every node's."""

    rule: str
    text: str
    details: tuple[str, ...] = ()
    ways_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Case:
    """A group under examination."""

    view: DatabaseView
    status: NodeStatus
    group: ObservedGroup

    @property
    def name(self) -> str:
        return str(self.group.record.name)

    @property
    def owner(self) -> str:
        return str(self.group.owner or "")

    def when(self, cluster_ms: int) -> str:
        """' in 5 s', or nothing for a moment that is not known."""
        return f" {until_text(cluster_ms - self.status.cluster_ms)}" if cluster_ms else ""


def why_group_is_not_running(view: DatabaseView, status: NodeStatus, group: ObservedGroup) -> Reason | None:
    """None when everything that is wanted of it runs, or when it has nothing that could."""
    case = _Case(view, status, group)
    if group.resources and all(each.state is ResourceState.ONLINE for each in group.resources):
        return None
    found = next((reason for look in _GROUP_REASONS if (reason := look(case)) is not None), None)
    if found is not None or group.is_settled:
        return found
    reasons = list(_resource_reasons(case))
    if not reasons:
        return None
    others = tuple(each.text for each in reasons[1:])
    return replace(reasons[0], details=tuple(dict.fromkeys((*reasons[0].details, *others))))


def why_resource_is_not_running(
    view: DatabaseView, status: NodeStatus, group: ObservedGroup, resource: ObservedResource
) -> Reason | None:
    """None when it is online."""
    if resource.state is ResourceState.ONLINE:
        return None
    case = _Case(view, status, group)
    stuck = _stuck_resource(case, resource)
    if stuck is not None:
        return stuck
    found = next((reason for look in _GROUP_REASONS if look is not _stuck and (reason := look(case))), None)
    if found is None:
        return _own_reason(case, resource)
    return replace(found, text=f"its group {case.name}: {found.text}")


# ---- the group as a whole ----


def _unknown_here(case: _Case) -> Reason | None:
    if case.status.is_quorate:
        return None
    text = f"{case.status.node} has no quorum: it may run nothing, and knows nothing new about the others"
    return Reason("no-quorum", text, ways_out=("clusterctl quorum show",))


def _empty(case: _Case) -> Reason | None:
    if case.group.resources:
        return None
    return Reason(
        "no-resources", "it has no resources", ways_out=(f"clusterctl resource create NAME {case.name} TYPE",)
    )


def _stuck(case: _Case) -> Reason | None:
    return next((found for each in case.group.resources if (found := _stuck_resource(case, each)) is not None), None)


def _stuck_resource(case: _Case, resource: ObservedResource) -> Reason | None:
    """An offline that failed. Nothing else may start it: something of it may still run."""
    report = resource.report
    if report is None or not (report.evidence and report.may_run) or resource.state is not ResourceState.FAILED:
        return None
    name = resource.record.name
    return Reason(
        "stuck",
        f"{name} could not be stopped on {case.owner} and may still run there, so no other node may start it",
        (f"evidence: {report.evidence}",),
        tuple(ways_out(case.group, resource)),
    )


def _not_wanted(case: _Case) -> Reason | None:
    if case.group.record.wanted is not Wanted.OFFLINE:
        return None
    way = f"clusterctl group online {case.name}"
    is_still_going = any(each.state is not ResourceState.OFFLINE for each in case.group.resources)
    text = "it is wanted offline" + (", and on its way there" if is_still_going else "")
    return Reason("not-wanted", text, ways_out=(way,))


def _hands_off(case: _Case) -> Reason | None:
    found = hands_off_group(case.view, case.group.record)
    if found is None or not is_in_force(case.group):
        return None
    causes = tuple(
        f"{each.record.name} is {each.state}" + (f": {each.cause}" if each.cause else "")
        for each in case.group.resources
        if each.state is not each.wanted_state
    )
    return Reason("hands-off", found.text, causes, (end_command(found),))


def _owner_unproven(case: _Case) -> Reason | None:
    member = case.view.membership(case.owner) if case.owner else None
    if member is None or member.state is not MembershipState.EXPELLING:
        return None
    text = f"its owner {case.owner} is silent, and it is not yet proven that nothing runs there: {member.because}"
    details = fence_lines(case.view, case.group.record)
    return Reason("owner-unproven", text, details, (f"clusterctl explain node {case.owner}",))


def _no_owner_yet(case: _Case) -> Reason | None:
    if case.group.assignment is not None:
        return None
    return Reason("no-owner-yet", why_not_placed(case.view, case.group.record))


def _nowhere(case: _Case) -> Reason | None:
    assignment = case.group.assignment
    if assignment is None:
        return None
    is_nowhere = not _NOWHERE.isdisjoint(assignment.status) or (not assignment.owner and not assignment.status)
    return _held_by(case, assignment, "no-node") if is_nowhere else None


def _held(case: _Case) -> Reason | None:
    assignment = case.group.assignment
    is_held = assignment is not None and (
        assignment.order is Order.HOLD or not assignment.owner or GroupStatus.WAITING_FOR_NODE in assignment.status
    )
    return _held_by(case, assignment, "held") if is_held and assignment is not None else None


def _held_by(case: _Case, assignment: AssignmentRecord, rule: str) -> Reason:
    decision = assignment.because
    passed_over = tuple(f"not on {each.node}: {each.reason}" for each in decision.candidates if not each.is_chosen)
    next_text = ""
    if assignment.next_action:
        next_text = f"; next: {assignment.next_action}{case.when(assignment.next_action_cluster_ms)}"
    ways = [
        _HINT_OF_STATUS[GroupStatus(word)].format(group=case.name)
        for word in assignment.status
        if word in _HINT_OF_STATUS
    ]
    text = short_text(decision.text, decision.brief) if passed_over else decision.text
    return Reason(rule, f"{text}{next_text}", passed_over, tuple(ways))


def _leaving(case: _Case) -> Reason | None:
    assignment = case.group.assignment
    if assignment is None or assignment.order is not Order.RELEASE:
        return None
    text = (
        f"it is on its way from {assignment.owner} to {assignment.target or 'the best node'}: {assignment.because.text}"
    )
    return Reason("leaving", text)


_GROUP_REASONS: tuple[Callable[[_Case], Reason | None], ...] = (
    _unknown_here,
    _empty,
    _stuck,
    _not_wanted,
    _hands_off,
    _owner_unproven,
    _no_owner_yet,
    _nowhere,
    _held,
    _leaving,
)


# ---- one resource ----


def _resource_reasons(case: _Case) -> Iterator[Reason]:
    """What failed comes before what merely waits for it."""
    worst_first = sorted(case.group.resources, key=lambda each: each.state is not ResourceState.FAILED)
    for each in worst_first:
        if each.state is not each.wanted_state and (found := _own_reason(case, each)) is not None:
            yield found


def _own_reason(case: _Case, resource: ObservedResource) -> Reason | None:
    record, name = resource.record, resource.record.name
    cause = f": {resource.cause}" if resource.cause else ""
    if record.wanted is Wanted.OFFLINE:
        return Reason(
            "resource-not-wanted", f"{name} is wanted offline", ways_out=(f"clusterctl resource online {name}",)
        )
    if resource.state is ResourceState.FAILED:
        return _failed(case, resource, f"{name} failed on {case.owner}{cause}")
    if resource.state in (ResourceState.ONLINE_PENDING, ResourceState.INITIALIZING):
        return Reason("coming-online", f"{name} is coming online on {case.owner}{cause}")
    missing = parse_dependency(record.depends_on).missing(case.group.online)
    if missing:
        waited = " and ".join(" or ".join(term) for term in missing)
        return Reason("waits-for-provider", f"{name} waits for {waited}", tuple(_providers(case, missing)))
    if resource.report is not None and resource.report.next_action is NextAction.REST:
        text = f"{name} ended by itself, which is no failure: it rests until somebody starts it"
        return Reason("ended-by-itself", text, ways_out=(f"clusterctl resource online {name}",))
    return Reason("resource-state", f"{name} is {resource.state}{cause}")


def _failed(case: _Case, resource: ObservedResource, text: str) -> Reason:
    """Failed: tried again at some time, at rest because the group may not fail over any more, or at rest for good."""
    report, name = resource.report, resource.record.name
    hands_off = hands_off_resource(case.view, resource.record)
    if hands_off is not None and (resource.report is None or resource.report.is_hands_off):
        told = text if report is not None and report.left_alone else f"{text}; {hands_off.text}"
        return Reason("hands-off", told, ways_out=(end_command(hands_off),))
    assignment = case.group.assignment
    is_blocked = assignment is not None and bool(assignment.blocked_until_cluster_ms)
    details = (assignment.because.text,) if assignment is not None and is_blocked else ()
    if report is not None and report.next_action not in (NextAction.NONE, NextAction.REST):
        then = f"next: {report.next_action}{case.when(report.next_action_cluster_ms)}"
        return Reason("failed", f"{text}; {then}", details, (f"clusterctl resource online {name}",))
    ways = (f"clusterctl group online {case.name}", f"clusterctl group move {case.name}")
    return Reason("failed", f"{text}; it rests and is not tried again by itself", details, ways)


def _providers(case: _Case, missing: Iterable[Iterable[str]]) -> Iterator[str]:
    """What keeps each missing provider down."""
    states = {key_of(each.record.name): each for each in case.group.resources}
    for provider in dict.fromkeys(each for term in missing for each in term):
        found = states.get(key_of(provider))
        if found is not None:
            yield f"{provider} is {found.state}" + (f": {found.cause}" if found.cause else "")
