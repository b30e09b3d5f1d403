"""A host that starts slowly goes by the newest deadline, not by the first that waits for it."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any, cast

import pytest

from clusterd.adapters.boot_clock import now_ms
from clusterd.adapters.frames import framed
from clusterd.reshost.host import Host
from clusterd.reshost.plugins import Plugins
from clusterd.reshost.server import LeaseWatch
from clusterd.wire import host_pb2


class _Services:
    incarnation = "i1"


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    yield ours, theirs
    ours.close()
    theirs.close()


def give(guard: socket.socket, deadline_ms: int, incarnation: str = "i1") -> None:
    guard.send(framed(host_pb2.LeaseUpdate(incarnation=incarnation, deadline_ms=deadline_ms).SerializeToString()))


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_deadlines_that_queued_up_while_it_started(pair: tuple[socket.socket, socket.socket]) -> None:
    guard, lease = pair
    host = Host(cast(Any, _Services()), Plugins())
    ended: list[str] = []
    for deadline_ms in (now_ms() - 1000, now_ms() - 10, now_ms() + 60_000):
        give(guard, deadline_ms)
    give(guard, now_ms() + 90_000, "i2")
    LeaseWatch(lease, host, ended.append)
    await settle()
    assert ended == [] and not host.is_past_lease()
    assert host.deadline_ms < now_ms() + 60_001
    asyncio.get_running_loop().remove_reader(lease)


async def test_one_that_has_passed_is_not_extended(pair: tuple[socket.socket, socket.socket]) -> None:
    guard, lease = pair
    host = Host(cast(Any, _Services()), Plugins())
    ended: list[str] = []
    give(guard, now_ms() - 10)
    LeaseWatch(lease, host, ended.append)
    await settle()
    give(guard, now_ms() + 60_000)
    await settle()
    assert host.is_past_lease()
    assert "the run lease ended" in ended
    guard.close()
    await settle()
    assert ended[-1] == "the guard is gone"
    asyncio.get_running_loop().remove_reader(lease)
