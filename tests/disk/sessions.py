"""Session processes as the resource type starts them, for tests that stop, kill and ask them."""

import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from resource_types.physical_disk import session
from resource_types.physical_disk.session_link import SessionLink
from tests.disk.test_nbd import Client

WITHIN_MS = 10_000


class SessionProcess:
    """One node's session. Times are short: an interval of 300 ms unless a test says otherwise."""

    def __init__(
        self, folder: Path, node: str, generation: int, kind: str, where: dict[str, Any], interval_ms: int = 300
    ) -> None:
        self.folder = folder / f"{node}-{generation}"
        self.folder.mkdir()
        config = session.Config(kind, where, "c", node, generation, interval_ms, str(self.folder))
        argv = [sys.executable, "-S", "-E", "-I", session.__file__, json.dumps(config._asdict())]
        self.process = subprocess.Popen(argv, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.link = SessionLink(str(self.folder / "control"))
        self.events: list[dict[str, Any]] = []

    def ready(self) -> "SessionProcess":
        until = time.monotonic() + 10
        while not self.link.is_there():
            assert self.process.poll() is None, self.words()
            assert time.monotonic() < until
            time.sleep(0.002)
        self.link.listen(self.events.append)
        return self

    def words(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read().decode()

    def ask(self, verb: str, within_ms: int = WITHIN_MS) -> dict[str, Any]:
        return self.link.ask(verb, within_ms)

    def nbd(self) -> Client:
        return Client(str(self.folder / "nbd")).shake_hands()

    def freeze(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)
        while Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            continue

    def thaw(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def until_lost(self) -> str:
        until = time.monotonic() + 10
        while not self.events:
            assert time.monotonic() < until, "nobody was told that the disk is lost"
            time.sleep(0.005)
        return str(self.events[0]["because"])

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()


def write_without_waiting(client: Client, offset: int, data: bytes) -> None:
    """A write that sits in the socket until the session reads it."""
    client.socket.sendall(struct.pack(">IHHQQI", 0x25609513, 0, 1, 7, offset, len(data)) + data)


def error_of_reply(client: Client) -> int:
    client.socket.settimeout(WITHIN_MS / 1000)
    _, error, handle = struct.unpack(">IIQ", client.take(16))
    assert handle == 7
    return int(error)


def silent(client: Client) -> bool:
    client.socket.settimeout(0.05)
    try:
        return client.socket.recv(1) == b""
    except TimeoutError:
        return True
