"""What would follow from a change, decision by decision? Pure.

The change is applied to a copy of the database. Then the leader decides and the owners obey, in turn, until nothing moves
any more; when only time is missing (a start delay, a throttle) it is let pass, up to a horizon. Everything is bounded.
"""

from collections.abc import Iterable

from clusterd.database import DatabaseView, Draft
from clusterd.foresight.changes import lost
from clusterd.foresight.outlook import Outlook
from clusterd.foresight.owners import obvious_report
from clusterd.foresight.story import Foresight, Story
from clusterd.leader.decide import Memory, decide
from clusterd.model import keys
from clusterd.model.ids import key_of
from clusterd.model.records import MembershipRecord
from clusterd.model.states import MembershipState

HORIZON_MS = 15 * 60_000
ROUNDS_MAX = 200
_OF_GROUPS = frozenset({keys.GROUP, keys.ASSIGNMENT, keys.REPORT})
_SAID = frozenset({keys.EVENT, keys.DRAIN})
GROUPS_DECIDED_MAX = 200_000
"""Rounds × groups: a large cluster is looked at for fewer rounds, which are enough as long as nothing is throttled."""


def foresee(view: DatabaseView, change: Draft, outlook: Outlook, *, horizon_ms: int = HORIZON_MS) -> Foresight:
    """The future in which `change`, drafted on `view`, is committed now. Nothing of `view` is changed."""
    return _Future(view.fork(), outlook, horizon_ms).play(change)


class _Future:
    """A copy of the cluster in which time passes only when nothing else can happen."""

    def __init__(self, view: DatabaseView, outlook: Outlook, horizon_ms: int) -> None:
        self._view = view
        self._outlook = outlook
        self._horizon_ms = horizon_ms
        self._after_ms = 0
        self._seen_revision = view.revision
        self._memory = Memory()

    def play(self, change: Draft) -> Foresight:
        story = Story(self._view)
        self._apply(change)
        rounds_max = min(ROUNDS_MAX, 8 + GROUPS_DECIDED_MAX // max(1, len(self._view.groups())))
        is_complete = False
        for _ in range(rounds_max):
            if not self._outlook.keeps_quorum(self._view):
                self._stop_everything()
                story.look(self._changed_groups(), self._after_ms)
                return story.told(keeps_quorum=False, is_complete=True)
            has_decided, next_ms = self._lead()
            decided = self._changed_groups()
            has_obeyed = self._own(decided)
            story.look(dict.fromkeys([*decided, *self._changed_groups()]), self._after_ms)
            if has_decided or has_obeyed:
                continue
            if next_ms is None or next_ms > self._horizon_ms:
                is_complete = True
                break
            self._after_ms = max(next_ms, self._after_ms + 1)
        return story.told(keeps_quorum=True, is_complete=is_complete)

    # ---- one round ----

    def _lead(self) -> tuple[bool, int | None]:
        """Commit what a leader decides now. True when something was; else when it wants to look again."""
        self._end_expelled()
        sight = self._outlook.sight(self._view, self._after_ms)
        decisions = decide(self._view, sight, memory=self._memory)
        has_moved = False
        for proposal in decisions.proposals:
            has_moved = self._apply(proposal.draft) or has_moved
        next_ms = None if decisions.next_look_ms is None else self._outlook.after_ms(decisions.next_look_ms)
        return has_moved, next_ms

    def _own(self, groups: Iterable[str]) -> bool:
        """Owners of these groups do as they were told. True when one had something to report."""
        draft = Draft(self._view)
        wall_ms = self._outlook.wall_ms + self._after_ms
        for name in groups:
            assignment = self._view.assignment(name)
            report = obvious_report(self._view, assignment, wall_ms) if assignment is not None else None
            if report is not None:
                draft.put(report)
        return self._apply(draft)

    def _end_expelled(self) -> None:
        """Evidence about an expelled node comes in time; here it comes at once."""
        draft = Draft(self._view)
        for _, member in self._view.items(MembershipRecord):
            if member.state is MembershipState.EXPELLING:
                draft.put(lost(self._view, member, self._outlook.wall_ms + self._after_ms))
        self._apply(draft)

    def _stop_everything(self) -> None:
        """Without a majority of the votes no run lease is renewed: every node stops what it runs."""
        draft = Draft(self._view)
        for _, member in self._view.items(MembershipRecord):
            draft.put(lost(self._view, member, self._outlook.wall_ms))
        self._apply(draft)

    # ---- building blocks ----

    def _apply(self, draft: Draft) -> bool:
        if draft.is_empty:
            return False
        transaction = draft.build("")
        transaction.cluster_ms = self._outlook.cluster_ms + self._after_ms
        database = self._view.database
        return database.apply(transaction, database.revision + 1).succeeded

    def _changed_groups(self) -> list[str]:
        """Folded names of groups about which anything changed since the last look; all, when more than groups did."""
        changed = self._view.database.changes_since(self._seen_revision)
        self._seen_revision = self._view.revision
        prefixed = dict.fromkeys((keys.prefix_of(key), key) for _, key in changed or ())
        if changed is None or any(prefix not in _OF_GROUPS and prefix not in _SAID for prefix, _ in prefixed):
            return [key_of(each.name) for each in self._view.groups()]
        return list(dict.fromkeys(key.removeprefix(prefix) for prefix, key in prefixed if prefix in _OF_GROUPS))
