"""Which groups must be looked at again although nothing about them changed? Pure.

A group that waits (for room, for others, for a node, for the end of maintenance) or rests in failure waits for something
elsewhere, and one that may fail back waits for room where it would rather be. They are few; every pass looks at all of
them, so nothing that they wait for has to know them.
"""

from collections.abc import Mapping

from clusterd.database import DatabaseView
from clusterd.leader.failback import became_active
from clusterd.leader.in_flight import InFlight
from clusterd.leader.seats import settings_of
from clusterd.model import keys
from clusterd.model.ids import GroupId, key_of
from clusterd.model.records import AssignmentRecord
from clusterd.model.states import Order, ReleaseCause

_NOTHING = InFlight()


class Waiting:
    """The groups that wait, kept up to date from the changes of the database."""

    def __init__(self) -> None:
        self._revision = -1
        self._groups: set[GroupId] = set()
        self._preempted: set[GroupId] = set()
        self._away: set[GroupId] = set()
        """Groups that may fail back, and are not on the node that they like best."""
        self._migrations: dict[str, tuple[str, str]] = {}
        self._proposed: dict[str, AssignmentRecord] = {}

    @property
    def migrations(self) -> Mapping[str, tuple[str, str]]:
        """By group: the keys of the two nodes between which it is migrating, or will be if what is in flight commits."""
        proposed = {
            key: (key_of(each.owner), key_of(each.target))
            for key, each in self._proposed.items()
            if each.order is Order.MIGRATE
        }
        return {**proposed, **self._migrations}

    def refresh(self, view: DatabaseView, in_flight: InFlight = _NOTHING) -> None:
        """Take in what changed since the last call, and what is in flight."""
        self._proposed = dict(in_flight.assignments())
        if view.revision == self._revision:
            return
        changes = view.database.changes_since(self._revision) if 0 <= self._revision < view.revision else None
        if changes is None:
            self._groups, self._preempted, self._away, self._migrations = set(), set(), set(), {}
            changed = {key.removeprefix(keys.ASSIGNMENT) for key, _ in view.items(AssignmentRecord)}
        else:
            changed = {
                key.removeprefix(prefix)
                for _, key in changes
                if (prefix := keys.prefix_of(key)) in (keys.ASSIGNMENT, keys.GROUP, keys.STORAGE_FENCE)
            }
        for name in changed:
            self._look(view, GroupId(name))
        self._revision = view.revision

    @property
    def groups(self) -> frozenset[GroupId]:
        return frozenset(self._groups)

    def bound_home(self, view: DatabaseView) -> set[GroupId]:
        """Those that would go back now to a node that became active, if nothing else forbids it."""
        found = set()
        for name in self._away:
            group, assignment = view.group(name), view.assignment(name)
            if group is not None and assignment is not None and any(became_active(view, group, assignment)):
                found.add(name)
        return found

    @property
    def is_making_room(self) -> bool:
        """Whether a group is being taken offline for another: until that is done, no more are."""
        return bool(self.preempted)

    @property
    def preempted(self) -> frozenset[GroupId]:
        """The groups that are being taken offline for another."""
        return frozenset(self._preempted | {GroupId(key) for key, each in self._proposed.items() if _makes_room(each)})

    def _look(self, view: DatabaseView, name: GroupId) -> None:
        """What is deleted waits for nothing; what took its place waits until that is given up."""
        group = view.group(name)
        assignment = view.assignment_of(group) if group is not None else None
        is_waiting = assignment is not None and (
            not assignment.owner
            or bool(assignment.status)
            or bool(assignment.drained_from)
            or bool(assignment.blocked_until_cluster_ms)
            or view.storage_fence(name) is not None
        )
        is_succeeding = group is not None and assignment is None and view.assignment(name) is not None
        is_leaving = assignment is not None and _makes_room(assignment)
        self._migrations.pop(name, None)
        if assignment is not None and assignment.order is Order.MIGRATE:
            self._migrations[name] = (key_of(assignment.owner), key_of(assignment.target))
        is_away = _is_away(view, name)
        for found, groups in (
            (is_waiting or is_succeeding, self._groups),
            (is_leaving, self._preempted),
            (is_away, self._away),
        ):
            if found:
                groups.add(name)
            else:
                groups.discard(name)


def _makes_room(assignment: AssignmentRecord) -> bool:
    return assignment.order is Order.RELEASE and assignment.release_cause is ReleaseCause.PREEMPT


def _is_away(view: DatabaseView, name: GroupId) -> bool:
    group = view.group(name)
    assignment = view.assignment_of(group) if group is not None else None
    if group is None or assignment is None or not assignment.owner or not group.preferred_owners:
        return False
    return settings_of(group).may_fail_back and key_of(group.preferred_owners[0]) != key_of(assignment.owner)
