"""What a guest says reaches whoever reads, and waits for nobody."""

import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from resource_types.virtual_machine.console_relay import PENDING_BYTES_MAX, ConsoleRelay

WITHIN_S = 10


class Joined:
    """A relay with a guest at it, whose words the test says."""

    def __init__(self, folder: Path) -> None:
        self.client_path = str(folder / "client")
        self.relay = ConsoleRelay(str(folder / "guest"), self.client_path)
        self.guest = connected(str(folder / "guest"))
        self.clients: list[socket.socket] = []

    def client(self) -> socket.socket:
        """Greeted, so that it is known to be there."""
        self.clients.append(connected(self.client_path))
        self.clients[-1].sendall(b"!")
        assert self.guest.recv(1) == b"!"
        return self.clients[-1]

    def close(self) -> None:
        self.relay.close()
        for each in (self.guest, *self.clients):
            each.close()


def connected(path: str) -> socket.socket:
    link = socket.socket(socket.AF_UNIX)
    link.settimeout(WITHIN_S)
    link.connect(path)
    return link


def read_until(link: socket.socket, end: bytes) -> bytes:
    read = b""
    while not read.endswith(end):
        read += link.recv(1 << 16)
    return read


def read_exactly(link: socket.socket, size: int) -> None:
    while size:
        size -= len(link.recv(size))


@pytest.fixture
def joined() -> Iterator[Joined]:
    with tempfile.TemporaryDirectory(prefix="cr-", dir="/tmp") as folder:
        joined = Joined(Path(folder))
        yield joined
        joined.close()


def test_both_ways_and_for_several(joined: Joined) -> None:
    first, second = joined.client(), joined.client()
    joined.guest.sendall(b"login:")
    assert read_until(first, b"login:") == read_until(second, b"login:") == b"login:"
    second.sendall(b"root\n")
    assert read_until(joined.guest, b"root\n") == b"root\n"


def test_guest_without_anybody_at_its_console(joined: Joined) -> None:
    joined.guest.sendall(b"x" * (4 << 20))


def test_stalled_client_stops_neither_guest_nor_other_clients(joined: Joined) -> None:
    stalled, reader = joined.client(), joined.client()
    said = b"y" * (4 << 20)
    read = bytearray()

    def listen() -> None:
        while not read.endswith(b"end"):
            read.extend(reader.recv(1 << 20))

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    for at in range(0, len(said), 4096):  # as fast as it is taken, which a client that reads keeps up with
        joined.guest.sendall(said[at : at + 4096])
    joined.guest.sendall(b"end")
    thread.join(WITHIN_S)
    assert not thread.is_alive(), "the reader was not told the end"
    told = b""
    while b"are not shown" not in told:
        told = (told + stalled.recv(1 << 16))[-1000:]
        joined.guest.sendall(b".")
    assert len(said) > PENDING_BYTES_MAX


def test_client_that_was_behind_is_shown_the_newest(joined: Joined) -> None:
    """The prompt that a guest waits at is its last word: it says nothing more by which it could be noticed."""
    behind, reader = joined.client(), joined.client()
    for _ in range(PENDING_BYTES_MAX // 1024):
        joined.guest.sendall(b"y" * 4096)
        read_exactly(reader, 4096)
    joined.guest.sendall(b"login: ")
    read_until(reader, b"login: ")
    told = read_until(behind, b"login: ")
    assert b"are not shown" in told


def test_machine_that_ends_leaves_nobody_at_its_console(joined: Joined) -> None:
    client = joined.client()
    joined.guest.close()
    assert client.recv(1) == b""


def test_closed_relay_closes_everything(joined: Joined) -> None:
    client = joined.client()
    joined.relay.close()
    joined.relay.close()
    assert client.recv(1) == b""
    assert joined.guest.recv(1) == b""
