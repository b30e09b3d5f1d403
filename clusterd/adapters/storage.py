"""How do a node's term, vote, log and snapshot survive a crash? I/O.

One directory: `identity` (whose it is), numbered segments of one append-only log, the newest snapshot, a lock. One
thread writes: it takes everything that is queued, writes it with one `write`, syncs it with one `fdatasync` and reports
the highest sequence that is durable, so commits that wait together share a sync.

A write for which there is no room is taken back and tried again until there is some: nothing of it was acknowledged, and
nothing after it is written before. A sync that fails is never tried again, for nobody knows what of it is on the disk (the
kernel may have dropped the pages and report success next time): the failure is reported and the node must stop.

The queue needs no bound of its own: a leader has at most `proposals_pending_max` entries that are not committed, and a
follower at most what the leader may have in flight to it, because nothing is acknowledged before it is durable.
"""

import os
import random
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clusterd.adapters import storage_files, storage_recovery
from clusterd.adapters.disk_errors import Refusal, refusal_of
from clusterd.adapters.marker_file import MarkerFile
from clusterd.adapters.storage_records import (
    KIND_ENTRY,
    KIND_HARD_STATE,
    KIND_SNAPSHOT,
    add_record,
    segment_header,
)
from clusterd.adapters.storage_recovery import SNAPSHOT_RECORD, Recovered, Segment, segment_path
from clusterd.consensus import Persist, Restored, Snapshot
from clusterd.consensus.memory import Marker
from clusterd.model.errors import BadInput, invariant
from clusterd.model.events import Note
from clusterd.wire.consensus_pb2 import HardState

SEGMENT_BYTES = 16 * 1024 * 1024
_CLOSE_WAIT_S = 10.0
ROOM_WAIT_MIN_S = 0.1
ROOM_WAIT_MAX_S = 2.0
"""How long to wait before a refused write is tried again: at first, and at most."""


class _Closing(Exception):
    """The storage is closed while a write waits for room."""


@dataclass(slots=True)
class Figures:
    """Counted since the start: `write_count` over `sync_count` tells how well commits share a sync."""

    write_count: int = 0
    sync_count: int = 0
    written_bytes: int = 0


class Storage:
    """Made by `create` once, opened by `open` at each start. `restored`, `notes`: what was found."""

    def __init__(
        self,
        directory: Path,
        lock: int,
        found: Recovered,
        segment_bytes: int,
        sync: Callable[[int], None],
        write: storage_files.Write,
    ) -> None:
        self.restored: Restored = found.restored
        self.notes: tuple[Note, ...] = found.notes
        self.figures = Figures()
        self._directory, self._lock, self._segment_bytes = directory, lock, segment_bytes
        self._sync, self._write = sync, write
        self._segments = found.segments
        self._chain = found.chain
        self._hard_state = found.restored.hard_state
        self._snapshot = (found.restored.snapshot.meta.index, found.restored.snapshot.meta.term)
        self._handle = os.open(self._segments[-1].path, os.O_WRONLY | os.O_APPEND)
        self._queue: deque[Persist] = deque()
        self._marker: Marker | None = None
        self._marker_file: MarkerFile | None = None
        self._wake = threading.Condition()
        self._is_closing = False
        self._is_torn = False
        """A write was refused in the midst: the file may end with a piece of it."""
        self._thread: threading.Thread | None = None
        self._on_refused: Callable[[OSError | None], None] = lambda _: None

    @staticmethod
    def create(directory: Path, *, cluster_id: str, node: str, snapshot: Snapshot, is_amnesiac: bool = False) -> None:
        """Make the directory of a new node; durable on return. `is_amnesiac`: the node had data and lost it; that is
        remembered until a write says otherwise. Raises BadInput when there is a node's data already."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = storage_files.lock_directory(directory)
        try:
            if (directory / storage_files.IDENTITY).exists():
                raise BadInput(f"{directory} holds a node's data already", hint="choose another directory")
            if is_amnesiac:
                storage_files.write_whole(directory / storage_files.AMNESIAC, b"")
            for leftover in _data_files(directory):
                leftover.unlink()
            storage_files.write_snapshot(directory, snapshot)
            meta = snapshot.meta
            first, _ = _first_bytes(1, 0, HardState(term=meta.term), (meta.index, meta.term))
            storage_files.write_whole(segment_path(directory, 1), first)
            # Last, so that a directory with an identity is a whole one.
            storage_files.write_identity(directory, cluster_id=cluster_id, node=node)
            storage_files.sync_directory(directory.parent)
        finally:
            os.close(lock)

    @staticmethod
    def has_data(directory: Path) -> bool:
        """Whether there is a log or a snapshot, whosever it is."""
        return directory.is_dir() and bool(_data_files(directory))

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        cluster_id: str,
        node: str,
        segment_bytes: int = SEGMENT_BYTES,
        sync: Callable[[int], None] = os.fdatasync,
        write: storage_files.Write = storage_files.write_all,
    ) -> "Storage":
        """Lock and read the directory. Raises BadInput (another cluster's or node's, or nobody's), Conflict (in use)
        and DamagedStorage (see `set_aside`). `sync` makes a file's data durable, `write` fills it; labs and tests slow
        them down and fail them."""
        if not directory.is_dir():
            raise BadInput(f"{directory} does not exist", hint="create or join a cluster first")
        lock = storage_files.lock_directory(directory)
        try:
            storage_files.check_identity(directory, cluster_id=cluster_id, node=node)
            return cls(directory, lock, storage_recovery.recover(directory), segment_bytes, sync, write)
        except BaseException:
            os.close(lock)
            raise

    @staticmethod
    def set_aside(directory: Path) -> Path:
        """Move damaged data into a folder of its own, where it can be looked at; `create` works again after that. The
        node is marked as one that lost its promises first, so that a crash in between forgets nothing."""
        lock = storage_files.lock_directory(directory)
        try:
            storage_files.write_whole(directory / storage_files.AMNESIAC, b"")
            aside = next(path for number in range(1, 10_000) if not (path := directory / f"damaged-{number}").exists())
            aside.mkdir(mode=0o700)
            for path in [*_data_files(directory), directory / storage_files.IDENTITY]:
                if path.exists():
                    path.rename(aside / path.name)
            storage_files.sync_directory(directory)
            return aside
        finally:
            os.close(lock)

    @property
    def is_amnesiac(self) -> bool:
        """Pass it to `Raft`: the node lost data and has not been re-admitted since."""
        return (self._directory / storage_files.AMNESIAC).exists()

    # ---- writing ----

    def start(
        self,
        on_written: Callable[[int], None],
        on_failed: Callable[[BaseException], None],
        on_refused: Callable[[OSError | None], None] = lambda _: None,
    ) -> None:
        """All are called in the writer's thread; `on_failed` at most once, and nothing is written after it. `on_refused`
        tells that a write waits for room, and with None that it was made."""
        invariant(self._thread is None, "the writer of a storage is started twice")
        self._on_refused = on_refused
        self._thread = threading.Thread(
            target=self._run, args=(on_written, on_failed), name="storage-writer", daemon=True
        )
        self._thread.start()

    def write(self, persist: Persist) -> None:
        """Queue a write; returns at once. Writes become durable in the order in which they are queued. After a failure
        or `close` nothing is queued any more."""
        with self._wake:
            if not self._is_closing:
                self._queue.append(persist)
                self._wake.notify()

    def keep_marker(self, file: MarkerFile) -> None:
        """Where `mark` writes to."""
        self._marker_file = file

    def mark(self, marker: Marker) -> None:
        """Keep a marker once all that was queued before it is durable. Only the newest one counts."""
        with self._wake:
            if not self._is_closing:
                self._marker = marker
                self._wake.notify()

    def close(self) -> None:
        """Finish what is queued, then let the directory go. A disk that hangs is not waited for longer than 10 s."""
        with self._wake:
            self._is_closing = True
            self._wake.notify()
        if self._thread:
            self._thread.join(_CLOSE_WAIT_S)
            if self._thread.is_alive():
                return  # it still uses the files; the end of the process closes them
        os.close(self._handle)
        os.close(self._lock)

    def _run(self, on_written: Callable[[int], None], on_failed: Callable[[BaseException], None]) -> None:
        try:
            while True:
                group, marker = self._take_all()
                if group:
                    self._commit(group)
                    on_written(group[-1].sequence)
                elif marker is None:
                    return
                if marker is not None:
                    self._write_marker(marker)
        except _Closing:
            return  # nothing of what waits was promised to anybody
        except BaseException as error:  # the thread's boundary: whatever it was, the daemon must stop
            self._is_closing = True
            on_failed(error)

    def _take_all(self) -> tuple[list[Persist], Marker | None]:
        """Everything queued, waiting for something; nothing when closing."""
        with self._wake:
            self._wake.wait_for(lambda: self._queue or self._marker is not None or self._is_closing)
            group, marker = list(self._queue), self._marker
            self._queue.clear()
            self._marker = None
            return group, marker

    def _write_marker(self, marker: Marker) -> None:
        """For want of room it is left: the next one says the same, and more."""
        if self._marker_file is None:
            return
        try:
            self._marker_file.write(marker)
        except OSError as error:
            if refusal_of(error) is Refusal.FAILED:
                raise

    def _commit(self, group: list[Persist]) -> None:
        """Make a group of writes durable with one sync."""
        if self._segments[-1].size_bytes >= self._segment_bytes:
            self._when_there_is_room(self._roll)
        replaced = self._snapshot
        amnesia = [each.is_amnesiac for each in group if each.is_amnesiac is not None]
        if any(amnesia):
            self._when_there_is_room(self._begin_amnesia)
        buffer = bytearray()
        for persist in group:
            self._add(buffer, persist)
        self._when_there_is_room(lambda: self._append(buffer))
        self._sync(self._handle)
        if amnesia[-1:] == [False]:
            self._end_amnesia()
        self._segments[-1].size_bytes += len(buffer)
        self.figures.write_count += len(group)
        self.figures.sync_count += 1
        self.figures.written_bytes += len(buffer)
        if replaced != self._snapshot:
            self._when_there_is_room(self._remove_superseded)

    def _when_there_is_room(self, do: Callable[[], None]) -> None:
        """Do what may be repeated until nothing refuses it. Raises what does not pass by itself."""
        wait_s = ROOM_WAIT_MIN_S
        is_refused = False
        while True:
            try:
                do()
                break
            except OSError as error:
                if refusal_of(error) is Refusal.FAILED:
                    raise
                if not is_refused:
                    self._on_refused(error)
                is_refused = True
            with self._wake:
                if self._wake.wait_for(lambda: self._is_closing, timeout=wait_s * random.uniform(0.8, 1.2)):
                    raise _Closing
            wait_s = min(2 * wait_s, ROOM_WAIT_MAX_S)
        if is_refused:
            self._on_refused(None)

    def _append(self, buffer: bytearray) -> None:
        """After what is durable. What an attempt before this one left there is cut first: nothing of it was synced."""
        if self._is_torn:
            os.ftruncate(self._handle, self._segments[-1].size_bytes)
        self._is_torn = True
        self._write(self._handle, buffer)
        self._is_torn = False

    def _begin_amnesia(self) -> None:
        storage_files.write_whole(self._directory / storage_files.AMNESIAC, b"")

    def _end_amnesia(self) -> None:
        (self._directory / storage_files.AMNESIAC).unlink(missing_ok=True)
        storage_files.sync_directory(self._directory)

    def _add(self, buffer: bytearray, persist: Persist) -> None:
        chain = self._chain
        if persist.snapshot:
            snapshot = persist.snapshot
            self._when_there_is_room(lambda: storage_files.write_snapshot(self._directory, snapshot, self._write))
            meta = persist.snapshot.meta
            self._snapshot = (meta.index, meta.term)
            payload = SNAPSHOT_RECORD.pack(meta.index, meta.term, persist.drops_log)
            chain = add_record(buffer, KIND_SNAPSHOT, payload, chain)
        for entry in persist.entries:
            chain = add_record(buffer, KIND_ENTRY, entry.SerializeToString(), chain)
        if persist.entries:
            segment = self._segments[-1]
            segment.last_index = max(segment.last_index, persist.entries[-1].index)
        if persist.hard_state:
            self._hard_state = persist.hard_state
            chain = add_record(buffer, KIND_HARD_STATE, persist.hard_state.SerializeToString(), chain)
        self._chain = chain

    def _roll(self) -> None:
        """Begin a new segment. It repeats the hard state and the snapshot's name, so that older ones can go."""
        number = self._segments[-1].number + 1
        path = segment_path(self._directory, number)
        first, chain = _first_bytes(number, self._chain, self._hard_state, self._snapshot)
        storage_files.write_whole(path, first, write=self._write)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.close(self._handle)
        self._handle, self._chain = handle, chain
        self._segments.append(Segment(number, path, len(first)))

    def _remove_superseded(self) -> None:
        """The snapshot that is durable now makes older ones, and segments whose entries it covers, superfluous."""
        keep = storage_files.snapshot_path(self._directory, *self._snapshot)
        for path in self._directory.glob(f"*{storage_files.SNAPSHOT_SUFFIX}"):
            if path != keep:
                path.unlink(missing_ok=True)
        while len(self._segments) > 1 and self._segments[0].last_index <= self._snapshot[0]:
            self._segments[0].path.unlink(missing_ok=True)
            self._segments.pop(0)
        storage_files.sync_directory(self._directory)


def _first_bytes(number: int, chain: int, hard_state: HardState, snapshot: tuple[int, int]) -> tuple[bytes, int]:
    """What a segment begins with, and the chain after it."""
    buffer = bytearray(segment_header(number, chain))
    chain = add_record(buffer, KIND_SNAPSHOT, SNAPSHOT_RECORD.pack(*snapshot, False), chain)
    chain = add_record(buffer, KIND_HARD_STATE, hard_state.SerializeToString(), chain)
    return bytes(buffer), chain


def _data_files(directory: Path) -> list[Path]:
    suffixes = (storage_recovery.SEGMENT_SUFFIX, storage_files.SNAPSHOT_SUFFIX, storage_files.TEMPORARY)
    return [path for path in sorted(directory.iterdir()) if path.name.endswith(suffixes)]
