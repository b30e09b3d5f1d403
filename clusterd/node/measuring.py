"""For how long is each group online? Pure. The leader notices when that changes, and has it written down.

It is noticed at once and written together a little later, so that it costs next to nothing. What one leader did not write
any more the next one notices: it compares what was written with what is.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from clusterd.leader.availability import availability_state, is_owner_away, last_cold_start, measured
from clusterd.leader.standing import Standing, standing_of
from clusterd.model import keys
from clusterd.model.availability import AvailabilityRecord, AvailabilityState, Moment, entered, first_online
from clusterd.model.ids import GroupId, key_of
from clusterd.model.records import GroupRecord
from clusterd.node.proposals import ForAlarm

if TYPE_CHECKING:
    from clusterd.node.node import Node

WRITE_EVERY_MS = 1000
LOOKED_AT_ONCE = 200
LOOK_AGAIN_MS = 20
WRITTEN_AT_ONCE = 200
CHANGES_MAX = 32
"""Of one group between two writes; what changes more often is noticed anew after the write."""
ANSWER_WITHIN_MS = 10_000
FOUND_OUT_WITHIN_MS = 15_000
"""After a time without a leader: what its nodes had lost meanwhile is known by then."""

_Change = tuple[AvailabilityState, Moment]


class _Proposed(NamedTuple):
    record: AvailabilityRecord
    changes: int
    """How many of those that were noticed are in it."""
    at_ms: int


class Measuring:
    """The leader's half. It knows nothing that another leader could not find out."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        self._led_ms = 0
        """When this node last knew of a leader, before it led itself."""
        self._leaderless: tuple[int, int] | None = None
        """(from, until): the time without a leader before this node led."""
        self.forget()

    def forget(self) -> None:
        """This node does not lead."""
        self._is_all_due = True
        self._due: dict[str, None] = {}
        self._noticed: dict[str, list[_Change]] = {}
        self._proposed: dict[str, list[_Proposed]] = {}
        self._gone: dict[str, None] = {}
        """Groups that there are no more."""
        self._write_at_ms = 0
        self.next_look_ms: int | None = None

    def led(self, now_ms: int) -> None:
        """Somebody leads."""
        self._led_ms = now_ms

    def began_to_lead(self, now_ms: int) -> None:
        self.forget()
        self._leaderless = (self._led_ms or now_ms, now_ms)

    def changed(self, groups: Iterable[GroupId]) -> None:
        self._due.update(dict.fromkeys(map(key_of, groups)))

    def everything_changed(self) -> None:
        self._is_all_due = True

    def is_due(self, now_ms: int) -> bool:
        return self._is_all_due or bool(self._due) or (self.next_look_ms is not None and now_ms >= self.next_look_ms)

    def look(self, now_ms: int) -> None:
        """Notice what changed, a number of groups at once, and write down what is not written yet."""
        node, view = self._node, self._node.replica.view
        if self._is_all_due:
            self._is_all_due = False
            self._due.update(dict.fromkeys(key_of(each.name) for each in view.groups()))
            self._due.update(dict.fromkeys(key_of(each.group) for _, each in view.items(AvailabilityRecord)))
        if not self._due and self.next_look_ms is not None and now_ms < self.next_look_ms:
            return
        at = Moment(node.now(now_ms).cluster_ms, node.now(now_ms).wall_ms)
        had_news = bool(self._noticed or self._gone)
        for name in list(self._due)[:LOOKED_AT_ONCE]:
            del self._due[name]
            self._notice(name, at, now_ms)
        if self._noticed or self._gone:
            if not had_news:
                self._write_at_ms = now_ms + WRITE_EVERY_MS  # what it is about is more urgent
            self._write(now_ms)
        if self._due:
            self.next_look_ms = now_ms + LOOK_AGAIN_MS
        else:
            self.next_look_ms = max(self._write_at_ms, now_ms + LOOK_AGAIN_MS) if self._noticed or self._gone else None

    def _notice(self, name: str, at: Moment, now_ms: int) -> None:
        view = self._node.replica.view
        group = view.group(name)
        if group is None:
            self._noticed.pop(name, None)
            self._gone.update({name: None} if view.availability(name) is not None else {})
            return
        standing, record, changes = standing_of(view, group, 1), measured(view, group), self._noticed.get(name, [])
        state, known = (
            availability_state(view, standing),
            changes[-1][0] if changes else record.state if record else None,
        )
        is_news = state is not known and (known is not None or state is AvailabilityState.ONLINE)
        if is_news and len(changes) < CHANGES_MAX:
            self._noticed.setdefault(name, []).append((state, self._since(standing, state, at, now_ms)))

    def _since(self, standing: Standing, state: AvailabilityState, at: Moment, now_ms: int) -> Moment:
        """What is found to be lost soon after a time without a leader was lost in that time."""
        if state is not AvailabilityState.OUTAGE or self._leaderless is None or not is_owner_away(standing):
            return at
        from_ms, until_ms = self._leaderless
        back_ms = now_ms - from_ms if now_ms < until_ms + FOUND_OUT_WITHIN_MS else 0
        return Moment(max(0, at.cluster_ms - back_ms), at.wall_ms - back_ms)

    def _write(self, now_ms: int) -> None:
        """What was proposed and is not there yet may still come: it is proposed again only after a while."""
        node, view = self._node, self._node.replica.view
        self._settle()
        if now_ms < self._write_at_ms:
            return
        draft = node.draft()
        for name in list(self._noticed)[:WRITTEN_AT_ONCE]:
            proposed, group, changes = self._proposed.get(name, []), view.group(name), self._noticed[name]
            if proposed and now_ms < proposed[-1].at_ms + ANSWER_WITHIN_MS:
                continue
            record = self._after(group, changes) if group is not None else None
            if record is None:
                del self._noticed[name]
                continue
            draft.replace(record).expect(keys.group(name))
            self._proposed.setdefault(name, []).append(_Proposed(record, len(changes), now_ms))
        for name in list(self._gone)[:WRITTEN_AT_ONCE]:
            draft.drop(keys.availability(name)).expect(keys.group(name))
        self._gone.clear()
        if not draft.is_empty:
            node.submit(ForAlarm(), draft.build(node.next_request_id()), now_ms)
        self._write_at_ms = now_ms + WRITE_EVERY_MS

    def _settle(self) -> None:
        """What is there now needs no writing any more."""
        for name, proposed in list(self._proposed.items()):
            stored = self._node.replica.view.availability(name)
            written = next((each.changes for each in proposed if each.record == stored), 0)
            if not written and name in self._noticed:
                continue
            del self._proposed[name]
            if left := self._noticed.pop(name, [])[written:]:
                self._noticed[name] = left
            self._due[name] = None  # one change too many may have been left out

    def _after(self, group: GroupRecord, changes: list[_Change]) -> AvailabilityRecord | None:
        view = self._node.replica.view
        record = measured(view, group)
        for state, at in changes:
            if record is not None:
                record = entered(record, state, at)
            elif state is AvailabilityState.ONLINE:
                record = first_online(group.name, group.id, at, last_cold_start(view))
        return record
