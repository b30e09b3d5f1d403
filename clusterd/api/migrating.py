"""What does the API say about a live migration? Pure. How far it is, and afterwards what it cost."""

from typing import Any

from clusterd.api.observed import ObservedGroup
from clusterd.database import DatabaseView
from clusterd.model.migrations import MigrationReport
from clusterd.model.records import AssignmentRecord
from clusterd.model.states import GroupStatus, MigrationState, Order, QueuedFor, ReleaseCause

LEAVING = (Order.RELEASE, Order.MIGRATE)
"""Orders under which a group goes to another node."""


def is_leaving_for_a_move(assignment: AssignmentRecord | None) -> bool:
    return assignment is not None and assignment.order in LEAVING and assignment.release_cause is ReleaseCause.MOVE


def is_queued_move(assignment: AssignmentRecord | None) -> bool:
    """Whether a move that somebody asked for waits in the queue; a drain that waits there is no such move."""
    is_queued = assignment is not None and GroupStatus.WAITING_IN_QUEUE_FOR_MOVE in assignment.status
    return is_queued and assignment is not None and assignment.queued_for is not QueuedFor.DRAIN


def migration_view(view: DatabaseView, group: ObservedGroup) -> dict[str, Any] | None:
    """The migration under way, or the last one under this generation; None: there was none."""
    assignment, said = group.assignment, _said(group)
    if assignment is None:
        return None
    if assignment.order is Order.MIGRATE:
        state = _state_under_way(view, group, said)
    elif said is not None:
        state = "failed" if said.failed else "done"
    else:
        return None
    return {
        "state": state,
        "target": assignment.target or None,
        "percent": said.percent if said is not None else 0,
        "text": said.text if said is not None else "",
        "because": assignment.migration_stop or (said.failed if said is not None else ""),
        "took_ms": said.took_ms or None if said is not None else None,
        "blackout_ms": said.blackout_ms or None if said is not None else None,
    }


def migration_text(view: DatabaseView, group: ObservedGroup) -> str:
    """One line for somebody who waits; empty: nothing is migrating."""
    found, assignment = migration_view(view, group), group.assignment
    if found is None or assignment is None or assignment.order is not Order.MIGRATE:
        return ""
    how_far = {
        "preparing": f"{assignment.target} prepares for it",
        "ready": f"{assignment.target} is ready",
        "moving": found["text"] or f"{found['percent']} %",
        "moved": f"it is at {assignment.target}, and {assignment.owner} gives it up",
        "stopping": f"it is to stop: {found['because']}",
        "failed": f"it fell through: {found['because']}",
    }
    return f"{group.record.name} migrates from {assignment.owner} to {assignment.target}: {how_far[found['state']]}"


def _said(group: ObservedGroup) -> MigrationReport | None:
    said = group.report.migration if group.report is not None else None
    is_present = said is not None and group.assignment is not None and said.number == group.assignment.migration
    return said if is_present else None


def _state_under_way(view: DatabaseView, group: ObservedGroup, said: MigrationReport | None) -> str:
    assignment, record = group.assignment, view.migration(group.record.name)
    if said is not None and (said.failed or said.is_moved):
        return "failed" if said.failed else "moved"
    if assignment is not None and assignment.migration_stop:
        return "stopping"
    if said is not None and (said.percent or said.text):
        return "moving"
    is_ready = record is not None and assignment is not None and record.number == assignment.migration
    return "ready" if is_ready and record is not None and record.state is MigrationState.READY else "preparing"
