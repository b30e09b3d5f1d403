"""Which groups go where another one goes? Pure. Rules that want groups on one node bind them to each other there.

One of them that has to leave takes the others along, or stays with the reason why they cannot come: else each would hold
the others in place. They are told to leave in one transaction, bound for one node, and none starts there before the last
has left (`Gates`).
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from clusterd.database import DatabaseView
from clusterd.leader.crowd import Crowd
from clusterd.leader.pen import Pen
from clusterd.leader.proposal import Proposal
from clusterd.leader.standing import Standing, standing_of
from clusterd.model import keys
from clusterd.model.ids import NodeId, key_of
from clusterd.model.records import FailoverStamp
from clusterd.model.states import Order, ReleaseCause


def companions(standing: Standing, view: DatabaseView, crowd: Crowd) -> list[Standing]:
    """The groups that a rule wants with this one, that are on its node and are not leaving it."""
    count = len(view.nodes())
    groups = (view.group(key) for key in crowd.staying_with(standing.group))
    found = (standing_of(view, group, count) for group in groups if group is not None)
    return [each for each in found if each.assignment is not None and each.assignment.order in (Order.RUN, Order.HOLD)]


def keys_of(standings: Iterable[Standing]) -> list[str]:
    return [key_of(each.group.name) for each in standings]


def why_they_stay(mates: Iterable[Standing], obstacle: Callable[[Standing], str | None]) -> str:
    """Which of them cannot come along, and why; empty: all can."""
    for each in mates:
        reason = obstacle(each)
        if reason is not None:
            return f"it belongs with {each.group.name}, which stays: {reason}"
    return ""


def obstacle_to_follow(standing: Standing) -> str | None:
    """Why a group does not follow another that failed."""
    if standing.pinned_by is not None:
        return standing.pinned_by.text
    return "it is locked from moving" if standing.settings.is_locked else None


def follow(mate: Standing, leads: Standing, target: NodeId, pen: Pen) -> Proposal | None:
    """Tell `mate` to go where `leads` goes that failed. What failed itself has its failover counted."""
    assignment, report = mate.assignment, mate.report
    if assignment is None:
        return None
    if report is not None and report.failed_over_by:
        stamp = FailoverStamp(pen.sight.cluster_ms, report.failed_over_by, assignment.owner)
        assignment = replace(assignment, failovers=(*assignment.failovers, stamp), reset_id=mate.group.reset_id)
    text = f"{mate.group.name} goes with {leads.group.name}, which fails over from {assignment.owner}"
    return pen.release(
        mate,
        replace(assignment, blocked_until_cluster_ms=0),
        ReleaseCause.RULE,
        rule="rule: goes with another",
        text=text,
        message=text,
        target=target,
        also=(keys.report(mate.group.name),),
    )
