"""What is the state of a group and its resources, as far as it is known? Pure.

Wanted, assigned and observed are three records; here they become what people see. *Offline* is said only when nothing runs,
*online* only when the owner reported it under the present generation; everything else is pending or unknown.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from clusterd.database import DatabaseView
from clusterd.leader.standing import is_over
from clusterd.model.ids import NodeId, key_of
from clusterd.model.reasons import why_text
from clusterd.model.records import AssignmentRecord, GroupRecord, ReportRecord, ResourceRecord, ResourceReport
from clusterd.model.states import GroupState, GroupStatus, MembershipState, Order, ResourceState, group_state
from clusterd.model.wanted import online_wanted


@dataclass(frozen=True, slots=True)
class ObservedResource:
    """A resource with what its owner last said about it (None: nothing under this generation)."""

    record: ResourceRecord
    report: ResourceReport | None
    state: ResourceState
    cause: str
    since_wall_ms: int
    wanted_state: ResourceState
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
    online: frozenset[str] = field(init=False)
    """The folded names of the resources that are online."""

    def __post_init__(self) -> None:
        online = (key_of(each.record.name) for each in self.resources if each.state is ResourceState.ONLINE)
        object.__setattr__(self, "online", frozenset(online))

    @property
    def owner(self) -> NodeId | None:
        """None: no node has it, and it runs nowhere."""
        return self.assignment.owner or None if self.assignment else None

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
        is_moving = self.assignment is not None and self.assignment.order in (Order.RELEASE, Order.MIGRATE)
        return not is_moving and all(each.state is each.wanted_state for each in self.resources)


def observe_group(
    view: DatabaseView, record: GroupRecord, *, is_quorate: bool, unheard: Collection[NodeId] = ()
) -> ObservedGroup:
    """The group as this replica of the database knows it. `unheard`: of whom nothing was heard since this daemon started,
    so that what they reported may be long over."""
    assignment = view.assignment_of(record)
    report = view.report_under(assignment)
    reported = {key_of(each.name): each for each in report.resources} if report else {}
    doubt = _doubt(view, record, assignment, is_quorate, unheard)
    records = view.resources_of(record.name)
    wanted = set() if _rests_by_configuration(assignment) else online_wanted(record, records)
    resources = tuple(
        _observe(each, key_of(each.name) in wanted, assignment, report, reported, doubt) for each in records
    )
    state = group_state(each.state for each in resources)
    return ObservedGroup(record, assignment, report, state, resources)


def _rests_by_configuration(assignment: AssignmentRecord | None) -> bool:
    """Nobody asked for it to start, and it is never started by itself: offline is what it should be."""
    if assignment is None or GroupStatus.NO_AUTO_START not in assignment.status:
        return False
    return assignment.order is Order.HOLD or not assignment.owner


def observe_groups(view: DatabaseView, *, is_quorate: bool, unheard: Collection[NodeId] = ()) -> list[ObservedGroup]:
    return [observe_group(view, record, is_quorate=is_quorate, unheard=unheard) for record in view.groups()]


@dataclass(frozen=True, slots=True)
class _Doubt:
    """Why reports say nothing about now: the state that stands instead, and the sentence."""

    state: ResourceState
    cause: str
    since_wall_ms: int = 0  # 0: as long as what was reported last


def _doubt(
    view: DatabaseView,
    record: GroupRecord,
    assignment: AssignmentRecord | None,
    is_quorate: bool,
    unheard: Collection[NodeId],
) -> _Doubt | None:
    if assignment is None:
        return _Doubt(ResourceState.OFFLINE, why_not_placed(view, record))
    if not is_quorate:
        return _Doubt(ResourceState.UNKNOWN, "this node reaches too few voters to know what the others do")
    if not assignment.owner:
        return _Doubt(ResourceState.OFFLINE, f"no node has it: {assignment.because.text}")
    member = view.membership(assignment.owner)
    if member is None:
        return _Doubt(ResourceState.UNKNOWN, f"nothing is known of its owner {assignment.owner}")
    if is_over(assignment, member):
        cause = f"its owner {assignment.owner} is proven to run nothing of it any more"
        return _Doubt(ResourceState.OFFLINE, cause, member.since_wall_ms)
    if member.state is MembershipState.EXPELLING:
        cause = f"its owner {assignment.owner} is silent, and it is not yet proven that nothing runs there"
        return _Doubt(ResourceState.UNKNOWN, cause)
    if assignment.owner in unheard:
        cause = (
            f"its owner {assignment.owner} was not heard since this node started, so nobody here knows whether it runs"
        )
        return _Doubt(ResourceState.UNKNOWN, cause)
    return None


def why_not_placed(view: DatabaseView, record: GroupRecord) -> str:
    """Why the leader has assigned nothing of a group yet."""
    predecessor = view.assignment(record.name)
    if predecessor is None or not predecessor.owner:
        return "no node has been given it yet"
    return f"no node has been given it yet: {predecessor.owner} has to give up the deleted group of its name first"


def _observe(
    record: ResourceRecord,
    is_wanted: bool,
    assignment: AssignmentRecord | None,
    report: ReportRecord | None,
    reported: Mapping[str, ResourceReport],
    doubt: _Doubt | None,
) -> ObservedResource:
    last = reported.get(key_of(record.name))
    since_wall_ms = last.since_wall_ms if last else assignment.since_wall_ms if assignment and not report else 0
    known = last.state if last and doubt and doubt.state is ResourceState.UNKNOWN else None
    if doubt is not None:
        state, cause = doubt.state, doubt.cause
        is_news = last is None or last.state is not ResourceState.OFFLINE
        since_wall_ms = max(since_wall_ms, doubt.since_wall_ms) if is_news else since_wall_ms
    elif last is not None:
        state, cause = last.state, why_text(last.cause, last.left_alone)
    else:
        state, cause = _unreported(assignment, report, is_wanted)
    wanted = ResourceState.ONLINE if is_wanted else ResourceState.OFFLINE
    return ObservedResource(record, last, state, cause, since_wall_ms, wanted, known)


def _unreported(
    assignment: AssignmentRecord | None, report: ReportRecord | None, is_wanted: bool
) -> tuple[ResourceState, str]:
    """The state of a resource that its owner has said nothing about under this generation."""
    if report is not None:
        return ResourceState.INITIALIZING, "its owner has not seen it yet"
    owner = assignment.owner if assignment else ""
    if assignment is not None and assignment.order is Order.RELEASE:
        return ResourceState.OFFLINE_PENDING, f"{owner} was told to give the group up"
    if assignment is not None and assignment.order is Order.HOLD:
        return ResourceState.OFFLINE, f"{owner} was told to start nothing of it: {assignment.because.text}"
    if is_wanted:
        return ResourceState.ONLINE_PENDING, f"{owner} was given the group and has not reported yet"
    return ResourceState.INITIALIZING, f"{owner} was given the group and has not reported yet"
