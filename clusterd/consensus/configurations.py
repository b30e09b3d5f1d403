"""Who votes, by which entry of the log, and may that be changed now? Pure.

A configuration takes effect when its entry is in the log, and is forgotten when that entry is replaced (Raft thesis,
section 4.1). Two neighbours differ by at most one voter, so that any majority of one meets any majority of the other;
that holds only while at most one of them is uncommitted.
"""

from collections.abc import Sequence

from clusterd.model.errors import invariant
from clusterd.model.ids import NodeId
from clusterd.wire.consensus_pb2 import ENTRY_KIND_CONFIGURATION, Configuration, Entry


def votes_needed(voter_count: int) -> int:
    return voter_count // 2 + 1


def agreed_value(values: Sequence[int]) -> int:
    """The highest value that enough of the voters have reached; 0 without voters."""
    return sorted(values, reverse=True)[len(values) // 2] if values else 0


def change_problem(was: Configuration, wanted: Configuration) -> str | None:
    """Why `was` may not be followed by `wanted`; None when it may."""
    voters, learners = set(wanted.voters), set(wanted.learners)
    if not voters:
        return "a cluster needs a voter"
    if len(voters) != len(wanted.voters) or len(learners) != len(wanted.learners):
        return "a node is named twice"
    if voters & learners:
        return f"{', '.join(sorted(voters & learners))} cannot be voter and learner"
    changed = voters ^ set(was.voters)
    if len(changed) > 1:
        return f"only one voter may change at a time, not {', '.join(sorted(changed))}"
    return None


class Configurations:
    """The configurations in the log, oldest first; the oldest is committed, the newest is in effect."""

    def __init__(self, first: Configuration) -> None:
        self.reset(first)

    def reset(self, first: Configuration) -> None:
        self._all = [first]
        self._note_newest()

    def add(self, entry: Entry) -> None:
        configuration = Configuration.FromString(entry.data)
        configuration.index, configuration.term = entry.index, entry.term
        self._all.append(configuration)
        self._note_newest()

    def add_from(self, entries: Sequence[Entry]) -> bool:
        """Take in every configuration among `entries`; was there one?"""
        found = [entry for entry in entries if entry.kind == ENTRY_KIND_CONFIGURATION]
        for entry in found:
            self.add(entry)
        return bool(found)

    def cut(self, index: int) -> None:
        """The log was cut at `index`."""
        while len(self._all) > 1 and self._all[-1].index >= index:
            self._all.pop()
        invariant(self._all[-1].index < index, f"the committed configuration {self._all[-1].index} was cut")
        self._note_newest()

    def compact(self, index: int) -> None:
        """The log up to `index` is committed and gone."""
        while len(self._all) > 1 and self._all[1].index <= index:
            del self._all[0]

    def at(self, index: int) -> Configuration:
        """The newest one whose entry is at or before `index`."""
        return next((each for each in reversed(self._all) if each.index <= index), self._all[0])

    def _note_newest(self) -> None:
        self.newest = self._all[-1]
        self.voters = tuple(sorted(NodeId(each) for each in self.newest.voters))
        self.peers = tuple(sorted({*self.voters, *(NodeId(each) for each in self.newest.learners)}))
