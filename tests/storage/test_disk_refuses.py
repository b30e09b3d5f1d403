"""What does the durable log do while its disk takes nothing: is nothing told as durable, and does it go on by itself?"""

import errno
import os
import resource
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterd.adapters import storage_files
from clusterd.adapters.disk_errors import Refusal, hint_of, reason_of, refusal_of
from tests.storage.test_storage import Disk, entry, indexes, snapshot


class Room:
    """A disk with so many bytes left; what does not fit is written in part, as the kernel does."""

    def __init__(self, left_bytes: int, error: int = errno.ENOSPC) -> None:
        self.left_bytes, self.error = left_bytes, error
        self.refused = threading.Event()

    def write(self, handle: int, data: bytes | bytearray) -> None:
        taken = data[: self.left_bytes]
        storage_files.write_all(handle, taken)
        self.left_bytes -= len(taken)
        if len(taken) < len(data):
            self.refused.set()
            raise OSError(self.error, os.strerror(self.error))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path / "data")
    yield disk
    disk.close()


def test_what_does_not_fit_is_neither_told_as_durable_nor_the_end(disk: Disk) -> None:
    room = Room(60)
    disk.create().open(write=room.write)
    disk.queue(entry(2, data=b"y" * 500))
    assert room.refused.wait(20)
    disk.queue(entry(3))
    assert disk.written == 0
    room.left_bytes = 10_000
    disk.wait()
    assert disk.failure is None
    assert indexes(disk.reopen()) == [(2, 1), (3, 1)]


def test_it_is_told_once_when_it_begins_and_once_when_it_is_over(disk: Disk) -> None:
    room = Room(10)
    disk.create().open(write=room.write)
    disk.queue(entry(2))
    assert room.refused.wait(20)
    room.refused.clear()
    assert room.refused.wait(20), "it is tried again"
    room.left_bytes = 10_000
    disk.wait()
    told = [each and each.errno for each in disk.refusals]
    assert told == [errno.ENOSPC, None]


def test_a_piece_that_was_written_is_cut_before_the_next_attempt(disk: Disk) -> None:
    room = Room(0)
    disk.create().open(write=room.write)
    path = disk.segments[-1]
    before_bytes = path.stat().st_size
    for left_bytes in (7, 30, 3):
        room.refused.clear()
        room.left_bytes = left_bytes
        if not disk.sequence:
            disk.queue(entry(2, data=b"z" * 200))
        assert room.refused.wait(20)
        assert path.stat().st_size <= before_bytes + 30
    room.left_bytes = 10_000
    disk.wait()
    assert path.stat().st_size == before_bytes + 9 + entry(2, data=b"z" * 200).ByteSize() + 4
    assert indexes(disk.reopen()) == [(2, 1)]


def test_a_snapshot_or_a_new_segment_that_does_not_fit_waits_and_leaves_no_half(disk: Disk) -> None:
    room = Room(10_000)
    disk.create().open(write=room.write, segment_bytes=200)
    for index in range(2, 10):
        disk.write(entry(index))
    room.left_bytes = 50
    disk.queue(taken=snapshot(8, data=b"s" * 3_000))
    assert room.refused.wait(20)
    room.refused.clear()
    assert room.refused.wait(20)
    room.left_bytes = 100_000
    disk.wait()
    assert not list(disk.directory.glob("*.tmp"))
    restored = disk.reopen()
    assert restored.snapshot.data == b"s" * 3_000
    assert indexes(restored) == [(9, 1)]


def test_a_storage_that_waits_for_room_can_be_closed(disk: Disk) -> None:
    room = Room(10)
    disk.create().open(write=room.write)
    disk.queue(entry(2))
    assert room.refused.wait(20)
    assert indexes(disk.reopen()) == []


@pytest.mark.parametrize("error", [errno.EIO, errno.EROFS, errno.EACCES, errno.ENODEV])
def test_a_write_that_fails_for_good_is_reported(disk: Disk, error: int) -> None:
    disk.create().open(write=Room(10, error).write)
    disk.queue(entry(2))
    disk.wait()
    assert isinstance(disk.failure, OSError) and disk.failure.errno == error
    assert disk.refusals == []


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_a_sync_that_fails_is_never_tried_again_whatever_the_reason(disk: Disk, error: int) -> None:
    calls = []

    def sync(handle: int) -> None:
        calls.append(handle)
        raise OSError(error, os.strerror(error))

    disk.create().open(sync=sync)
    disk.queue(entry(2))
    disk.wait()
    assert isinstance(disk.failure, OSError)
    assert len(calls) == 1


def test_a_real_limit_on_the_size_of_files_waits_until_it_is_raised(disk: Disk) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    disk.create().open()
    size_bytes = disk.segments[-1].stat().st_size
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes + 100, hard))
        disk.queue(entry(2, data=b"w" * 400))
        disk.wait_refused()
        assert disk.written == 0
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    disk.wait()
    assert disk.failure is None
    assert indexes(disk.reopen()) == [(2, 1)]


@pytest.mark.skipif(os.getuid() != 0, reason="mounting a small file system needs root")
def test_a_real_full_file_system_waits_until_there_is_room(tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "small", str(place)], check=False).returncode:
        pytest.skip("nothing can be mounted here")
    disk = Disk(place / "data")
    try:
        disk.create().open()
        disk.write(entry(2))
        (place / "ballast").write_bytes(b"")
        with pytest.raises(OSError), (place / "ballast").open("wb", buffering=0) as ballast:
            while True:
                ballast.write(b"b" * 4096)
        disk.queue(entry(3, data=b"v" * 20_000))
        disk.wait_refused()
        disk.queue(taken=snapshot(2, data=b"s" * 30_000))
        (place / "ballast").unlink()
        disk.wait()
        assert disk.failure is None
        restored = disk.reopen()
        assert restored.snapshot.data == b"s" * 30_000
        assert indexes(restored) == [(3, 1)]
    finally:
        disk.close()
        subprocess.run(["umount", str(place)], check=True)


_KINDS = [
    (errno.ENOSPC, Refusal.FULL, "free space"),
    (errno.EDQUOT, Refusal.FULL, "quota"),
    (errno.EFBIG, Refusal.FULL, "size of files"),
    (errno.EMFILE, Refusal.PASSING, "open files"),
    (errno.ENFILE, Refusal.PASSING, "open files"),
    (errno.ENOMEM, Refusal.PASSING, "memory"),
    (errno.EROFS, Refusal.FAILED, "read-only"),
    (errno.EIO, Refusal.FAILED, "replace"),
    (errno.EACCES, Refusal.FAILED, "may not write"),
    (errno.ENOENT, Refusal.FAILED, "mounted"),
    (errno.EADDRINUSE, Refusal.FAILED, "addresses"),
]


@pytest.mark.parametrize(("number", "kind", "hint"), _KINDS)
def test_each_error_has_its_own_kind_and_advice(number: int, kind: Refusal, hint: str) -> None:
    error = OSError(number, os.strerror(number), "/srv/x")
    assert refusal_of(error) is kind
    assert hint in hint_of(error)
    assert errno.errorcode[number] in reason_of(error) and "/srv/x" in reason_of(error)
    assert ("disk" in hint_of(error)) == (number in (errno.EIO, errno.EROFS))
