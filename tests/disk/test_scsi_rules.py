"""What only the target in memory can show: abort, APTPL, unit attentions, a path that stays away."""

import errno

import pytest

from resource_types.physical_disk.back_end import Lost, NoRoom, PathLost, failed_io
from resource_types.physical_disk.cdb import Sense
from resource_types.physical_disk.keys import key_of
from resource_types.physical_disk.nbd import ENOSPC, IoRefused
from resource_types.physical_disk.scsi_disk import ScsiDisk
from resource_types.physical_disk.session import Session
from tests.disk.pretend_target import Dials, PretendTarget
from tests.disk.storages import SteppedClock

INTERVAL_MS = 1000


def owner(target: PretendTarget, clock: SteppedClock, node: str, generation: int) -> ScsiDisk:
    disk = ScsiDisk(target.connect, clock)
    disk.open()
    disk.arbitrate(key_of("c", node, generation), INTERVAL_MS, lambda words: None)
    return disk


@pytest.mark.parametrize(("aborts", "how"), [(True, "preempt-and-abort"), (False, "preempt")])
def test_commands_under_way_are_aborted_where_the_target_can(aborts: bool, how: str) -> None:
    target, clock = PretendTarget(dials=Dials(aborts=aborts)), SteppedClock()
    owner(target, clock, "n1", 1)
    disk = ScsiDisk(target.connect, clock)
    disk.open()
    (done,) = disk.arbitrate(key_of("c", "n2", 2), INTERVAL_MS, lambda words: None)
    assert (done.how, done.at_ms) == (how, clock.ms)


def test_reservation_that_survives_a_restart_is_not_made_anew() -> None:
    target, clock = PretendTarget(dials=Dials(survives=True)), SteppedClock()
    disk = owner(target, clock, "n1", 1)
    target.restart()
    disk.write(0, b"A" * 512)
    assert len(target.keys) == 1
    assert bytes(target.data[:3]) == b"AAA"


def test_everybody_else_who_is_registered_goes() -> None:
    """Whoever is registered may write, so a forgotten key of a dead node is a hole."""
    target, clock = PretendTarget(), SteppedClock()
    stray = target.connect()
    stray.attention = None
    target.keys[stray] = 0x1234
    disk = owner(target, clock, "n1", 1)
    assert list(target.keys.values()) == [key_of("c", "n1", 1).value]
    target.keys[stray] = 0x1234
    disk.defend()
    assert list(target.keys.values()) == [key_of("c", "n1", 1).value]


def test_news_of_a_preemption_counts_although_the_disk_is_free_again() -> None:
    target, clock = PretendTarget(), SteppedClock()
    first = owner(target, clock, "n1", 1)
    second = owner(target, clock, "n2", 2)
    second.release()
    assert target.holder is None
    with pytest.raises(Lost, match="told us that another node preempted"):
        first.defend()


def test_attentions_that_mean_nothing_do_nothing() -> None:
    target, clock = PretendTarget(), SteppedClock()
    disk = owner(target, clock, "n1", 1)
    for code in (0x2900, 0x2A01, 0x3F0E):
        target.sessions[-1].attention = Sense(6, code)
        disk.write(0, b"A" * 512)
        disk.defend()


def test_path_that_stays_away() -> None:
    target, clock = PretendTarget(), SteppedClock()
    disk = owner(target, clock, "n1", 1)
    target.is_reachable = False
    began_ms = clock.ms
    with pytest.raises(PathLost):
        disk.write(0, b"A" * 512)
    assert INTERVAL_MS <= clock.ms - began_ms <= 2 * INTERVAL_MS
    with pytest.raises(PathLost):
        disk.defend()
    assert "no session" in disk.status()["trouble"]
    target.is_reachable = True
    disk.write(0, b"A" * 512)


def test_path_that_comes_back_in_time_is_not_noticed() -> None:
    target, clock = PretendTarget(), SteppedClock()
    disk = owner(target, clock, "n1", 1)
    target.restart()
    target.is_reachable = False

    def come_back() -> None:
        target.is_reachable = True

    clock.on_pause = come_back
    disk.write(0, b"A" * 512)
    assert bytes(target.data[:3]) == b"AAA"


def test_unmap_is_for_whole_blocks() -> None:
    target, clock = PretendTarget(), SteppedClock()
    disk = owner(target, clock, "n1", 1)
    disk.write(0, b"A" * 2048)
    disk.trim(100, 1500)
    assert bytes(target.data[:2048]) == b"A" * 512 + bytes(1024) + b"A" * 512
    assert disk.ids() == ["naa.6001"]


def test_thin_unit_without_room_is_told_apart_from_a_broken_one() -> None:
    """Who writes may wait for room, and nobody has lost anything."""
    target, clock = PretendTarget(), SteppedClock()
    disk = owner(target, clock, "n1", 1)
    session = Session(disk, key_of("c", "n1", 1), INTERVAL_MS, clock)
    session.answer("arbitrate", lambda words: None)
    target.is_full = True
    with pytest.raises(IoRefused) as caught:
        session.write(0, b"A" * 512)
    assert caught.value.number == ENOSPC
    target.is_full = False
    session.write(0, b"A" * 512)
    session.close()


@pytest.mark.parametrize(
    ("number", "is_room"), [(errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EIO, False), (errno.EROFS, False)]
)
def test_file_system_without_room(number: int, is_room: bool) -> None:
    assert isinstance(failed_io("/image", OSError(number, "x")), NoRoom) is is_room
