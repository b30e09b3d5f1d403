"""Which entries does this replica hold, and of which term is each? Pure.

A window of the log in memory: `base_index` is the last entry that was compacted away (its term is still known), then
entries without a gap up to `last_index`. A running total of sizes makes "as much as fits in one message" a binary
search. Entries are shared with messages and never changed.
"""

from bisect import bisect_right
from collections.abc import Iterable

from clusterd.model.errors import invariant
from clusterd.wire.consensus_pb2 import Entry

ENTRY_OVERHEAD_BYTES = 32


class Log:
    def __init__(self, base_index: int, base_term: int) -> None:
        self.reset(base_index, base_term)

    def reset(self, base_index: int, base_term: int) -> None:
        """Hold nothing after `base_index`."""
        self.base_index = self.last_index = base_index
        self.base_term = self.last_term = base_term
        self._entries: list[Entry] = []
        self._totals: list[int] = [0]

    @property
    def size_bytes(self) -> int:
        return self._totals[-1] - self._totals[0]

    def bytes_after(self, index: int) -> int:
        """The size of the entries after `index`."""
        return self._totals[-1] - self._totals[min(max(index - self.base_index, 0), len(self._entries))]

    def __len__(self) -> int:
        return len(self._entries)

    def term_at(self, index: int) -> int | None:
        """None when the entry was compacted away or is not there yet."""
        if index == self.last_index:
            return self.last_term
        if index == self.base_index:
            return self.base_term
        if index < self.base_index or index > self.last_index:
            return None
        return self._entries[index - self.base_index - 1].term

    def entry_at(self, index: int) -> Entry | None:
        if index <= self.base_index or index > self.last_index:
            return None
        return self._entries[index - self.base_index - 1]

    def entries_from(self, index: int, through: int | None = None) -> list[Entry]:
        """The entries held in [index, through]; none of those that were compacted away."""
        start = max(index - self.base_index - 1, 0)
        end = len(self._entries) if through is None else max(through - self.base_index, 0)
        return self._entries[start:end]

    def batch(self, index: int, *, bytes_max: int, entries_max: int) -> list[Entry]:
        """As many entries from `index` on as fit, at least one if there is one."""
        start = index - self.base_index - 1
        fit = bisect_right(self._totals, self._totals[start] + bytes_max, lo=start) - 1
        return self._entries[start : min(max(fit, start + 1), start + entries_max)]

    def append(self, entry: Entry) -> None:
        invariant(entry.index == self.last_index + 1, f"entry {entry.index} appended after {self.last_index}")
        self._entries.append(entry)
        self._totals.append(self._totals[-1] + len(entry.data) + ENTRY_OVERHEAD_BYTES)
        self.last_index, self.last_term = entry.index, entry.term

    def extend(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self.append(entry)

    def cut(self, index: int) -> None:
        """Drop the entries from `index` on."""
        keep = index - self.base_index - 1
        invariant(keep >= 0, f"the log is cut at {index}, but holds nothing up to {self.base_index}")
        del self._entries[keep:], self._totals[keep + 1 :]
        self.last_index = index - 1
        self.last_term = self._entries[-1].term if self._entries else self.base_term

    def compact(self, index: int) -> None:
        """Drop the entries up to `index`."""
        drop = index - self.base_index
        if drop <= 0:
            return
        term = self.term_at(index)
        invariant(term is not None, f"compacted to {index}, which is after {self.last_index}")
        del self._entries[:drop], self._totals[:drop]
        self.base_index, self.base_term = index, term or 0

    def first_of_term(self, index: int, *, floor: int) -> int:
        """The first index of the run of equal terms that `index` is in, but not below `floor`."""
        term = self.term_at(index)
        while index > floor and self.term_at(index - 1) == term:
            index -= 1
        return index

    def last_up_to_term(self, index: int, term: int) -> int:
        """The last entry at or before `index` whose term is at most `term`; `base_index` when there is none."""
        index = min(index, self.last_index)
        while index > self.base_index and (self.term_at(index) or 0) > term:
            index -= 1
        return index

    def is_behind(self, last_index: int, last_term: int) -> bool:
        """Is this log no newer than one that ends so? (Raft, section 5.4.1)"""
        return (last_term, last_index) >= (self.last_term, self.last_index)
