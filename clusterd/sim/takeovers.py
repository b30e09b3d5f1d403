"""Did every group that changed hands do so with evidence? Pure. An independent look at what was committed.

A group is taken from an owner that released it, or whose run is agreed to be over. From any other owner it may be taken
only if it affects nothing but its disks, and every one of them refused that owner at the moment of the decision.
"""

from clusterd.database import DatabaseView
from clusterd.model import keys
from clusterd.model.records import AssignmentRecord, ReportRecord
from clusterd.model.states import MembershipState
from clusterd.sim.storage import Storage


class Takeovers:
    """Looks at each change of an assignment or report when the first node has applied it."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._known: dict[str, AssignmentRecord] = {}
        self._released: dict[str, int] = {}
        """By group: the generation that was released last."""
        self.from_storage: list[str] = []
        """Groups that were taken by way of their disks."""
        self.breaches: list[str] = []

    def look(self, view: DatabaseView, key: str) -> None:
        report = view.get(ReportRecord, key) if key.startswith(keys.REPORT) else None
        if report is not None and report.is_released:
            self._released[keys.assignment(report.group)] = report.generation
        after = view.get(AssignmentRecord, key) if key.startswith(keys.ASSIGNMENT) else None
        if after is None:
            return
        before, self._known[key] = self._known.get(key), after
        if before is None or not before.owner or (before.owner, before.generation) == (after.owner, after.generation):
            return
        member = view.membership(before.owner)
        is_over = member is None or member.incarnation != before.incarnation or member.state is MembershipState.DOWN
        if is_over or self._released.get(key) == before.generation:
            return
        self.from_storage.append(before.group)
        if not self._storage.refuses(before.group, before.generation):
            self.breaches.append(
                f"{before.group} was taken from {before.owner} (generation {before.generation}) without evidence"
            )
