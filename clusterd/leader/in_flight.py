"""What has been proposed and is not settled yet? Pure.

It is part of what the leader decides from: until its outcome is known, every decision must be right whether it commits or
not. `Crowd` counts a group where it is and where it is to be; nothing else is decided about its subject; and of transactions
about groups that constrain each other one is under way at a time, so the next one sees what became of it.

Whatever is refused is not offered again before something has changed, or a pause is over. What is not settled in time is
looked up (`overdue`): it must never keep its groups waiting for ever.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from clusterd.leader.proposal import Proposal
from clusterd.model import keys
from clusterd.model.ids import GroupId, key_of
from clusterd.model.records import AssignmentRecord

REFUSED_FOR_MS = 1000
HELD_BACK_MS = 10_000
SETTLE_MS = 5000
BUNDLE_MAX = 256
"""Groups in one transaction. Those that are left wait for it."""
BUNDLE_BYTES = 192 * 1024


@dataclass(slots=True)
class _Flight:
    subjects: tuple[str, ...]
    assignments: Mapping[str, AssignmentRecord]
    is_guarded: bool
    since_ms: int
    until_ms: int = 0
    """Of a refused one: until when it rests at most."""
    revision: int | None = None
    """Of a refused one that a commit may help: what the database was at."""

    @property
    def is_refused(self) -> bool:
        return self.until_ms > 0


class InFlight:
    """The proposals of one leader, by number."""

    def __init__(self) -> None:
        self._flights: dict[int, _Flight] = {}
        self._last = 0
        self.bundle_max = BUNDLE_MAX
        """Halved by each bundle that fails, for one group in it is enough for that; what commits brings it back."""

    def add(self, proposal: Proposal, now_ms: int) -> int:
        """Its number."""
        self._last += 1
        assignments = {
            key.removeprefix(keys.ASSIGNMENT): record
            for key, record in proposal.draft.stored.items()
            if isinstance(record, AssignmentRecord)
        }
        self._flights[self._last] = _Flight(proposal.subjects, assignments, proposal.is_guarded, now_ms)
        return self._last

    def settled(self, number: int, *, has_succeeded: bool) -> tuple[str, ...]:
        """It was committed, or its compares failed: its subjects, which are decided anew. None when it is not known."""
        flight = self._flights.pop(number, None)
        if flight is None:
            return ()
        if flight.is_guarded and has_succeeded:
            self.bundle_max = BUNDLE_MAX
        elif flight.is_guarded:
            self.bundle_max = max(1, min(self.bundle_max, len(flight.subjects)) // 2)
        return flight.subjects

    def refused(self, number: int, revision: int, now_ms: int) -> None:
        """It was not even taken: nothing of it will happen, and its subjects rest until a commit, or for a while."""
        self._rest(number, now_ms + REFUSED_FOR_MS, revision)

    def held_back(self, number: int, now_ms: int) -> None:
        """It can never be taken as it is: its subjects rest, unless there were several. Fewer may do."""
        is_one = len(self.subjects_of(number)) < 2
        self._rest(number, now_ms + (HELD_BACK_MS if is_one else 1), None)

    def _rest(self, number: int, until_ms: int, revision: int | None) -> None:
        flight = self._flights.get(number)
        if flight is not None:
            flight.until_ms, flight.revision, flight.assignments = until_ms, revision, {}
            flight.is_guarded = False
            self.bundle_max = max(1, min(self.bundle_max, len(flight.subjects)) // 2)

    def rested(self, revision: int, now_ms: int) -> list[str]:
        """Subjects of refused proposals that may be decided again."""
        over = [
            number
            for number, each in self._flights.items()
            if each.is_refused and (now_ms >= each.until_ms or (each.revision is not None and revision > each.revision))
        ]
        return [subject for number in over for subject in self._flights.pop(number).subjects]

    def renew(self, number: int, now_ms: int) -> None:
        """It is known to be on its way still: it is looked up again later."""
        self._flights[number].since_ms = now_ms

    def clear(self) -> None:
        """This node leads no more: what becomes of them is for the next leader to see."""
        self._flights.clear()

    def subjects_of(self, number: int) -> tuple[str, ...]:
        flight = self._flights.get(number)
        return flight.subjects if flight is not None else ()

    @property
    def subjects(self) -> set[str]:
        return {subject for each in self._flights.values() for subject in each.subjects}

    @property
    def groups(self) -> set[GroupId]:
        """Keys of the groups about which nothing is decided now."""
        return {GroupId(key_of(each.removeprefix("group/"))) for each in self.subjects if each.startswith("group/")}

    @property
    def is_guarded(self) -> bool:
        """Whether a transaction about groups that constrain each other is under way."""
        return any(each.is_guarded for each in self._flights.values())

    def assignments(self) -> Iterator[tuple[str, AssignmentRecord]]:
        """By key of the group: what will be assigned if everything commits."""
        for each in self._flights.values():
            yield from each.assignments.items()

    def overdue(self, now_ms: int) -> list[int]:
        """Numbers of those that ought to be settled by now."""
        return [n for n, each in self._flights.items() if not each.is_refused and now_ms >= each.since_ms + SETTLE_MS]

    def next_deadline_ms(self) -> int | None:
        """When a refused one has rested, or one is overdue."""
        flights = self._flights.values()
        return min((each.until_ms or each.since_ms + SETTLE_MS for each in flights), default=None)
