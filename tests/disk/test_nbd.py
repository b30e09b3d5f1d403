"""The NBD server: what a good client gets, and that no bytes whatever harm it."""

import contextlib
import random
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from resource_types.physical_disk import nbd
from resource_types.physical_disk.nbd import IoRefused, NbdServer

SIZE_BYTES = 1 << 20
HELLO = struct.pack(">I", 3)


class MemoryDisk:
    """A disk that fails on request."""

    def __init__(self) -> None:
        self.data = bytearray(SIZE_BYTES)
        self.flush_count = 0
        self.refuses = 0

    @property
    def size_bytes(self) -> int:
        return len(self.data)

    def read(self, offset: int, length: int) -> bytes:
        self._refuse()
        return bytes(self.data[offset : offset + length])

    def write(self, offset: int, data: bytes) -> None:
        self._refuse()
        self.data[offset : offset + len(data)] = data

    def flush(self) -> None:
        self._refuse()
        self.flush_count += 1

    def trim(self, offset: int, length: int) -> None:
        self.write(offset, bytes(length))

    def _refuse(self) -> None:
        if self.refuses:
            raise IoRefused(self.refuses)


class Client:
    """As simple as a client can be."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(5)
        try:
            self.socket.connect(path)
        except OSError:
            self.socket.close()
            raise

    def shake_hands(self) -> "Client":
        assert self.take(18) == b"NBDMAGICIHAVEOPT\0\3"
        self.socket.sendall(HELLO + self.option(7, struct.pack(">IH", 0, 0)))
        kinds = []
        while not kinds or kinds[-1] != 1:
            _, option, kind, length = struct.unpack(">QIII", self.take(20))
            assert option == 7
            self.take(length)
            kinds.append(kind)
        assert kinds == [3, 3, 1]
        return self

    def option(self, number: int, data: bytes = b"") -> bytes:
        return b"IHAVEOPT" + struct.pack(">II", number, len(data)) + data

    def ask(self, kind: int, offset: int, length: int, data: bytes = b"", flags: int = 0) -> tuple[int, bytes]:
        """Error number and data."""
        self.socket.sendall(struct.pack(">IHHQQI", 0x25609513, flags, kind, 42, offset, length) + data)
        magic, error, handle = struct.unpack(">IIQ", self.take(16))
        assert (magic, handle) == (0x67446698, 42)
        return error, self.take(length) if kind == 0 and not error else b""

    def take(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            part = self.socket.recv(length - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def is_ended(self) -> bool:
        with self.socket, contextlib.suppress(ConnectionResetError):
            while self.socket.recv(65536):
                continue
        return True


@pytest.fixture
def disk() -> MemoryDisk:
    return MemoryDisk()


@pytest.fixture
def path(disk: MemoryDisk, tmp_path: Path) -> Iterator[str]:
    server = NbdServer(str(tmp_path / "nbd"), disk)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    yield str(tmp_path / "nbd")
    server.close()


@pytest.fixture
def client(path: str) -> Iterator[Client]:
    client = Client(path)
    yield client
    client.socket.close()


def test_read_write_flush_trim(client: Client, disk: MemoryDisk) -> None:
    client.shake_hands()
    assert client.ask(1, 512, 4, b"data") == (0, b"")
    assert client.ask(0, 510, 8) == (0, b"\0\0data\0\0")
    assert client.ask(3, 0, 0) == (0, b"")
    assert disk.flush_count == 1
    assert client.ask(1, 0, 1, b"x", flags=1) == (0, b"")
    assert disk.flush_count == 2, "FUA is a flush"
    assert client.ask(4, 512, 4) == (0, b"")
    assert client.ask(0, 512, 4) == (0, bytes(4))
    assert client.ask(0, 0, 0) == (22, b"")


@pytest.mark.parametrize(
    ("name", "kind", "offset", "length", "flags", "error"),
    [
        ("read past the end", 0, SIZE_BYTES - 1, 2, 0, nbd.EINVAL),
        ("read far past the end", 0, 2**64 - 1, 1, 0, nbd.EINVAL),
        ("write past the end", 1, SIZE_BYTES, 1, 0, nbd.ENOSPC),
        ("trim past the end", 4, 0, SIZE_BYTES + 1, 0, nbd.EINVAL),
        ("a command that there is not", 9, 0, 0, 0, nbd.EINVAL),
        ("a flag that there is not", 3, 0, 0, 0x80, nbd.EINVAL),
    ],
)
def test_requests_that_are_refused(
    name: str, client: Client, kind: int, offset: int, length: int, flags: int, error: int
) -> None:
    client.shake_hands()
    data = b"x" * length if kind == 1 else b""
    assert client.ask(kind, offset, length, data, flags) == (error, b""), name
    assert client.ask(0, 0, 1) == (0, b"\0"), "the connection goes on"


def test_refusal_of_the_disk_reaches_the_client(client: Client, disk: MemoryDisk) -> None:
    client.shake_hands()
    disk.refuses = nbd.EIO
    for kind in (0, 1, 3, 4):
        assert client.ask(kind, 0, 1, b"x" if kind == 1 else b"") == (nbd.EIO, b"")


def test_oldest_way_to_ask_for_the_disk(client: Client) -> None:
    client.take(18)
    client.socket.sendall(struct.pack(">I", 0) + client.option(1))
    size, _ = struct.unpack(">QH", client.take(10))
    assert size == SIZE_BYTES
    assert client.take(124) == bytes(124)
    assert client.ask(0, 0, 1) == (0, b"\0")


def test_other_options(client: Client) -> None:
    client.take(18)
    client.socket.sendall(HELLO + client.option(3) + client.option(8) + client.option(6) + client.option(2))
    kinds = []
    while not kinds or kinds[-1][0] != 2:
        _, option, kind, length = struct.unpack(">QIII", client.take(20))
        client.take(length)
        kinds.append((option, kind))
    assert kinds == [(3, 2), (3, 1), (8, 0x80000001), (6, 0x80000003), (2, 1)]
    assert client.is_ended()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("unknown client flags", b"\xff\xff\xff\xff"),
        ("no option magic", HELLO + b"IHAVENOT" + bytes(8)),
        ("an option of 4 GiB", HELLO + b"IHAVEOPT" + struct.pack(">II", 7, 2**32 - 1)),
        ("options for ever", HELLO + (b"IHAVEOPT" + struct.pack(">II", 3, 0)) * 33),
    ],
)
def test_handshake_that_is_ended(name: str, client: Client, words: bytes) -> None:
    client.socket.sendall(words)
    assert client.is_ended(), name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no request magic", bytes(28)),
        ("a read of 4 GiB", struct.pack(">IHHQQI", 0x25609513, 0, 0, 1, 0, 2**32 - 1)),
        ("a write of 4 GiB", struct.pack(">IHHQQI", 0x25609513, 0, 1, 1, 0, 2**32 - 1)),
        ("good-bye", struct.pack(">IHHQQI", 0x25609513, 0, 2, 1, 0, 0)),
    ],
)
def test_request_that_ends_the_connection(name: str, client: Client, words: bytes) -> None:
    client.shake_hands()
    client.socket.sendall(words)
    assert client.is_ended(), name


@pytest.mark.parametrize("seed", range(60))
def test_garbage(seed: int, path: str, disk: MemoryDisk) -> None:
    """Random bytes, and good beginnings with random ends; afterwards the disk is as it was and still served."""
    chance = random.Random(seed)
    client = Client(path)
    if seed % 3:
        client.shake_hands()
    words = b"IHAVEOPT" if seed % 3 == 0 else struct.pack(">I", 0x25609513)
    body = b"".join(words + chance.randbytes(chance.randrange(40)) for _ in range(chance.randrange(1, 8)))
    before = bytes(disk.data)
    with contextlib.suppress(OSError):
        client.socket.sendall(HELLO + body if seed % 3 == 0 else _harmless(body))
        client.socket.shutdown(socket.SHUT_WR)
    assert client.is_ended()
    client.socket.close()
    good = Client(path).shake_hands()
    assert good.ask(0, 0, 4) == (0, before[:4])
    good.socket.close()


def _harmless(body: bytes) -> bytes:
    """No random write may be a legal one."""
    return body.replace(struct.pack(">IHH", 0x25609513, 0, 1), struct.pack(">IHH", 0x25609513, 0, 0))


def test_more_clients_than_there_is_room_for(path: str) -> None:
    clients = [Client(path).shake_hands() for _ in range(nbd.CONNECTIONS_MAX)]
    assert Client(path).is_ended()
    for each in clients:
        assert each.ask(0, 0, 1) == (0, b"\0")
        each.socket.close()
    until = time.monotonic() + 5
    while True:
        client = Client(path)
        with client.socket, contextlib.suppress(EOFError, ConnectionResetError):
            client.shake_hands()
            return
        assert time.monotonic() < until


@pytest.mark.skipif(shutil.which("qemu-io") is None, reason="qemu-io is not installed (Debian: qemu-utils)")
def test_qemu_is_content(path: str, disk: MemoryDisk) -> None:
    commands = ["write -P 7 0 64k", "read -P 7 0 64k", "discard 0 32k", "write -f -P 9 100 700", "flush"]
    argv = ["qemu-io", "-f", "raw", "-d", "unmap", *(word for each in commands for word in ("-c", each))]
    argv.append(f"nbd+unix:///?socket={path}")
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert disk.data[100] == 9
    assert disk.data[40000] == 7
