"""Can connections that say nothing, too many of them, or slow ones keep others out or take what the node needs?"""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pretend_cluster import TOKEN, PretendCluster

from clusterd.api import doors, requests
from clusterd.api.doors import Limits
from clusterd.api.server import ApiServer
from clusterd.cli.client import Client
from clusterd.cli.connection import Doors, parse_endpoint

HEAD = f"Host: x\r\nAuthorization: Bearer {TOKEN}\r\n"
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Door:
    """One API that listens, and connections to it."""

    def __init__(self, served: ApiServer) -> None:
        self.served = served
        self._open: list[asyncio.StreamWriter] = []

    async def connect(self) -> Stream:
        reader, writer = await asyncio.open_connection(*self.served.address, limit=1 << 24)
        self._open.append(writer)
        return reader, writer

    async def ask(self, request: str, stream: Stream | None = None) -> str:
        """The head of the answer."""
        reader, writer = stream or await self.connect()
        writer.write(request.encode())
        return (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).decode()

    def close(self) -> None:
        for writer in self._open:
            writer.close()


@asynccontextmanager
async def open_door(cluster: PretendCluster, limits: Limits, path: Path | None = None) -> AsyncIterator[Door]:
    served = ApiServer(cluster, token=TOKEN, host="127.0.0.1", tcp_port=0, unix_path=path, limits=limits)
    await served.start()
    door = Door(served)
    try:
        yield door
    finally:
        door.close()
        await served.stop()


async def is_ended(stream: Stream) -> bool:
    with contextlib.suppress(ConnectionError):
        return await asyncio.wait_for(stream[0].read(1 << 20), 10) == b""
    return True


STATUS = f"GET /v1/quorum HTTP/1.1\r\n{HEAD}\r\n"


async def test_half_open_connections_keep_nobody_out(cluster: PretendCluster) -> None:
    async with open_door(cluster, Limits(connections_max=20, strangers_max=10)) as door:
        idle = [await door.connect() for _ in range(60)]
        for number, stream in enumerate(idle[::3]):
            stream[1].write(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n"[: number + 1])
        assert "200 OK" in await door.ask(STATUS)
        assert await is_ended(idle[0]), "who was there longest made room"


async def test_a_stranger_has_a_few_seconds(cluster: PretendCluster) -> None:
    async with open_door(cluster, Limits(stranger_max_s=0.1)) as door:
        says_nothing, asks_without_token = await door.connect(), await door.connect()
        assert "401" in await door.ask("GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n", asks_without_token)
        known = await door.connect()
        assert "200 OK" in await door.ask(STATUS, known)
        await known[0].read(1 << 20)  # the rest of the answer
        assert await is_ended(says_nothing)
        await asks_without_token[0].read(1 << 20)
        assert await is_ended(asks_without_token)
        assert "200 OK" in await door.ask(STATUS, known), "who is known may stay"


async def test_known_connections_are_capped_as_well(cluster: PretendCluster) -> None:
    async with open_door(cluster, Limits(connections_max=4, strangers_max=2)) as door:
        for _ in range(4):
            assert "200 OK" in await door.ask(STATUS)
        late, _ = await door.connect()
        answer = await asyncio.wait_for(late.read(1 << 20), 10)
        assert answer.startswith(b"HTTP/1.1 429 ") and b"Retry-After: 1" in answer
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "busy"


async def test_one_address_leaves_room_for_others(cluster: PretendCluster) -> None:
    async with open_door(cluster, Limits(of_one_address_max=3)) as door:
        for _ in range(3):
            assert "200 OK" in await door.ask(STATUS)
        reader, _ = await door.connect()
        assert b"429" in await asyncio.wait_for(reader.readline(), 10)


async def test_who_leaves_makes_room(cluster: PretendCluster) -> None:
    async with open_door(cluster, Limits(connections_max=2, strangers_max=1)) as door:
        for _ in range(10):
            stream = await door.connect()
            assert "200 OK" in await door.ask(STATUS, stream)
            stream[1].close()
            await stream[1].wait_closed()
            await _until(lambda: door.served.connection_count == 0)


async def test_who_takes_nothing_is_let_go(cluster: PretendCluster) -> None:
    for number in range(1000):
        cluster.event(f"event-x{number} " + "x" * 2000)
    async with open_door(cluster, Limits(stalled_max_s=0.2)) as door:
        stalled = await door.connect()
        stalled[1].get_extra_info("socket").setsockopt(1, 8, 4096)
        stalled[1].write(f"GET /v1/events?last=2000 HTTP/1.1\r\n{HEAD}\r\n".encode() * 20)
        stalled[0]._transport.pause_reading()
        await _until(lambda: door.served.connection_count == 0)


async def test_a_body_that_does_not_come_is_not_waited_for(
    cluster: PretendCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "BODY_WITHIN_S", 0.1)
    async with open_door(cluster, Limits()) as door:
        for path in ("/v1/groups", "/v1/apply", "/v1/wait"):
            answer = await door.ask(f"POST {path} HTTP/1.1\r\n{HEAD}Content-Length: 100\r\n\r\n{{")
            assert "408" in answer.splitlines()[0]


async def test_the_local_socket_has_no_strangers(cluster: PretendCluster, tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    async with open_door(cluster, Limits(connections_max=1, strangers_max=1, stranger_max_s=0.05), path):
        streams = [await asyncio.open_unix_connection(path) for _ in range(4)]
        await asyncio.sleep(0.1)
        for reader, writer in streams:
            writer.write(b"GET /v1/quorum HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"200 OK" in await asyncio.wait_for(reader.readline(), 10)
            writer.close()


async def test_it_listens_at_an_ipv6_address_too(cluster: PretendCluster) -> None:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
    served = ApiServer(cluster, token=TOKEN, host="::1", tcp_port=0)
    await served.start()
    try:
        endpoint = parse_endpoint(f"http://[::1]:{served.address[1]}")
        assert str(endpoint) == f"http://[::1]:{served.address[1]}"
        client = Client(Doors((endpoint,), TOKEN, "here"))
        assert (await asyncio.to_thread(client.read, "/v1/quorum"))["quorate"] is True
    finally:
        await served.stop()


def test_descriptors_are_kept_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors.resource, "getrlimit", lambda _: (1024, 4096))
    assert doors.limits_here().connections_max == 1024 - doors.DESCRIPTORS_RESERVED
    monkeypatch.setattr(doors.resource, "getrlimit", lambda _: (65536, 65536))
    assert doors.limits_here().connections_max == doors.CONNECTIONS_MAX
    monkeypatch.setattr(doors.resource, "getrlimit", lambda _: (64, 64))
    assert doors.limits_here().connections_max == doors.CONNECTIONS_LEAST


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)
