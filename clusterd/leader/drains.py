"""How is a node emptied? Pure. Pause first, so that nothing arrives; then every group leaves, in order of priority.

The drain's own record says how far it has come. A group that cannot leave is named with the reason; the drain has failed
when only such groups are left, unless it was asked to try again and again.
"""

from collections.abc import Sequence
from dataclasses import replace

from clusterd.database import DatabaseView, Draft
from clusterd.leader.choice import count_text
from clusterd.leader.crowd import Crowd
from clusterd.leader.moves import out_of_queue
from clusterd.leader.pen import Pen
from clusterd.leader.placement import PlacementCause, Request
from clusterd.leader.proposal import Proposal
from clusterd.leader.sight import Sight
from clusterd.leader.standing import Standing
from clusterd.leader.together import companions, keys_of, why_they_stay
from clusterd.model import keys
from clusterd.model.drains import DrainFailure, DrainRecord
from clusterd.model.events import DRAIN_BEGUN, DRAIN_COMPLETED, DRAIN_FAILED, MOVE_QUEUED, Event
from clusterd.model.ids import NodeId
from clusterd.model.records import AssignmentRecord, Decision, EventRecord, NodeRecord, PauseRequest
from clusterd.model.states import DrainState, GroupStatus, Order, QueuedFor, ReleaseCause

_LEAVING = (Order.RELEASE, Order.MIGRATE)


def decide_drain(
    node: NodeRecord, standings: Sequence[Standing], view: DatabaseView, crowd: Crowd, sight: Sight
) -> Proposal | None:
    """Begin, complete, give up or end the drain of `node`; `standings` are the groups that it owns, first to leave first."""
    pause, record = node.pause, view.drain(node.name)
    if pause is None or not pause.is_drain:
        return _called_off(node, record, view)
    if record is None or record.pause_id != pause.id:
        begun = DrainRecord(
            node.name,
            pause.id,
            DrainState.IN_PROGRESS,
            tuple(each.group.name for each in standings),
            since_wall_ms=sight.wall_ms,
        )
        text = f"{node.name} is to be emptied: it has {count_text(len(standings))}"
        return _write(view, sight, node, begun, DRAIN_BEGUN, text)
    has_failed = record.state is DrainState.FAILED
    if record.state is not DrainState.IN_PROGRESS and not (has_failed and (pause.is_retried or not standings)):
        return None
    failed = tuple(
        DrainFailure(each.group.name, reason)
        for each in standings
        if (reason := obstacle(each, pause, view, crowd) or why_it_lingers(each)) is not None
    )
    if not standings:
        done = replace(record, state=DrainState.COMPLETED, failed=(), since_wall_ms=sight.wall_ms)
        return _write(view, sight, node, done, DRAIN_COMPLETED, f"{node.name} is empty")
    if len(failed) == len(standings) and (record.state is not DrainState.FAILED or failed != record.failed):
        given_up = replace(record, state=DrainState.FAILED, failed=failed, since_wall_ms=sight.wall_ms)
        text = "; ".join(f"{each.group}: {each.reason}" for each in failed)
        return _write(view, sight, node, given_up, DRAIN_FAILED, f"{node.name} could not be emptied", text)
    return None


def _called_off(node: NodeRecord, record: DrainRecord | None, view: DatabaseView) -> Proposal | None:
    """Nobody wants it emptied any more. Who asked for that has said so in the timeline."""
    if record is None or record.state is not DrainState.IN_PROGRESS:
        return None
    resume_id = node.resume.id if node.resume is not None and node.pause is None else ""
    ended = replace(record, state=DrainState.ENDED, resume_id=resume_id)
    return Proposal(f"drain/{node.name}", Draft(view).replace(ended).expect(keys.node(node.name)))


def drain_away(
    standing: Standing, assignment: AssignmentRecord, view: DatabaseView, crowd: Crowd, pen: Pen
) -> Proposal | None:
    """Have a group leave the node that is being drained."""
    node = standing.owner_node
    pause = node.pause if node is not None else None
    if assignment.order in _LEAVING:
        return None
    if node is None or pause is None or not pause.is_drain:
        return _leave_queue(standing, assignment, pen)
    record = view.drain(node.name)
    if record is None or record.pause_id != pause.id or obstacle(standing, pause, view, crowd) is not None:
        return None
    if record.state is not DrainState.IN_PROGRESS and not pause.is_retried:
        return None
    placement = crowd.place(_request(standing, pause, companions(standing, view, crowd)))
    text = f"{standing.group.name} leaves {node.name}, which is being drained by {pause.asked_by or 'an operator'}"
    target = placement.chosen or NodeId("")
    leaves = pen.leave(
        standing,
        replace(assignment, drained_from=node.name),
        ReleaseCause.DRAIN,
        rule="drain",
        text=text,
        message=text,
        target=target,
        candidates=placement.candidates,
        caused_by=pause.id,
        also=(keys.node(node.name),),
    )
    return leaves or _queue(standing, assignment, node, target, pen)


def _queue(
    standing: Standing, assignment: AssignmentRecord, node: NodeRecord, target: NodeId, pen: Pen
) -> Proposal | None:
    """It waits for other live migrations, and says so once."""
    if standing.has_status(GroupStatus.WAITING_IN_QUEUE_FOR_MOVE):
        return None
    problem = pen.too_many_migrations(assignment.owner, target)
    text = f"it waits to leave {node.name}, which is being drained: {problem}"
    after = replace(
        assignment,
        status=(*assignment.status, GroupStatus.WAITING_IN_QUEUE_FOR_MOVE),
        because=Decision("drain: waits", text, (*assignment.because.steps[-8:], pen.step(text))),
        queued_for=QueuedFor.DRAIN,
        next_action=f"migrate live to {target} as soon as another migration has ended",
    )
    pause_id = node.pause.id if node.pause is not None else ""
    return pen.write(
        standing,
        after,
        MOVE_QUEUED,
        f"{standing.group.name}: {text}",
        "",
        also=(keys.node(node.name),),
        caused_by=pause_id,
    )


def _leave_queue(standing: Standing, assignment: AssignmentRecord, pen: Pen) -> Proposal | None:
    """Its node is not drained any more."""
    if assignment.queued_for is not QueuedFor.DRAIN:
        return None
    text = f"{standing.group.name} stays on {assignment.owner}, which is not drained any more"
    because = Decision("drain: called off", text, (*assignment.because.steps, pen.step(text)))
    after = replace(out_of_queue(assignment), next_action="", because=because)
    return pen.write(standing, after, None, "", "", also=(keys.node(assignment.owner),))


def obstacle(standing: Standing, pause: PauseRequest, view: DatabaseView, crowd: Crowd) -> str | None:
    """Why a group cannot leave now; None when it can, or is leaving already."""
    if standing.assignment is not None and standing.assignment.order in _LEAVING:
        return None
    mates = companions(standing, view, crowd)
    reason = _reason_to_stay(standing, pause) or why_they_stay(mates, lambda each: _reason_to_stay(each, pause))
    if reason or pause.is_forced:
        return reason or None
    placement = crowd.place(_request(standing, pause, mates))
    return None if placement.chosen is not None else placement.refusal


def why_it_lingers(standing: Standing) -> str | None:
    """Why a group that was told to leave does not; None when it does, or was not told to."""
    assignment, report = standing.assignment, standing.report
    if assignment is None or assignment.order not in _LEAVING or report is None:
        return None
    stuck = [each for each in report.resources if each.may_run and each.evidence]
    return f"{stuck[0].name} could not be stopped: {stuck[0].evidence}" if stuck else None


def _reason_to_stay(standing: Standing, pause: PauseRequest) -> str | None:
    if standing.pinned_by is not None:
        return standing.pinned_by.text
    return "it is locked from moving" if standing.settings.is_locked and not pause.is_forced else None


def _request(standing: Standing, pause: PauseRequest, mates: Sequence[Standing]) -> Request:
    target = pause.target or None
    return Request(standing.group, PlacementCause.DRAIN, standing.owner, target, together=keys_of(mates))


def _write(
    view: DatabaseView,
    sight: Sight,
    node: NodeRecord,
    record: DrainRecord,
    kind: Event,
    message: str,
    because: str = "",
) -> Proposal:
    draft = Draft(view).replace(record).expect(keys.node(node.name))
    pause_id = node.pause.id if node.pause is not None else ""
    draft.event(
        EventRecord(
            sight.wall_ms,
            kind.name,
            kind.level,
            node=node.name,
            message=message,
            because=because,
            caused_by=pause_id,
        )
    )
    return Proposal(f"drain/{node.name}", draft)
