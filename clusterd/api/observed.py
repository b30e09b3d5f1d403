"""What is the state of a group and its resources, as far as it is known? Pure.

Wanted, assigned and observed are three records; here they become what people see. *Offline* is said only when nothing runs,
*online* only when the owner reported it under the present generation; everything else is pending or unknown.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from clusterd.database import DatabaseView
from clusterd.model.ids import NodeId, key_of
from clusterd.model.records import AssignmentRecord, GroupRecord, ReportRecord, ResourceRecord, ResourceReport
from clusterd.model.states import GroupState, MembershipState, Order, ResourceState, Wanted, group_state


@dataclass(frozen=True, slots=True)
class ObservedResource:
    """A resource with what its owner last said about it (None: nothing under this generation)."""

    record: ResourceRecord
    report: ResourceReport | None
    state: ResourceState
    cause: str
    since_wall_ms: int
    last_known: ResourceState | None = None  # when the state is unknown: what was reported last

    @property
    def pid(self) -> int | None:
        is_here = self.state in (ResourceState.ONLINE, ResourceState.ONLINE_PENDING, ResourceState.OFFLINE_PENDING)
        return self.report.pid if self.report and self.report.pid and is_here else None


@dataclass(frozen=True, slots=True)
class ObservedGroup:
    """A group with its owner and resources, in name order."""

    record: GroupRecord
    assignment: AssignmentRecord | None
    report: ReportRecord | None  # of the present generation only
    state: GroupState
    resources: tuple[ObservedResource, ...]

    @property
    def owner(self) -> NodeId | None:
        return self.assignment.owner if self.assignment else None

    @property
    def generation(self) -> int:
        return self.assignment.generation if self.assignment else 0

    @property
    def since_wall_ms(self) -> int:
        moments = [each.since_wall_ms for each in self.resources]
        return max([self.assignment.since_wall_ms if self.assignment else 0, *moments])

    @property
    def is_settled(self) -> bool:
        """Whether every resource is what is wanted of it, and no move is under way."""
        is_moving = self.assignment is not None and self.assignment.order is Order.RELEASE
        return not is_moving and all(each.state is wanted_state(self.record, each.record) for each in self.resources)


def wanted_state(group: GroupRecord, resource: ResourceRecord) -> ResourceState:
    """What a resource should be: its own wish counts while its group is wanted online."""
    is_wanted = group.wanted is Wanted.ONLINE and resource.wanted is Wanted.ONLINE
    return ResourceState.ONLINE if is_wanted else ResourceState.OFFLINE


def observe_group(view: DatabaseView, record: GroupRecord, *, is_quorate: bool) -> ObservedGroup:
    """The group as this replica of the database knows it."""
    assignment = view.assignment(record.name)
    report = view.report(record.name)
    if report is not None and (assignment is None or report.generation != assignment.generation):
        report = None
    reported = {key_of(each.name): each for each in report.resources} if report else {}
    doubt = _doubt(view, assignment, is_quorate)
    resources = tuple(
        _observe(record, each, assignment, report, reported, doubt) for each in view.resources_of(record.name)
    )
    state = group_state(each.state for each in resources)
    return ObservedGroup(record, assignment, report, state, resources)


def observe_groups(view: DatabaseView, *, is_quorate: bool) -> list[ObservedGroup]:
    return [observe_group(view, record, is_quorate=is_quorate) for record in view.groups()]


@dataclass(frozen=True, slots=True)
class _Doubt:
    """Why reports say nothing about now: the state that stands instead, and the sentence."""

    state: ResourceState
    cause: str


def _doubt(view: DatabaseView, assignment: AssignmentRecord | None, is_quorate: bool) -> _Doubt | None:
    if assignment is None:
        return _Doubt(ResourceState.OFFLINE, "no node has been given it yet")
    if not is_quorate:
        return _Doubt(ResourceState.UNKNOWN, "this node reaches too few voters to know what the others do")
    member = view.membership(assignment.owner)
    if member is None or member.incarnation != assignment.incarnation or member.state is MembershipState.DOWN:
        return _Doubt(ResourceState.OFFLINE, f"its owner {assignment.owner} is proven to run nothing of it any more")
    if member.state is MembershipState.EXPELLING:
        cause = f"its owner {assignment.owner} is silent, and it is not yet proven that nothing runs there"
        return _Doubt(ResourceState.UNKNOWN, cause)
    return None


def _observe(
    group: GroupRecord,
    record: ResourceRecord,
    assignment: AssignmentRecord | None,
    report: ReportRecord | None,
    reported: Mapping[str, ResourceReport],
    doubt: _Doubt | None,
) -> ObservedResource:
    last = reported.get(key_of(record.name))
    since_wall_ms = last.since_wall_ms if last else assignment.since_wall_ms if assignment else 0
    if doubt is not None:
        known = last.state if last and doubt.state is ResourceState.UNKNOWN else None
        return ObservedResource(record, last, doubt.state, doubt.cause, since_wall_ms, last_known=known)
    if last is not None:
        return ObservedResource(record, last, last.state, last.cause, since_wall_ms)
    if report is not None:
        return ObservedResource(record, None, ResourceState.INITIALIZING, "its owner has not seen it yet", 0)
    if assignment is not None and assignment.order is Order.RELEASE:
        cause = f"{assignment.owner} was told to give the group up"
        return ObservedResource(record, None, ResourceState.OFFLINE_PENDING, cause, since_wall_ms)
    if wanted_state(group, record) is ResourceState.ONLINE:
        owner = assignment.owner if assignment else ""
        cause = f"{owner} was given the group and has not reported yet"
        return ObservedResource(record, None, ResourceState.ONLINE_PENDING, cause, since_wall_ms)
    return ObservedResource(record, None, ResourceState.OFFLINE, "it is not wanted online", since_wall_ms)
