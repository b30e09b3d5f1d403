"""Host and spawner believe each other, and nobody else; and nothing that is not a message of theirs."""

import array
import asyncio
import errno
import json
import marshal
import os
import socket
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from clusterd.adapters.frames import FRAME_SIZE_MAX, framed
from clusterd.reshost.spawn_link import receive
from clusterd.reshost.spawn_messages import (
    ANSWER_SIZE_MAX,
    BadMessage,
    Ended,
    Ids,
    Order,
    Refused,
    Started,
    answer_text,
    order_text,
    read_answer,
    read_order,
)
from clusterd.reshost.spawning import NotStarted, SpawnerLink, start_spawner

ORDER = Order("/bin/true", ["true", "\udcff"], {"A": "é\udc80"}, None, "/", Ids(1, 2, [3]))


def test_what_is_said_is_heard() -> None:
    assert read_order(order_text(7, ORDER)) == (7, ORDER)
    for answer in (Started(1, 4711), Refused(1, "execute", 2), Ended(4711, 256)):
        assert read_answer(answer_text(answer)) == answer


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        marshal.dumps(("started", 1, 4711)),
        b'["started",1]',
        b'["started",true,4711]',
        b'["started",1,4711.0]',
        b'["started",1,0]',
        b'["started",1,1]',
        b'["started",-1,4711]',
        b'["started",1,99999999999]',
        b'["refused",1,2,3]',
        b'["ended","4711",0]',
        b'["ended",4711,65536]',
        b'["wished",1,2]',
        b'["refused",1,"' + b"x" * ANSWER_SIZE_MAX + b'",2]',
    ],
)
def test_what_is_no_answer_is_refused(text: bytes) -> None:
    with pytest.raises(BadMessage):
        read_answer(text)


@pytest.mark.parametrize(
    "change",
    [
        {"path": 1},
        {"path": "a\0b"},
        {"argv": []},
        {"argv": [1]},
        {"environment": {"A=B": "x"}},
        {"environment": {"": "x"}},
        {"environment": {"A": 1}},
        {"environment": {"A": "x\0y"}},
        {"cgroup": 1},
        {"working_directory": 1},
        {"ids": [1, 2]},
        {"ids": [-1, 2, []]},
        {"ids": [1, 2, [True]]},
    ],
)
def test_what_is_no_order_is_refused(change: dict[str, object]) -> None:
    parts = {**ORDER._asdict(), **change}
    with pytest.raises(BadMessage):
        read_order(json.dumps(["start", 1, *parts.values()]).encode())


@dataclass
class Pair:
    """A link whose other end is held by this test, so that it can say what a spawner would not."""

    link: SpawnerLink
    other: socket.socket
    lost: list[str] = field(default_factory=list)

    async def start(self) -> asyncio.Task[object]:
        nothing = os.open(os.devnull, os.O_WRONLY)
        asked = asyncio.create_task(self.link.start(ORDER, nothing))
        await asyncio.sleep(0)
        return asked


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    ours, theirs = socket.socketpair()
    for each in (ours, theirs):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    lost: list[str] = []
    yield Pair(SpawnerLink(ours, os.getpid(), lost.append), theirs, lost)
    for each in (ours, theirs):
        asyncio.get_running_loop().remove_reader(each)
        each.close()


async def until_lost(pair: Pair) -> str:
    async with asyncio.timeout(5):
        while not pair.lost:
            await asyncio.sleep(0)
    return pair.lost[0]


@pytest.mark.parametrize(
    "said",
    [
        answer_text(Started(9, 4711)),  # nobody asked for it
        answer_text(Started(1, 4711)),  # without a pidfd
        answer_text(Refused(9, "execute", 2)),
        answer_text(Ended(4711, 0)),  # never started
        b"no message",
    ],
)
async def test_an_answer_that_cannot_be_is_the_end(pair: Pair, said: bytes) -> None:
    asked = await pair.start()
    pair.other.send(framed(said))
    assert "cannot be believed" in await until_lost(pair)
    asked.cancel()


async def test_an_announced_flood_is_the_end(pair: Pair) -> None:
    pair.other.send((FRAME_SIZE_MAX + 1).to_bytes(4, "big"))
    assert "cannot be believed" in await until_lost(pair)


async def test_somebody_else_with_the_socket_is_not_believed(pair: Pair) -> None:
    """Whoever inherits an end: the kernel tells who wrote."""
    asked = await pair.start()
    pid = os.fork()
    if pid == 0:
        pair.other.send(framed(answer_text(Refused(1, "execute", 2))))
        os._exit(0)
    assert f"process {pid} speaks in the place of process {os.getpid()}" in await until_lost(pair)
    assert not asked.done()
    asked.cancel()
    await asyncio.to_thread(os.waitpid, pid, 0)


def test_a_spawner_hears_its_host_only() -> None:
    ours, theirs = socket.socketpair()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    ours.send(b"x")
    with pytest.raises(BadMessage, match="speaks in the place of process 1"):
        receive(theirs, 1, deque())
    ours.close()
    theirs.close()


@dataclass
class Real:
    link: SpawnerLink
    socket: socket.socket
    pid: int
    lost: list[str]

    async def start(self, order: Order) -> int:
        read, write = os.pipe()
        try:
            return await (await self.link.start(order, write)).ended
        finally:
            os.close(read)


@pytest.fixture
async def real() -> AsyncIterator[Real]:
    link, pid = start_spawner()
    lost: list[str] = []
    yield Real(SpawnerLink(link, pid, lost.append), link, pid, lost)
    asyncio.get_running_loop().remove_reader(link)
    link.close()
    await asyncio.to_thread(os.waitpid, pid, 0)


async def test_a_program_that_is_too_much_is_refused_alone(real: Real) -> None:
    """Just below and above what a frame holds, and above what the kernel takes."""
    much = {str(each): "x" * 100_000 for each in range(50)}
    for environment in (much, {"A": "x" * 200_000}):
        with pytest.raises(NotStarted) as refused:
            await real.start(Order("/bin/true", ["true"], environment, None, None, None))
        assert refused.value.number == errno.E2BIG
    assert await real.start(Order("/bin/true", ["true"], {"A": "x" * 100_000}, None, None, None)) == 0
    assert real.lost == []


async def test_a_spawner_ends_on_what_is_no_order(real: Real) -> None:
    """It can hold nothing up by going on with half of what it was told."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0]))]
    real.socket.setblocking(True)
    real.socket.sendmsg([framed(b'["start",1,"/bin/true",[],{},null,null,null]')], rights)
    async with asyncio.timeout(5):
        while not real.lost:
            await asyncio.sleep(0)
    assert real.lost == ["its spawner is gone"]
