"""Two nodes with one disk between them: on each a physical_disk resource and a machine that boots from it."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from resource_types.physical_disk.places import places
from resource_types.physical_disk.resource import PhysicalDisk
from tests.disk.conftest import tgt
from tests.disk.test_nbd import Client
from tests.disk.tgt import SIZE_BYTES
from tests.vm.conftest import Bench
from tests.vm.console import Console
from tests.vm.desk import Desk

__all__ = ["fenced", "tgt"]
PROBE_AT = 1 << 20
"""Far from what the guest uses."""
LEDGER_AT = 3 * 512


class Node:
    """The two resources of the group, as a host on one node has them."""

    def __init__(self, name: str, disk: Desk, machine: Desk) -> None:
        self.name, self.disk, self.machine = name, disk, machine
        self.nbd = places("trial", name, disk.resource).nbd

    def under(self, generation: int) -> "Node":
        self.disk.generation = self.machine.generation = generation
        return self

    def online(self) -> None:
        self.disk.online()
        self.machine.online()

    def offline(self, **settings: Any) -> None:
        self.machine.offline(**settings)
        self.disk.offline(**settings)

    def prepare(self, generation: int) -> dict[str, str]:
        """Providers first."""
        self.under(generation)
        return {each.resource: each.type.prepare_migration(each.context()) for each in (self.disk, self.machine)}

    def abandon(self) -> None:
        for each in (self.machine, self.disk):
            each.type.abandon_migration(each.context())
            assert each.processes.members() == []

    def migrate(self, prepared: dict[str, str]) -> None:
        """Dependents first."""
        for each in (self.machine, self.disk):
            each.type.migrate(each.context(), prepared[each.resource])

    def resume(self) -> None:
        for each in (self.disk, self.machine):
            each.type.resume_after_migration(each.context())

    def can_write(self) -> bool:
        """Whether something written through this node's socket arrives. False also where nothing listens."""
        try:
            client = Client(self.nbd)
        except OSError:
            return False
        try:
            client.shake_hands()
            return client.ask(1, PROBE_AT, 512, self.name.encode().ljust(512, b"."))[0] == 0
        except OSError:
            return False
        finally:
            client.socket.close()

    def session(self, number: int) -> None:
        """Send the disk's session process a signal, and wait until it has taken effect."""
        main = self.disk.processes.main()
        assert main is not None
        main.signal(number)
        if number == signal.SIGKILL:
            assert main.wait(5000) is not None
        until = time.monotonic() + 5
        while number == signal.SIGSTOP and _state(main.pid) != "T":
            assert time.monotonic() < until


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


class Fenced:
    """The bench of one test."""

    def __init__(self, bench: Bench, kind: str, properties: dict[str, Any], backing: Path) -> None:
        self.bench, self.kind, self.backing = bench, kind, backing
        resource = f"disk-{kind}-{os.getpid()}"
        bench.definition.write_text(
            f'memory_mib = 1\n[[disks]]\nid = "system"\nresource = "{resource}"\nbus = "ide"\n', encoding="utf-8"
        )
        self._disks = [Desk(PhysicalDisk, name, resource, properties) for name in ("n1", "n2")]
        self.n1, self.n2 = (Node(each.node, each, bench.machine(each.node)) for each in self._disks)

    def started(self) -> Console:
        """The guest runs on n1 and writes every line that it says to its disk."""
        self.n1.under(1).online()
        console = self.bench.console(self.n1.machine)
        console.order("fw")
        console.wait_line(10)
        return console

    def writers(self) -> list[str]:
        """Who can write to the disk now."""
        return [each.name for each in (self.n1, self.n2) if each.can_write()]

    def ledger(self) -> dict[str, int]:
        """What the guest wrote last."""
        with self.backing.open("rb") as file:
            file.seek(LEDGER_AT)
            words = file.read(512).rstrip(b"\0").decode().split()
        return {key: int(value, 16) for key, value in (each.split("=") for each in words if "=" in each)}

    def close(self) -> None:
        for each in (self.n1, self.n2):
            for desk in (each.machine, each.disk):
                desk.processes.kill()
        for disk in self._disks:
            disk.close()
            folder = Path(places("trial", disk.node, disk.resource).folder)
            for name in folder.iterdir() if folder.exists() else ():
                name.unlink()
            if folder.exists():
                folder.rmdir()


@pytest.fixture(params=["image", "iscsi"])
def fenced(request: pytest.FixtureRequest, bench: Bench) -> Iterator[Fenced]:
    properties: dict[str, Any] = {"arb_interval": "1s"}
    if request.param == "image":
        backing = bench.folder / "unit.img"
        properties["image"] = str(backing)
    else:
        target = request.getfixturevalue("tgt")
        name = target.new_unit()
        backing = target.backing_file(name)
        properties["iscsi"] = {"portal": target.portal, "target": name, "unit": 1}
    with backing.open("r+b" if backing.exists() else "w+b") as file:
        file.write(bench.image.read_bytes())
        file.truncate(SIZE_BYTES)
    found = Fenced(bench, request.param, properties, backing)
    yield found
    found.close()
