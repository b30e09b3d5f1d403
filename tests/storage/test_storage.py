"""Does the durable log give back exactly what was acknowledged, whatever happened to the files?"""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clusterd.adapters.storage import Storage
from clusterd.consensus import Persist, Restored, Snapshot
from clusterd.model.errors import BadInput, Conflict, DamagedStorage
from clusterd.wire.consensus_pb2 import ENTRY_KIND_TRANSACTION, Configuration, Entry, HardState, SnapshotMeta

CLUSTER, NODE = "c1", "n1"
FIRST = Configuration(index=1, term=1, voters=["n1", "n2", "n3"])


def snapshot(index: int, term: int = 1, data: bytes = b"state") -> Snapshot:
    return Snapshot(SnapshotMeta(index=index, term=term, configuration=FIRST), data)


def entry(index: int, term: int = 1, data: bytes = b"x" * 20) -> Entry:
    return Entry(index=index, term=term, kind=ENTRY_KIND_TRANSACTION, data=data)


class Disk:
    """A directory, and a storage on it whose writes can be waited for."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.sequence = 0
        self.failure: BaseException | None = None
        self.storage: Storage | None = None
        self.refusals: list[OSError | None] = []
        self._changed = threading.Condition()
        self._written = 0

    def create(self, first: Snapshot | None = None) -> "Disk":
        Storage.create(self.directory, cluster_id=CLUSTER, node=NODE, snapshot=first or snapshot(1))
        return self

    def open(self, **dials: object) -> Restored:
        self.storage = Storage.open(self.directory, cluster_id=CLUSTER, node=NODE, **dials)  # type: ignore[arg-type]
        self.sequence = self._written = 0
        self.storage.start(self._on_written, self._on_failed, self._on_refused)
        return self.storage.restored

    def queue(self, *entries: Entry, term: int = 0, taken: Snapshot | None = None, drops_log: bool = False) -> None:
        assert self.storage
        self.sequence += 1
        hard_state = HardState(term=term, voted_for=NODE) if term else None
        self.storage.write(Persist(self.sequence, hard_state, entries, taken, drops_log))

    def write(self, *entries: Entry, term: int = 0, taken: Snapshot | None = None, drops_log: bool = False) -> None:
        self.queue(*entries, term=term, taken=taken, drops_log=drops_log)
        self.wait()

    def say_amnesiac(self, is_amnesiac: bool) -> None:
        assert self.storage
        self.sequence += 1
        self.storage.write(Persist(self.sequence, None, (), None, is_amnesiac=is_amnesiac))
        self.wait()

    def wait(self) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.failure or self._written >= self.sequence, timeout=20)

    @property
    def written(self) -> int:
        with self._changed:
            return self._written

    def wait_refused(self) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.refusals, timeout=20)

    def close(self) -> None:
        if self.storage:
            self.storage.close()
            self.storage = None

    def reopen(self, **dials: object) -> Restored:
        self.close()
        return self.open(**dials)

    @property
    def segments(self) -> list[Path]:
        return sorted(self.directory.glob("*.log"))

    def _on_written(self, sequence: int) -> None:
        with self._changed:
            self._written = sequence
            self._changed.notify_all()

    def _on_refused(self, error: OSError | None) -> None:
        with self._changed:
            self.refusals.append(error)
            self._changed.notify_all()

    def _on_failed(self, error: BaseException) -> None:
        with self._changed:
            self.failure = error
            self._changed.notify_all()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path / "data")
    yield disk
    disk.close()


def indexes(restored: Restored) -> list[tuple[int, int]]:
    return [(each.index, each.term) for each in restored.entries]


def test_a_new_directory_starts_from_its_snapshot(disk: Disk) -> None:
    restored = disk.create().open()
    assert restored.snapshot == snapshot(1)
    assert restored.hard_state == HardState(term=1)
    assert restored.entries == ()


def test_everything_written_comes_back(disk: Disk) -> None:
    disk.create().open()
    disk.write(entry(2), entry(3), term=2)
    disk.write(entry(4, 2))
    restored = disk.reopen()
    assert restored.hard_state == HardState(term=2, voted_for=NODE)
    assert list(restored.entries) == [entry(2), entry(3), entry(4, 2)]


def test_a_lower_index_cuts_what_disagrees(disk: Disk) -> None:
    disk.create().open()
    disk.write(entry(2), entry(3), entry(4))
    disk.write(entry(3, 2), term=2)
    assert indexes(disk.reopen()) == [(2, 1), (3, 2)]


def test_a_local_snapshot_keeps_the_entries_after_it(disk: Disk) -> None:
    disk.create().open()
    disk.write(entry(2), entry(3), entry(4))
    disk.write(taken=snapshot(3, data=b"up to 3"))
    restored = disk.reopen()
    assert restored.snapshot.data == b"up to 3"
    assert indexes(restored) == [(4, 1)]
    assert len(list(disk.directory.glob("*.snap"))) == 1


def test_an_installed_snapshot_drops_entries_that_disagree(disk: Disk) -> None:
    disk.create().open()
    disk.write(entry(2), entry(3), entry(4))
    disk.write(entry(4, 3), taken=snapshot(3, 3), drops_log=True, term=3)
    restored = disk.reopen()
    assert (restored.snapshot.meta.index, restored.snapshot.meta.term) == (3, 3)
    assert indexes(restored) == [(4, 3)]


def test_old_segments_go_when_a_snapshot_covers_them(disk: Disk) -> None:
    disk.create().open(segment_bytes=500)
    for index in range(2, 40):
        disk.write(entry(index))
    before = len(disk.segments)
    assert before > 3
    disk.write(taken=snapshot(30))
    assert len(disk.segments) < before
    assert indexes(disk.reopen(segment_bytes=500)) == [(index, 1) for index in range(31, 40)]
    disk.write(entry(40))
    assert indexes(disk.reopen())[-1] == (40, 1)


def test_the_vote_survives_the_segment_in_which_it_was_cast(disk: Disk) -> None:
    disk.create().open(segment_bytes=300)
    disk.write(term=7)
    for index in range(2, 30):
        disk.write(entry(index, 7))
    disk.write(taken=snapshot(29, 7))
    assert disk.segments[0].name != "0000000000000001.log"
    assert disk.reopen().hard_state == HardState(term=7, voted_for=NODE)


# ---- crashes ----


def test_cut_at_any_byte_of_the_last_record_it_recovers_the_one_before(disk: Disk) -> None:
    disk.create().open()
    disk.write(entry(2))
    disk.close()
    path = disk.segments[-1]
    whole_before = path.stat().st_size
    disk.open()
    disk.write(entry(3, data=b"the last one"))
    disk.close()
    full = path.read_bytes()
    for size in range(whole_before, len(full)):
        path.write_bytes(full[:size])
        assert indexes(disk.open()) == [(2, 1)], size
        assert disk.storage
        assert [each.get("bytes_cut") for each in disk.storage.notes] == ([size - whole_before] * (size > whole_before))
        disk.close()
        assert path.stat().st_size == whole_before


def test_after_a_cut_new_records_follow_the_chain(disk: Disk) -> None:
    disk.create().open()
    disk.write(entry(2), entry(3))
    disk.close()
    with disk.segments[-1].open("r+b") as file:
        file.truncate(disk.segments[-1].stat().st_size - 1)
    disk.open()
    disk.write(entry(3, 2), entry(4, 2))
    assert indexes(disk.reopen()) == [(2, 1), (3, 2), (4, 2)]


def test_leftovers_of_a_crash_are_removed(disk: Disk) -> None:
    disk.create().open()
    disk.close()
    orphan = disk.directory / "snapshot-00000000000000000099-0000000001.snap"
    orphan.write_bytes(b"its record was never written")
    (disk.directory / "0000000000000002.log.tmp").write_bytes(b"half")
    disk.open()
    assert not orphan.exists()
    assert not list(disk.directory.glob("*.tmp"))


# ---- damage ----


def test_a_flipped_byte_anywhere_in_the_log_is_never_served(disk: Disk) -> None:
    disk.create().open()
    disk.write(entry(2), entry(3), term=2)
    disk.write(entry(4, 2))
    disk.close()
    path = disk.segments[-1]
    full = path.read_bytes()
    for at in range(len(full)):
        path.write_bytes(full[:at] + bytes([full[at] ^ 0x41]) + full[at + 1 :])
        with pytest.raises(DamagedStorage) as raised:
            disk.open()
        assert path.name in raised.value.message
        assert raised.value.hint
    path.write_bytes(full)
    assert len(disk.open().entries) == 3


def test_a_flipped_byte_anywhere_in_the_snapshot_or_identity_is_never_served(disk: Disk) -> None:
    disk.create().open()
    disk.close()
    for path in (*disk.directory.glob("*.snap"), disk.directory / "identity"):
        full = path.read_bytes()
        for at in range(len(full)):
            path.write_bytes(full[:at] + bytes([full[at] ^ 0x11]) + full[at + 1 :])
            if full[:at].count(b"\n") < 2 or path.name != "identity":
                with pytest.raises(DamagedStorage):
                    disk.open()
        path.write_bytes(full)
    disk.open()


def _remove_middle(disk: Disk) -> None:
    disk.segments[1].unlink()


def _remove_all(disk: Disk) -> None:
    for path in disk.segments:
        path.unlink()


def _swap(disk: Disk) -> None:
    first, second = disk.segments[1:3]
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)


def _shorten_middle(disk: Disk) -> None:
    with disk.segments[1].open("r+b") as file:
        file.truncate(disk.segments[1].stat().st_size - 1)


def _drop_record_of_middle(disk: Disk) -> None:
    path = disk.segments[1]
    size_bytes = 9 + entry(2).ByteSize() + 4
    path.write_bytes(path.read_bytes()[:-size_bytes])


def _remove_snapshot(disk: Disk) -> None:
    next(disk.directory.glob("*.snap")).unlink()


@pytest.mark.parametrize(
    "harm", [_remove_middle, _remove_all, _swap, _shorten_middle, _drop_record_of_middle, _remove_snapshot]
)
def test_lost_or_moved_files_are_damage(disk: Disk, harm: Callable[[Disk], None]) -> None:
    disk.create().open(segment_bytes=200)
    for index in range(2, 20):
        disk.write(entry(index))
    disk.close()
    assert len(disk.segments) > 3
    harm(disk)
    with pytest.raises(DamagedStorage):
        disk.open()


def test_damaged_data_is_set_aside_and_the_loss_is_remembered(disk: Disk) -> None:
    disk.create().open()
    disk.close()
    next(disk.directory.glob("*.snap")).unlink()
    aside = Storage.set_aside(disk.directory)
    assert (aside / "identity").exists()
    disk.create(snapshot(0, 0, b"")).open()
    assert disk.storage and disk.storage.is_amnesiac
    disk.reopen()
    assert disk.storage.is_amnesiac
    disk.say_amnesiac(False)
    disk.reopen()
    assert not disk.storage.is_amnesiac


# ---- whose it is ----


def test_a_directory_of_others_is_refused_by_name(disk: Disk) -> None:
    disk.create()
    with pytest.raises(BadInput, match="belongs to node 'n1', not to 'n2'"):
        Storage.open(disk.directory, cluster_id=CLUSTER, node="n2")
    with pytest.raises(BadInput, match="belongs to cluster_id 'c1', not to 'c2'"):
        Storage.open(disk.directory, cluster_id="c2", node=NODE)
    with pytest.raises(BadInput, match="holds a node's data already"):
        disk.create()
    with pytest.raises(BadInput):
        Storage.open(disk.directory / "nowhere", cluster_id=CLUSTER, node=NODE)


def test_only_one_process_uses_a_directory(disk: Disk) -> None:
    disk.create().open()
    with pytest.raises(Conflict):
        Storage.open(disk.directory, cluster_id=CLUSTER, node=NODE)
    disk.reopen()


# ---- the writer ----


def test_writes_that_wait_together_share_a_sync(disk: Disk) -> None:
    gate = threading.Event()

    def slow_sync(handle: int) -> None:
        assert gate.wait(20)
        os.fdatasync(handle)

    disk.create().open(sync=slow_sync)
    for index in range(2, 202):
        disk.queue(entry(index))
    gate.set()
    disk.wait()
    assert disk.storage
    assert disk.storage.figures.write_count == 200
    assert disk.storage.figures.sync_count <= 3
    assert len(disk.reopen().entries) == 200


def test_nothing_is_reported_before_the_sync_returned(disk: Disk) -> None:
    synced: list[int] = []

    def counted_sync(handle: int) -> None:
        os.fdatasync(handle)
        synced.append(handle)

    disk.create().open(sync=counted_sync)
    for index in range(2, 10):
        disk.write(entry(index))
        assert len(synced) == index - 1


def test_a_failed_sync_is_reported_and_never_tried_again(disk: Disk) -> None:
    calls: list[int] = []

    def failing_sync(handle: int) -> None:
        calls.append(handle)
        raise OSError(5, "Input/output error")

    disk.create().open(sync=failing_sync)
    disk.write(entry(2))
    assert isinstance(disk.failure, OSError)
    disk.queue(entry(3))
    disk.close()
    assert len(calls) == 1


def test_close_finishes_what_is_queued(disk: Disk) -> None:
    disk.create().open()
    for index in range(2, 300):
        disk.queue(entry(index))
    assert len(disk.reopen().entries) == 298
