"""What becomes of a group that is handed over while it runs? Pure.

The leader orders it (`Pen.leave`) and asks it to stop when something speaks against it. Whether it came to pass is the
source's to say: it reports that it failed, and gets the group back under the same generation, or it releases it, and it
then goes to the destination. Safe for the reason for which a move can be taken back: the source's report and the leader's
order each expect the other's record to be unchanged.
"""

from dataclasses import replace

from clusterd.database import DatabaseView
from clusterd.leader.crowd import Crowd
from clusterd.leader.moves import why_not_wanted
from clusterd.leader.pen import Pen
from clusterd.leader.proposal import Proposal
from clusterd.leader.standing import Standing
from clusterd.model import keys
from clusterd.model.events import GROUP_ASSIGNED, MOVE_GIVEN_UP
from clusterd.model.ids import Incarnation, NodeId, key_of
from clusterd.model.migrations import MigrationReport
from clusterd.model.records import AssignmentRecord, Decision
from clusterd.model.states import DecisionCode, GroupStatus, MoveKind, Order, ReleaseCause

_INTERRUPTS = frozenset({ReleaseCause.DRAIN, ReleaseCause.FAILBACK})
"""Moves that are worth an interruption when they cannot do without. Evening out the load is not."""


def attend(
    standing: Standing, assignment: AssignmentRecord, view: DatabaseView, crowd: Crowd, pen: Pen
) -> Proposal | None:
    """What to do about a group that is being migrated and that its owner still has."""
    said = migration_of(standing, assignment)
    if said is not None and said.failed:
        return _fall_back(standing, assignment, said.failed, crowd, pen)
    if assignment.migration_stop or (said is not None and said.is_moved):
        return None
    because = _reason_to_stop(standing, assignment, view, crowd)
    if not because:
        return None
    return pen.write(standing, replace(assignment, migration_stop=because), None, "", "")


def migration_of(standing: Standing, assignment: AssignmentRecord) -> MigrationReport | None:
    """What the source said of this very migration."""
    said = standing.report.migration if standing.report is not None else None
    return said if said is not None and said.number == assignment.migration else None


def has_moved(standing: Standing, assignment: AssignmentRecord) -> bool:
    """It was released, and is whole at its destination."""
    said = migration_of(standing, assignment)
    return assignment.order is Order.MIGRATE and standing.is_released and said is not None and said.is_moved


def is_expected_at(assignment: AssignmentRecord, incarnation: Incarnation) -> bool:
    """Whether that run of a node prepared for the migration under way. No other run, of whatever node, has its name."""
    return assignment.target_incarnation == incarnation


def _reason_to_stop(standing: Standing, assignment: AssignmentRecord, view: DatabaseView, crowd: Crowd) -> str:
    move = standing.group.move
    if why := why_not_wanted(standing, assignment):
        return why
    if assignment.release_cause is ReleaseCause.MOVE and move is not None and move.id != assignment.move_id:
        return f"{move.asked_by or 'an operator'} asked for another move"
    if standing.pinned_by is not None:
        return standing.pinned_by.text
    ignores_lock = move is not None and move.id == assignment.move_id and move.ignores_lock
    if standing.settings.is_locked and not ignores_lock:
        return "it is locked from moving"
    target, member = assignment.target, view.membership(assignment.target)
    if member is None or member.incarnation != assignment.target_incarnation:
        return f"{target} was lost"
    room = crowd.rooms.get(key_of(target))
    return f"{target}: {room.refusal}" if room is not None and room.refusal else ""


def _fall_back(
    standing: Standing, assignment: AssignmentRecord, because: str, crowd: Crowd, pen: Pen
) -> Proposal | None:
    """It runs where it was. What is to leave anyway does so with an interruption, if nothing speaks against it."""
    text = f"{standing.group.name} could not be migrated live to {assignment.target}: {because}"
    steps = (*assignment.because.steps, pen.step(text))
    is_worth_it = assignment.release_cause in _INTERRUPTS and not assignment.migration_stop
    stays = standing.pinned_by is not None or standing.settings.is_locked
    if is_worth_it and not stays and crowd.why_not(standing.group, assignment.target) is None:
        return pen.release(
            standing,
            replace(assignment, target_incarnation=Incarnation("")),
            assignment.release_cause,
            rule=f"{assignment.because.rule}: quick instead of live",
            text=f"{assignment.because.text}; not live: {because}",
            message=f"{standing.group.name} leaves {assignment.owner} for {assignment.target} with an interruption",
            because=text,
            target=assignment.target,
            steps=steps,
            rests_on_report=True,
            kind=MoveKind.QUICK,
        )
    stays_text = f"{standing.group.name} stays on {assignment.owner}: {because}"
    after = replace(
        assignment,
        order=Order.RUN,
        target=NodeId(""),
        target_incarnation=Incarnation(""),
        release_cause=ReleaseCause.NONE,
        move_kind=MoveKind.UNSAID,
        migration_stop="",
        status=tuple(each for each in assignment.status if each != GroupStatus.MIGRATING),
        because=Decision("live migration: given up", stays_text, steps, code=DecisionCode.MIGRATION_GIVEN_UP),
        since_wall_ms=pen.sight.wall_ms,
    )
    also = (keys.report(standing.group.name), keys.membership(assignment.owner))
    kind = MOVE_GIVEN_UP if assignment.release_cause is ReleaseCause.MOVE else GROUP_ASSIGNED
    crowd.placed(standing.group.name, None)  # what belongs with it must not follow it to where it no longer goes
    crowd.placed(standing.group.name, assignment.owner)
    return pen.write(standing, after, kind, stays_text, text, node=assignment.owner, also=also)
