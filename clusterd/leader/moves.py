"""What becomes of an operator's wish to move a group? Pure.

A wish is carried out, given up with the reason, or, where the operator said so, waited for. Taking it back ends the waiting,
and also a release that the owner has not finished: the group then goes on where it is, under the same generation.
"""

from collections.abc import Collection
from dataclasses import replace

from clusterd.database import DatabaseView
from clusterd.leader.crowd import Crowd
from clusterd.leader.live import live_obstacle
from clusterd.leader.pen import Pen
from clusterd.leader.placement import Placement, PlacementCause, Request
from clusterd.leader.proposal import Proposal
from clusterd.leader.standing import Standing
from clusterd.leader.together import companions, keys_of, why_they_stay
from clusterd.model import keys
from clusterd.model.events import GROUP_ASSIGNED, MOVE_GIVEN_UP, MOVE_QUEUED
from clusterd.model.ids import NodeId, key_of
from clusterd.model.records import AssignmentRecord, Decision, MoveRequest, Step
from clusterd.model.states import DecisionCode, GroupStatus, MoveKind, Order, QueuedFor, ReleaseCause


def carry_out(
    standing: Standing, assignment: AssignmentRecord, view: DatabaseView, crowd: Crowd, pen: Pen
) -> Proposal | None:
    """What to do about the newest move request of a group that has an owner and is not on its way."""
    move = standing.group.move
    if move is None or move.id == assignment.move_id:
        return _leave_queue(standing, assignment, pen)
    asked = _asked(standing, move, pen)
    mates = [each for each in companions(standing, view, crowd) if _moves_with(each, move)]
    placement = crowd.place(_request(standing, move, assignment.owner, keys_of(mates)))
    if key_of(move.target) == key_of(assignment.owner):
        return _let_stay(standing, assignment, move, asked, pen)
    problem = _problem(standing, move, placement, crowd, mates)
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
    """The owner is giving the group up for a move or a drain that nobody wants any more: it may keep it.

    Where nothing of it runs it is held, and starts, if it is to, through the gates like any other.
    Safe with the same generation: the owner's release and this exclude each other, since each expects the other's record
    to be unchanged.
    """
    why = why_not_wanted(standing, assignment)
    if not why:
        return None
    text = f"{why}: {standing.group.name} stays on {assignment.owner}"
    is_drain = assignment.release_cause is ReleaseCause.DRAIN
    goes_on = standing.is_wanted and standing.report is not None and not standing.is_at_rest
    after = replace(
        assignment,
        order=Order.RUN if goes_on else Order.HOLD,
        target=NodeId(""),
        release_cause=ReleaseCause.NONE,
        drained_from=NodeId("") if is_drain else assignment.drained_from,
        because=Decision(
            f"{assignment.release_cause}: cancelled",
            text,
            (*assignment.because.steps, pen.step(text)),
            code=DecisionCode.MOVE_CANCELLED,
        ),
        since_wall_ms=pen.sight.wall_ms,
    )
    also = (keys.report(standing.group.name), keys.membership(assignment.owner), keys.node(assignment.owner))
    return pen.write(standing, after, GROUP_ASSIGNED, text, "", node=assignment.owner, also=also)


def why_not_wanted(standing: Standing, assignment: AssignmentRecord) -> str:
    """What was taken back of what a group is leaving its owner for; empty: nothing."""
    if assignment.release_cause is ReleaseCause.MOVE:
        return "the move was cancelled" if standing.group.move is None and assignment.move_id else ""
    node = standing.owner_node
    if assignment.release_cause is ReleaseCause.DRAIN and node is not None and node.pause is None:
        return f"{node.name} is not drained any more"
    return ""


def _moves_with(mate: Standing, move: MoveRequest) -> bool:
    """Whether the wish is about this one, too, and nothing was done about it yet."""
    asked, assignment = mate.group.move, mate.assignment
    return asked is not None and asked.id == move.id and assignment is not None and assignment.move_id != move.id


def _request(standing: Standing, move: MoveRequest, owner: NodeId, together: Collection[str]) -> Request:
    return Request(
        standing.group,
        PlacementCause.MOVE,
        current=owner,
        target=move.target or None,
        ignores_rules=move.ignores_rules,
        together=together,
    )


def _asked(standing: Standing, move: MoveRequest, pen: Pen) -> Step:
    where = move.target or "the best node"
    text = f"{move.asked_by or 'an operator'} asked to move {standing.group.name} to {where}"
    return pen.step(text, wall_ms=move.asked_wall_ms)


def _problem(
    standing: Standing, move: MoveRequest, placement: Placement, crowd: Crowd, mates: Collection[Standing]
) -> str | None:
    problem = _reason_to_stay(standing, move) or why_they_stay(mates, lambda each: _reason_to_stay(each, move))
    if problem:
        return problem
    if move.target:
        excluded = crowd.why_not(standing.group, move.target, ignores_rules=move.ignores_rules, together=keys_of(mates))
        return excluded.reason if excluded is not None else None
    return None if placement.chosen is not None else placement.refusal


def _reason_to_stay(standing: Standing, move: MoveRequest) -> str | None:
    if standing.pinned_by is not None:
        return standing.pinned_by.text
    return "it is locked from moving" if standing.settings.is_locked and not move.ignores_lock else None


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
    after = replace(out_of_queue(assignment), move_id=move.id, because=because)
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
        out_of_queue(assignment),
        move_id=move.id,
        because=Decision(
            "move: given up", text, (asked, pen.step(text)), placement.candidates, DecisionCode.MOVE_GIVEN_UP
        ),
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
        because=Decision("move: waits", text, (asked, pen.step(text)), placement.candidates),
        next_action="move as soon as nothing forbids it",
        queued_for=QueuedFor.MOVE,
    )
    return pen.write(standing, after, MOVE_QUEUED, f"{standing.group.name}: {text}", asked.text)


def _leave_queue(standing: Standing, assignment: AssignmentRecord, pen: Pen) -> Proposal | None:
    """Nobody wants the move any more that waits. What waits for a drain is for the drain to say."""
    is_queued = standing.has_status(GroupStatus.WAITING_IN_QUEUE_FOR_MOVE)
    if not is_queued or assignment.queued_for is QueuedFor.DRAIN:
        return None
    text = f"the move was cancelled: {standing.group.name} stays on {assignment.owner}"
    steps = (*assignment.because.steps, pen.step(text))
    because = Decision("move: cancelled", text, steps, code=DecisionCode.MOVE_CANCELLED)
    after = replace(out_of_queue(assignment), next_action="", because=because)
    return pen.write(standing, after, MOVE_GIVEN_UP, text, "")


def out_of_queue(assignment: AssignmentRecord) -> AssignmentRecord:
    status = tuple(each for each in assignment.status if each != GroupStatus.WAITING_IN_QUEUE_FOR_MOVE)
    return replace(assignment, status=status, queued_for=QueuedFor.NOTHING)
