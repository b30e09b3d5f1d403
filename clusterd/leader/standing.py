"""How does a group stand, as far as a decision about it needs to know? Pure. One reading of the database, with its words."""

from dataclasses import dataclass

from clusterd.database import DatabaseView
from clusterd.model.ids import NodeId
from clusterd.model.maintenance import HandsOff, group_hands_off, group_pinned_by
from clusterd.model.records import (
    AssignmentRecord,
    GroupRecord,
    MembershipRecord,
    NodeRecord,
    NodeRun,
    ReportRecord,
    ResourceRecord,
)
from clusterd.model.settings import GroupSettings, group_settings
from clusterd.model.states import PENDING_STATES, GroupStatus, MembershipState, Order, ResourceState, Wanted


@dataclass(frozen=True, slots=True)
class Standing:
    """A group with everything that was committed about it. `report` is only of the present generation."""

    group: GroupRecord
    settings: GroupSettings
    resources: tuple[ResourceRecord, ...]
    assignment: AssignmentRecord | None
    report: ReportRecord | None
    member: MembershipRecord | None
    owner_node: NodeRecord | None
    hands_off: HandsOff | None
    """Maintenance that somebody asked for; it is in force once the owner has said so."""
    predecessor: AssignmentRecord | None = None
    """What is assigned of a deleted group of the same name. Its owner has to give that up before this one begins."""

    @property
    def pinned_by(self) -> HandsOff | None:
        """Maintenance that keeps the group where it is."""
        return group_pinned_by(self.hands_off, self.resources)

    @property
    def owner(self) -> NodeId:
        return self.assignment.owner if self.assignment else NodeId("")

    @property
    def is_wanted(self) -> bool:
        """Whether anything of it is to be online."""
        if self.group.wanted is not Wanted.ONLINE:
            return False
        return not self.resources or any(each.wanted is Wanted.ONLINE for each in self.resources)

    @property
    def is_lost(self) -> bool:
        """Its owner's incarnation is over, with proof."""
        return self.assignment is not None and bool(self.owner) and is_over(self.assignment, self.member)

    @property
    def is_released(self) -> bool:
        return self.report is not None and self.report.is_released

    @property
    def is_hands_off(self) -> bool:
        """Maintenance is in force. One that was asked for during a recovery is not, until the recovery has ended."""
        return self.hands_off is not None and self.report is not None and self.report.is_hands_off

    @property
    def is_at_rest(self) -> bool:
        """The owner said that everything of it is offline."""
        return self.report is not None and all(
            each.state is ResourceState.OFFLINE and not each.may_run for each in self.report.resources
        )

    @property
    def is_coming_online(self) -> bool:
        """It has begun to start, or has started."""
        return self.report is not None and any(
            each.state in PENDING_STATES or each.state is ResourceState.ONLINE for each in self.report.resources
        )

    @property
    def is_online(self) -> bool:
        """Everything that is wanted is online."""
        if self.report is None or not self.is_wanted:
            return False
        states = {each.name: each.state for each in self.report.resources}
        wanted = [each.name for each in self.resources if each.wanted is Wanted.ONLINE]
        return all(states.get(name) is ResourceState.ONLINE for name in wanted)

    @property
    def is_on_its_way(self) -> bool:
        """It was told to run and is on its way to that: its owner has not said anything yet, or is at it."""
        if not self.is_running or not self.is_wanted or self.report is None:
            return self.is_running and self.is_wanted
        states = {each.state for each in self.report.resources}
        return ResourceState.FAILED not in states and bool(states & PENDING_STATES)

    def has_status(self, status: GroupStatus) -> bool:
        return self.assignment is not None and status in self.assignment.status

    @property
    def queue_words(self) -> tuple[str, ...]:
        """Of its status: that a move waits in the queue, which is beside whatever else it waits for."""
        queued = GroupStatus.WAITING_IN_QUEUE_FOR_MOVE
        return (queued,) if self.has_status(queued) else ()

    @property
    def start_words(self) -> tuple[str, ...]:
        """Of its status: that it is not to start by itself, which holds wherever it goes."""
        return (GroupStatus.NO_AUTO_START,) if self.has_status(GroupStatus.NO_AUTO_START) else ()

    @property
    def waits_to_start(self) -> bool:
        """It is to start, and waits for its turn or for others."""
        return self.has_status(GroupStatus.WAITING_TO_START) or self.has_status(GroupStatus.WAITING_FOR_DEPENDENCIES)

    @property
    def is_running(self) -> bool:
        """It has an owner that was told to run it."""
        return self.assignment is not None and bool(self.owner) and self.assignment.order in (Order.RUN, Order.MIGRATE)


def is_over(assignment: AssignmentRecord, member: MembershipRecord | None) -> bool:
    """Whether it is proven that the incarnation which the assignment names runs nothing any more.

    Of a node without a membership nothing is proven. No owner is without one: a group is given only to an admitted node, and
    a membership is never deleted, not even with its node (`members` ends what that still runs first).
    """
    if member is None:
        return False
    return member.incarnation != assignment.incarnation or member.state is MembershipState.DOWN


def standing_of(view: DatabaseView, group: GroupRecord, node_count: int) -> Standing:
    """Everything about `group` in this database."""
    assignment = view.assignment_of(group)
    report = view.report_under(assignment)
    owner = assignment.owner if assignment is not None else ""
    is_laid_down = assignment is not None and GroupStatus.HANDS_OFF in assignment.status
    kept_for = owner or (assignment.last_owner if assignment is not None and is_laid_down else "")
    owner_node = view.node(kept_for) if kept_for else None
    return Standing(
        group,
        group_settings(group, node_count),
        tuple(view.resources_of(group.name)),
        assignment,
        report,
        view.membership(owner) if owner else None,
        owner_node,
        group_hands_off(view.cluster(), owner_node, group),
        view.assignment(group.name) if assignment is None else None,
    )


def is_left(view: DatabaseView, assignment: AssignmentRecord) -> bool:
    """Whether it is proven that nothing runs under an assignment: it has no owner, or was released, or its owner is gone."""
    report = view.report_under(assignment)
    is_released = report is not None and report.is_released
    return not assignment.owner or is_released or is_over(assignment, view.membership(assignment.owner))


def runs_now(view: DatabaseView, group: GroupRecord) -> tuple[NodeRun, ...]:
    """The present runs of the group's preferred owners: where it could have gone now, and so need not go back to."""
    members = (view.membership(node) for node in group.preferred_owners)
    return tuple(
        NodeRun(each.node, each.incarnation)
        for each in members
        if each is not None and each.state is MembershipState.UP
    )
