"""What did this node make durable before it stopped? I/O.

Reads every segment, oldest first, and replays it: an entry cuts the log at its index first, the last snapshot record
names the snapshot, the last hard state counts. An incomplete record at the very end was never acknowledged and is cut;
everything else that is not exactly what was written raises DamagedStorage, naming the file and the place.
"""

import itertools
import os
import struct
from dataclasses import dataclass, field
from pathlib import Path

from clusterd.adapters import storage_files, storage_records
from clusterd.adapters.storage_records import Record, damaged, scan_segment
from clusterd.consensus import Restored, Snapshot
from clusterd.model.events import LOG_CUT, Note, note
from clusterd.wire.consensus_pb2 import Entry, HardState

SEGMENT_SUFFIX = ".log"
SNAPSHOT_RECORD = struct.Struct("<QQ?")  # index, term, does it drop the entries after it


@dataclass(slots=True)
class Segment:
    """`last_index` is the highest entry index in it: it may go once a snapshot covers that."""

    number: int
    path: Path
    size_bytes: int
    last_index: int = 0


@dataclass(slots=True)
class Recovered:
    restored: Restored
    segments: list[Segment]
    chain: int
    notes: tuple[Note, ...]


@dataclass(slots=True)
class _Replay:
    hard_state: HardState | None = None
    snapshot: tuple[int, int] | None = None
    entries: list[Entry] = field(default_factory=list)

    def apply(self, record: Record) -> int:
        """The index of the entry that it was, or 0."""
        match record.kind:
            case storage_records.KIND_ENTRY:
                entry = Entry.FromString(record.payload)
                while self.entries and self.entries[-1].index >= entry.index:
                    self.entries.pop()
                self.entries.append(entry)
                return int(entry.index)
            case storage_records.KIND_HARD_STATE:
                self.hard_state = HardState.FromString(record.payload)
            case storage_records.KIND_SNAPSHOT:
                index, term, drops_log = SNAPSHOT_RECORD.unpack(record.payload)
                self.snapshot = (index, term)
                if drops_log:
                    self.entries.clear()
            case other:
                raise damaged(f"a record of unknown kind {other}: written by a newer version?")
        return 0


def segment_path(directory: Path, number: int) -> Path:
    return directory / f"{number:016d}{SEGMENT_SUFFIX}"


def recover(directory: Path) -> Recovered:
    """Raises DamagedStorage. Cuts an incomplete end, and removes what a crash left half made."""
    replay, notes = _Replay(), []
    segments = _segments(directory)
    chain: int | None = None
    for segment in segments:
        scan = scan_segment(segment.path.name, segment.path.read_bytes(), number=segment.number, chain=chain)
        chain = scan.chain
        if scan.cut_bytes:
            if segment is not segments[-1]:
                raise damaged(f"{segment.path.name}: ends within a record, but is not the last segment")
            _truncate(segment.path, scan.good_bytes)
            segment.size_bytes = scan.good_bytes
            notes.append(note(LOG_CUT, segment=segment.path.name, bytes_cut=scan.cut_bytes))
        for record in scan.records:
            segment.last_index = max(segment.last_index, replay.apply(record))
    if chain is None or replay.snapshot is None or replay.hard_state is None:
        raise damaged(f"{directory}: the log names no snapshot or no term")
    snapshot = storage_files.read_snapshot(directory, *replay.snapshot)
    entries = _after(snapshot, replay.entries)
    _remove_leftovers(directory, snapshot)
    return Recovered(Restored(replay.hard_state, snapshot, entries), segments, chain, tuple(notes))


def _segments(directory: Path) -> list[Segment]:
    found = [
        Segment(int(path.stem), path, path.stat().st_size)
        for path in sorted(directory.glob(f"*{SEGMENT_SUFFIX}"))
        if path.stem.isdecimal()
    ]
    if not found:
        raise damaged(f"{directory}: it has no log")
    for before, after in itertools.pairwise(found):
        if after.number != before.number + 1:
            raise damaged(f"{directory}: segments {before.number + 1} to {after.number - 1} are missing")
    return found


def _after(snapshot: Snapshot, entries: list[Entry]) -> tuple[Entry, ...]:
    later = tuple(entry for entry in entries if entry.index > snapshot.meta.index)
    for expected, entry in enumerate(later, start=snapshot.meta.index + 1):
        if entry.index != expected:
            raise damaged(f"entry {expected} is missing between the snapshot and entry {entry.index}")
    return later


def _truncate(path: Path, size_bytes: int) -> None:
    handle = os.open(path, os.O_WRONLY)
    try:
        os.ftruncate(handle, size_bytes)
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove_leftovers(directory: Path, snapshot: Snapshot) -> None:
    keep = storage_files.snapshot_path(directory, snapshot.meta.index, snapshot.meta.term)
    for path in sorted(directory.iterdir()):
        is_old_snapshot = path.suffix == storage_files.SNAPSHOT_SUFFIX and path != keep
        if is_old_snapshot or path.name.endswith(storage_files.TEMPORARY):
            path.unlink()
