"""What becomes of an operator's wish to move a group? Pure.

A wish is carried out, given up with the reason, or, where the operator said so, waited for. Taking it back ends the waiting,
and also a release that the owner has not finished: the group then goes on where it is, under the same generation.
"""

from dataclasses import replace

from clusterd.database import DatabaseView
from clusterd.leader.crowd import Crowd
from clusterd.leader.live import live_obstacle
from clusterd.leader.pen import Pen
from clusterd.leader.placement import Placement, PlacementCause, Request
from clusterd.leader.proposal import Proposal
from clusterd.leader.standing import Standing
from clusterd.model import keys
from clusterd.model.events import GROUP_ASSIGNED, MOVE_GIVEN_UP, MOVE_QUEUED
from clusterd.model.ids import NodeId, key_of
from clusterd.model.records import AssignmentRecord, Decision, MoveRequest, Step
from clusterd.model.states import GroupStatus, MoveKind, Order, ReleaseCause

QUEUED = "move: waits"
QUEUED_FOR_DRAIN = "drain: waits"
"""The rule of a group that is to leave a drained node as soon as other live migrations have ended."""


def carry_out(
    standing: Standing, assignment: AssignmentRecord, view: DatabaseView, crowd: Crowd, pen: Pen
) -> Proposal | None:
    """What to do about the newest move request of a group that has an owner and is not on its way."""
    move = standing.group.move
    if move is None or move.id == assignment.move_id:
        return _leave_queue(standing, assignment, pen)
    asked = _asked(standing, move)
    placement = crowd.place(_request(standing, move, assignment.owner))
    if key_of(move.target) == key_of(assignment.owner):
        return _let_stay(standing, assignment, move, asked, pen)
    problem = _problem(standing, move, placement, crowd)
    if problem is not None:
        if move.is_queued:
            return _queue(standing, assignment, move, asked, placement, problem, pen)
        return _give_up(standing, assignment, move, asked, placement, problem, pen)
    target = placement.chosen or NodeId("")
    is_live = move.kind is MoveKind.LIVE
    if is_live and standing.is_on_its_way:
        return None  # asked for while an earlier move was under way: it goes on from there once it is online
    problem = _live_problem(standing, assignment.owner, target, view) if is_live else ""
    if problem:
        return _give_up(standing, assignment, move, asked, placement, problem, pen)
    waits_for = pen.too_many_migrations(assignment.owner, target) if is_live else ""
    if waits_for:
        return _queue(standing, assignment, move, asked, placement, waits_for, pen)
    text = (
        f"{standing.group.name} leaves {assignment.owner} for {target}: {move.asked_by or 'an operator'} asked for it"
    )
    return pen.leave(
        standing,
        replace(assignment, move_id=move.id, drained_from=NodeId("")),
        ReleaseCause.MOVE,
        rule="move",
        text=text,
        message=f"{standing.group.name} leaves {assignment.owner} for {target}",
        because=asked.text,
        target=target,
        steps=(asked,),
        candidates=placement.candidates,
        caused_by=move.id,
        kind=move.kind,
    )


def take_back(standing: Standing, assignment: AssignmentRecord, pen: Pen) -> Proposal | None:
    """The owner is giving the group up for a move that nobody wants any more: it may keep it.

    Where nothing of it runs it is held, and starts, if it is to, through the gates like any other.
    Safe with the same generation: the owner's release and this exclude each other, since each expects the other's record
    to be unchanged.
    """
    is_move = assignment.release_cause is ReleaseCause.MOVE
    if not is_move or standing.group.move is not None or not assignment.move_id:
        return None
    text = f"the move was cancelled: {standing.group.name} stays on {assignment.owner}"
    goes_on = standing.is_wanted and standing.report is not None and not standing.is_at_rest
    after = replace(
        assignment,
        order=Order.RUN if goes_on else Order.HOLD,
        target=NodeId(""),
        release_cause=ReleaseCause.NONE,
        because=Decision("move: cancelled", text, (*assignment.because.steps, pen.step(text))),
        since_wall_ms=pen.sight.wall_ms,
    )
    also = (keys.report(standing.group.name), keys.membership(assignment.owner))
    return pen.write(standing, after, GROUP_ASSIGNED, text, "", node=assignment.owner, also=also)


def _request(standing: Standing, move: MoveRequest, owner: NodeId) -> Request:
    return Request(
        standing.group,
        PlacementCause.MOVE,
        current=owner,
        target=move.target or None,
        ignores_rules=move.ignores_rules,
    )


def _asked(standing: Standing, move: MoveRequest) -> Step:
    where = move.target or "the best node"
    return Step(move.asked_wall_ms, f"{move.asked_by or 'an operator'} asked to move {standing.group.name} to {where}")


def _problem(standing: Standing, move: MoveRequest, placement: Placement, crowd: Crowd) -> str | None:
    if standing.pinned_by is not None:
        return standing.pinned_by.text
    if standing.settings.is_locked and not move.ignores_lock:
        return "it is locked from moving"
    if move.target:
        excluded = crowd.why_not(standing.group, move.target, ignores_rules=move.ignores_rules)
        return excluded.reason if excluded is not None else None
    return None if placement.chosen is not None else placement.refusal


def _live_problem(standing: Standing, owner: NodeId, target: NodeId, view: DatabaseView) -> str:
    if not standing.is_online:
        return "only what is online can migrate live"
    return live_obstacle(view, standing.resources, owner, target)


def _let_stay(standing: Standing, assignment: AssignmentRecord, move: MoveRequest, asked: Step, pen: Pen) -> Proposal:
    """Nothing is to be done: another move, which would have taken it away, was stopped for this one, or had brought it."""
    text = (
        f"{standing.group.name} stays on {assignment.owner}: {move.asked_by or 'an operator'} asked for it to be there"
    )
    because = Decision("move: there already", text, (asked, pen.step(text)))
    after = replace(assignment, move_id=move.id, status=without_queue(assignment), because=because)
    return pen.write(standing, after, GROUP_ASSIGNED, text, "", node=assignment.owner, caused_by=move.id)


def _give_up(
    standing: Standing,
    assignment: AssignmentRecord,
    move: MoveRequest,
    asked: Step,
    placement: Placement,
    problem: str,
    pen: Pen,
) -> Proposal:
    text = f"the move was given up: {move.target or 'best node'}: {problem}"
    after = replace(
        assignment,
        move_id=move.id,
        status=without_queue(assignment),
        because=Decision("move: given up", text, (asked, pen.step(text)), placement.candidates),
    )
    return pen.write(standing, after, MOVE_GIVEN_UP, text, "", caused_by=move.id)


def _queue(
    standing: Standing,
    assignment: AssignmentRecord,
    move: MoveRequest,
    asked: Step,
    placement: Placement,
    problem: str,
    pen: Pen,
) -> Proposal | None:
    if standing.has_status(GroupStatus.WAITING_IN_QUEUE_FOR_MOVE):
        return None
    text = f"the move to {move.target or 'the best node'} waits: {problem}"
    after = replace(
        assignment,
        status=(*assignment.status, GroupStatus.WAITING_IN_QUEUE_FOR_MOVE),
        because=Decision(QUEUED, text, (asked, pen.step(text)), placement.candidates),
        next_action="move as soon as nothing forbids it",
    )
    return pen.write(standing, after, MOVE_QUEUED, f"{standing.group.name}: {text}", asked.text)


def _leave_queue(standing: Standing, assignment: AssignmentRecord, pen: Pen) -> Proposal | None:
    is_queued = standing.has_status(GroupStatus.WAITING_IN_QUEUE_FOR_MOVE)
    if not is_queued or assignment.because.rule == QUEUED_FOR_DRAIN:
        return None
    text = f"the move was cancelled: {standing.group.name} stays on {assignment.owner}"
    after = replace(
        assignment,
        status=without_queue(assignment),
        next_action="",
        because=Decision("move: cancelled", text, (*assignment.because.steps, pen.step(text))),
    )
    return pen.write(standing, after, MOVE_GIVEN_UP, text, "")


def without_queue(assignment: AssignmentRecord) -> tuple[str, ...]:
    return tuple(each for each in assignment.status if each != GroupStatus.WAITING_IN_QUEUE_FOR_MOVE)
