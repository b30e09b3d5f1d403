"""Should a group go back to a node that it prefers, or was drained from? Pure. Each answer says why, also when it is no.

A preferred node counts when it has *become* active since the group was placed: one that was there already, but from which
an operator moved the group or where it failed, would only start the circle again.
"""

from collections.abc import Iterator
from dataclasses import replace

from clusterd.database import DatabaseView
from clusterd.leader.crowd import Crowd
from clusterd.leader.pen import Pen
from clusterd.leader.proposal import Proposal
from clusterd.leader.standing import Standing
from clusterd.leader.together import companions, keys_of
from clusterd.model import keys
from clusterd.model.ids import NodeId, key_of
from clusterd.model.records import AssignmentRecord, GroupRecord, NodeRun
from clusterd.model.states import FailbackMode, ReleaseCause

MINUTES_PER_HOUR = 60
MINUTES_PER_DAY = 24 * MINUTES_PER_HOUR


def fail_back(
    standing: Standing, assignment: AssignmentRecord, view: DatabaseView, crowd: Crowd, pen: Pen
) -> Proposal | None:
    """Take a settled group back to the most preferred node that has become active."""
    target = failback_target(standing, view, crowd)
    if target is None or not is_in_window(standing.settings.failback_window, pen.sight.local_minute):
        return None
    if reason_to_stay(standing) is not None:
        return None
    text = (
        f"{standing.group.name} goes back to {target}, which it prefers to {assignment.owner} and which is active again"
    )
    return pen.leave(
        standing,
        assignment,
        ReleaseCause.FAILBACK,
        rule="failback",
        text=text,
        message=f"{standing.group.name} goes back to {target}",
        target=target,
    )


def come_home(
    standing: Standing, assignment: AssignmentRecord, view: DatabaseView, crowd: Crowd, pen: Pen
) -> Proposal | None:
    """Settle what becomes of a drained group once the node that it was drained from was resumed."""
    home = view.node(assignment.drained_from) if assignment.drained_from else None
    if not assignment.drained_from or (home is not None and home.pause is not None):
        return None
    mode = home.resume.failback if home is not None and home.resume is not None else FailbackMode.NONE
    if home is None or mode is not FailbackMode.IMMEDIATE or home.name == assignment.owner:
        return _forget_drain(standing, assignment, mode, pen)
    mates = companions(standing, view, crowd)
    together = keys_of(mates) if all(_comes_home(each, assignment.drained_from) for each in mates) else ()
    is_barred = crowd.why_not(standing.group, home.name, together=together) is not None
    if is_barred or reason_to_stay(standing, needs_online=False) is not None:
        return None
    text = f"{standing.group.name} goes back to {home.name}, which it was drained from and which was resumed"
    return pen.leave(
        standing,
        replace(assignment, drained_from=NodeId("")),
        ReleaseCause.FAILBACK,
        rule="resume: failback",
        text=text,
        message=f"{standing.group.name} goes back to {home.name}",
        target=home.name,
        caused_by=home.resume.id if home.resume is not None else "",
        also=(keys.node(home.name),),
    )


def failback_target(standing: Standing, view: DatabaseView, crowd: Crowd) -> NodeId | None:
    """The most preferred node above the present owner that can take the group and began its run after it was placed."""
    if not standing.settings.may_fail_back or standing.assignment is None:
        return None
    mates = companions(standing, view, crowd)
    for name in became_active(view, standing.group, standing.assignment):
        together = keys_of(mates) if all(_goes_back(each, name, view) for each in mates) else ()
        if crowd.why_not(standing.group, name, together=together) is None:
            return name
    return None


def _comes_home(mate: Standing, home: NodeId) -> bool:
    """Whether one that belongs with a drained group was drained from the same node, and may go back to it."""
    is_drained = mate.assignment is not None and key_of(mate.assignment.drained_from) == key_of(home)
    return is_drained and reason_to_stay(mate, needs_online=False) is None


def _goes_back(mate: Standing, target: NodeId, view: DatabaseView) -> bool:
    """Whether one that belongs with a group would fail back to the same node by itself, but for that group."""
    if mate.assignment is None or not mate.settings.may_fail_back or reason_to_stay(mate) is not None:
        return False
    return target in became_active(view, mate.group, mate.assignment)


def became_active(view: DatabaseView, group: GroupRecord, assignment: AssignmentRecord) -> Iterator[NodeId]:
    """The nodes that the group prefers to its owner and that began their runs after it was placed, best first."""
    left = set(assignment.passed_over)
    for name in group.preferred_owners:
        if key_of(name) == key_of(assignment.owner):
            return
        node, member = view.node(name), view.membership(name)
        if node is not None and member is not None and NodeRun(node.name, member.incarnation) not in left:
            yield node.name


def reason_to_stay(standing: Standing, *, needs_online: bool = True) -> str | None:
    """Why the cluster does not move this group by itself now; None when it may."""
    if standing.pinned_by is not None:
        return standing.pinned_by.text
    if standing.settings.is_locked:
        return "it is locked from moving"
    if standing.assignment is not None and standing.assignment.status:
        return f"it is {', '.join(standing.assignment.status)}"
    if needs_online and not standing.is_online:
        return "it is not online"
    return None


def is_in_window(window: tuple[int, int] | None, minute: int) -> bool:
    """Whether a minute of the day lies between the two hours; one may pass midnight, one of no length is a whole day."""
    if window is None:
        return True
    start, end = (hour * MINUTES_PER_HOUR for hour in window)
    if start == end:
        return True
    return start <= minute < end if start < end else minute >= start or minute < end


def minutes_until(window: tuple[int, int], minute: int) -> int:
    """How long until the window opens; 0 inside it."""
    if is_in_window(window, minute):
        return 0
    return (window[0] * MINUTES_PER_HOUR - minute) % MINUTES_PER_DAY


def _forget_drain(standing: Standing, assignment: AssignmentRecord, mode: FailbackMode, pen: Pen) -> Proposal:
    """By policy means: as if the node had just become active, so that failback rules may apply to it again."""
    passed_over = assignment.passed_over
    if mode is FailbackMode.POLICY:
        passed_over = tuple(each for each in passed_over if each.node != assignment.drained_from)
    return pen.write(standing, replace(assignment, drained_from=NodeId(""), passed_over=passed_over), None, "", "")
