"""Packets that wait in their socket count from when they came, and never from before."""

import asyncio
import socket
import time
from collections.abc import Callable

import pytest

from clusterd.adapters import arrivals
from clusterd.adapters.arrivals import STAMPED, Arrivals
from clusterd.adapters.boot_clock import now_ms
from clusterd.adapters.datagrams import Datagrams

WITHIN_S = 5.0


class Taken:
    """A socket that listens, and what it has taken in."""

    def __init__(self) -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = probe.getsockname()
        self.packets: list[tuple[bytes, int]] = []
        self.datagrams = Datagrams(self.address, lambda *each: self.packets.append(each))
        self.datagrams.start()

    def send(self, packet: bytes) -> None:
        self.datagrams.send(self.address, packet)

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not is_so():
                await asyncio.sleep(0.001)


async def test_nobody_is_woken_until_somebody_is_attentive() -> None:
    taken = Taken()
    try:
        taken.send(b"one")
        await taken.until(lambda: len(taken.packets) == 1)
        taken.datagrams.attend(is_attentive=False)
        taken.send(b"two")
        taken.send(b"three")
        await asyncio.sleep(0)
        assert len(taken.packets) == 1
        taken.datagrams.take()
        assert [each for each, _ in taken.packets] == [b"one", b"two", b"three"]
        taken.send(b"four")
        taken.datagrams.attend(is_attentive=True)
        await taken.until(lambda: len(taken.packets) == 4)
    finally:
        taken.datagrams.stop()


async def test_what_waited_counts_from_when_it_came() -> None:
    taken = Taken()
    try:
        taken.datagrams.attend(is_attentive=False)
        taken.datagrams.take()
        came_ms = now_ms()
        taken.send(b"x")
        sent_ms = now_ms()
        await taken.until(lambda: now_ms() > sent_ms + 50)
        taken.datagrams.take()
        ((_, at_ms),) = taken.packets
        assert came_ms <= at_ms <= sent_ms + 4
    finally:
        taken.datagrams.stop()


async def test_what_many_peers_say_between_two_heartbeats_is_not_lost() -> None:
    taken = Taken()
    try:
        taken.datagrams.attend(is_attentive=False)
        for _ in range(130):
            taken.send(b"x" * 1200)
        taken.datagrams.take()
        assert len(taken.packets) == 130
    finally:
        taken.datagrams.stop()


def stamp(wall_ns: int) -> list[tuple[int, int, bytes]]:
    return [(socket.SOL_SOCKET, STAMPED, arrivals._STAMP.pack(*divmod(wall_ns, 1_000_000_000)))]


@pytest.mark.parametrize("step_ms", [-5000, 5000])
def test_a_wall_clock_that_is_set_makes_nothing_older(step_ms: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """An acknowledgement that counted from before its heartbeat was sent would promise too little."""
    clocks, wall_ns, offset_ns = Arrivals(), time.time_ns, 0
    monkeypatch.setattr(arrivals.time, "time_ns", lambda: wall_ns() + offset_ns)
    clocks.look()
    came = stamp(wall_ns())
    came_ms = now_ms()
    offset_ns = step_ms * 1_000_000
    clocks.look()
    assert came_ms <= clocks.at_ms(came) <= now_ms()
    came_ms, came = now_ms(), stamp(wall_ns() + offset_ns)
    clocks.look()
    assert came_ms <= clocks.at_ms(came) <= now_ms(), "it is steady again"


def test_what_was_left_over_from_before_a_step_is_not_older_than_the_reading_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clocks, wall_ns, offset_ns = Arrivals(), time.time_ns, 0
    monkeypatch.setattr(arrivals.time, "time_ns", lambda: wall_ns() + offset_ns)
    clocks.look()
    came, came_ms = stamp(wall_ns()), now_ms()
    offset_ns = 5_000_000_000
    clocks.look()
    clocks.look()
    assert came_ms <= clocks.at_ms(came) <= now_ms()


def test_a_packet_without_a_stamp_counts_from_now() -> None:
    clocks = Arrivals()
    clocks.look()
    clocks.look()
    assert now_ms() - 50 <= clocks.at_ms([]) <= now_ms()
