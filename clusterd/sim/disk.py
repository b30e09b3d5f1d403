"""What does a simulated machine find on its disk after a crash, a wipe or a restore? Pure."""

from dataclasses import dataclass, field, replace

from clusterd.consensus import Persist, Restored
from clusterd.consensus.memory import FRESH, Marker
from clusterd.consensus.outputs import Snapshot
from clusterd.wire.consensus_pb2 import Entry, HardState


@dataclass(slots=True)
class Disk:
    """What is durable. A crash loses the writes under way; `restored` is what survives."""

    hard_state: HardState
    snapshot: Snapshot
    entries: dict[int, Entry] = field(default_factory=dict)
    is_amnesiac: bool = False
    marker: Marker = FRESH

    @classmethod
    def wiped(cls) -> "Disk":
        """As a daemon makes it that finds no data: it holds nothing, and says so."""
        nothing = Restored.nothing()
        return cls(nothing.hard_state, nothing.snapshot, is_amnesiac=True)

    def copy(self) -> "Disk":
        """As a backup of the whole folder has it."""
        return Disk(self.hard_state, self.snapshot, dict(self.entries), self.is_amnesiac, self.marker)

    def started(self) -> Marker:
        """The marker as a daemon finds it that starts, with this start counted."""
        self.marker = replace(self.marker, boots=self.marker.boots + 1)
        return self.marker

    def write(self, persist: Persist) -> None:
        if persist.is_amnesiac is not None:
            self.is_amnesiac = persist.is_amnesiac
        if persist.snapshot is not None:
            self.snapshot = persist.snapshot
            base = persist.snapshot.meta.index
            keep = {} if persist.drops_log else self.entries
            self.entries = {index: entry for index, entry in keep.items() if index > base}
        if persist.entries:
            first = persist.entries[0].index
            self.entries = {index: entry for index, entry in self.entries.items() if index < first}
            self.entries.update((entry.index, entry) for entry in persist.entries)
        if persist.hard_state is not None:
            self.hard_state = persist.hard_state

    @property
    def last_index(self) -> int:
        return max(self.entries, default=self.snapshot.meta.index)

    def restored(self) -> Restored:
        return Restored(self.hard_state, self.snapshot, tuple(self.entries[index] for index in sorted(self.entries)))
