"""What follows when a resource has used up its restarts? Pure.

The group goes to the next node, until its failovers are used up or no other node can take it: then it rests where it is,
and the owner's own timed retry, an operator or a node that returns ends that. A group that never came online after a move
goes back to where it came from instead. Groups that belong on its node go with it (`together`).
"""

from dataclasses import replace

from clusterd.database import DatabaseView
from clusterd.leader.crowd import Crowd
from clusterd.leader.pen import Pen
from clusterd.leader.placement import Placement, PlacementCause, Request
from clusterd.leader.proposal import Proposal, joined
from clusterd.leader.standing import Standing
from clusterd.leader.together import companions, follow, keys_of, obstacle_to_follow, why_they_stay
from clusterd.model import keys
from clusterd.model.events import GROUP_BLOCKED
from clusterd.model.records import AssignmentRecord, Decision, FailoverStamp, ReportRecord, Step
from clusterd.model.states import DecisionCode, ReleaseCause

_RULES = {
    DecisionCode.LIMIT_REACHED: "failover: given up, its limit is reached",
    DecisionCode.NO_OTHER_NODE: "failover: given up until another node can take it",
}


def fail_over(
    standing: Standing, assignment: AssignmentRecord, view: DatabaseView, crowd: Crowd, pen: Pen
) -> Proposal | None:
    """What to do about a group whose owner asks for another node, or has stopped asking."""
    report = standing.report
    if report is None or not report.failed_over_by:
        return _unblock(standing, assignment, pen)
    back = _return_to_source(standing, assignment, report, crowd, pen)
    if back is not None:
        return back
    if standing.pinned_by is not None:
        return None  # its owner could not stop all of it; when the maintenance ends it is looked at again
    is_blocked = bool(assignment.blocked_until_cluster_ms)
    most = standing.settings.failover_threshold
    if is_blocked and len(recent_failovers(standing, assignment, assignment.blocked_until_cluster_ms)) >= most:
        return None  # they were used up when it came to rest; time alone does not end that
    failed, because = report.failed_over_by, report.failed_over_because
    recent = recent_failovers(standing, assignment, pen.sight.cluster_ms)
    mates = companions(standing, view, crowd)
    held_by = why_they_stay(mates, obstacle_to_follow)
    together = () if held_by else tuple(keys_of(mates))
    cause = PlacementCause.RESOURCE_FAILED
    placement = crowd.place(Request(standing.group, cause, current=assignment.owner, together=together))
    steps = (pen.step(f"{failed} failed on {assignment.owner} for good: {because}"),)
    if len(recent) >= most:
        spent = f"{most} of {most} failovers are used up" if most else "no failover is allowed (failover_threshold 0)"
        why = f"{failed}: {because}; {spent}"
        return _block(standing, assignment, placement, DecisionCode.LIMIT_REACHED, why, steps, pen)
    if placement.chosen in (None, assignment.owner):
        why = f"{failed}: {because}; no other node can take it" + (f"; {held_by}" if held_by else "")
        code = DecisionCode.NO_OTHER_NODE
        return None if is_blocked else _block(standing, assignment, placement, code, why, steps, pen)
    stamp = FailoverStamp(pen.sight.cluster_ms, failed, assignment.owner)
    after = replace(
        assignment,
        failovers=(*recent, stamp),
        reset_id=standing.group.reset_id,
        blocked_until_cluster_ms=0,
    )
    leaves = pen.release(
        standing,
        after,
        ReleaseCause.FAILOVER,
        rule="failover: a resource failed",
        text=f"{failed} failed on {assignment.owner}: {because}",
        message=f"{standing.group.name} fails over from {assignment.owner}",
        target=placement.chosen,
        steps=steps,
        candidates=placement.candidates,
        rests_on_report=True,
    )
    followers = (follow(each, standing, placement.chosen or assignment.owner, pen) for each in mates if together)
    return joined([leaves, *(each for each in followers if each is not None)])


def recent_failovers(standing: Standing, assignment: AssignmentRecord, cluster_ms: int) -> tuple[FailoverStamp, ...]:
    """The failovers that still count; a successful request to start forgets them."""
    stamps = assignment.failovers if standing.group.reset_id == assignment.reset_id else ()
    return tuple(each for each in stamps if cluster_ms - each.cluster_ms < standing.settings.failover_period_ms)


def _return_to_source(
    standing: Standing, assignment: AssignmentRecord, report: ReportRecord, crowd: Crowd, pen: Pen
) -> Proposal | None:
    source = assignment.moved_from
    if not source or report.was_online or crowd.why_not(standing.group, source) is not None:
        return None
    text = (
        f"{standing.group.name} did not come online on {assignment.owner} after its move "
        f"({report.failed_over_by}: {report.failed_over_because}): it goes back to {source}"
    )
    return pen.release(
        standing,
        assignment,
        ReleaseCause.RETURN,
        rule="move: return to source",
        text=text,
        message=f"{standing.group.name} goes back to {source}",
        target=source,
        steps=assignment.because.steps,
        rests_on_report=True,
    )


def _block(
    standing: Standing,
    assignment: AssignmentRecord,
    placement: Placement,
    code: DecisionCode,
    why: str,
    steps: tuple[Step, ...],
    pen: Pen,
) -> Proposal:
    decision = Decision(_RULES[code], why, steps, placement.candidates, code)
    after = replace(assignment, because=decision, blocked_until_cluster_ms=max(1, pen.sight.cluster_ms))
    message = f"{standing.group.name} rests in failure"
    also = (keys.report(standing.group.name),)
    return pen.write(standing, after, GROUP_BLOCKED, message, why, node=assignment.owner, also=also)


def _unblock(standing: Standing, assignment: AssignmentRecord, pen: Pen) -> Proposal | None:
    if not assignment.blocked_until_cluster_ms:
        return None
    return pen.write(standing, replace(assignment, blocked_until_cluster_ms=0), None, "", "")
