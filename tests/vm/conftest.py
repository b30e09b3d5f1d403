"""Real guests. Skipped where QEMU or nasm are missing; nothing is left when a test ends."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from resource_types.virtual_machine import VirtualMachine
from tests.vm.console import Console
from tests.vm.desk import Desk

GUESTS = Path(__file__).parents[2] / "deploy" / "guests"
NEEDED = {"qemu-system-x86_64": "qemu-system-x86", "qemu-img": "qemu-utils", "nasm": "nasm"}
MISSING = [package for command, package in NEEDED.items() if shutil.which(command) is None]
needs_qemu = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")


@pytest.fixture(scope="session")
def tiny_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("guest")
    subprocess.run(["sh", str(GUESTS / "build-tiny.sh"), str(folder)], check=True)
    return folder / "tiny.img"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: sockets lie in it."""
    with tempfile.TemporaryDirectory(prefix="vm-", dir="/tmp") as path:
        yield Path(path)


class Bench:
    """Nodes of one test, which all see the same files."""

    def __init__(self, folder: Path, image: Path) -> None:
        self.folder, self.image = folder, folder / "disk.img"
        self.definition = folder / "vm.toml"
        self._desks: list[Desk] = []
        self._consoles: list[Console] = []
        shutil.copy(image, self.image)
        self.define()

    def define(self, more: str = "", *, memory_mib: int = 1, disk: str = "", agent: str = "none") -> None:
        self.definition.write_text(
            f'memory_mib = {memory_mib}\nguest_agent = "{agent}"\n{more}\n'
            f'[[disks]]\nid = "system"\npath = "{self.image}"\nbus = "ide"\n{disk}\n'
        )

    def machine(self, node: str = "n1", resource: str = "vm", **properties: Any) -> Desk:
        given = {"configuration": str(self.definition), "run_folder": str(self.folder / "run"), **properties}
        self._desks.append(Desk(VirtualMachine, node, resource, given))
        return self._desks[-1]

    def console(self, desk: Desk) -> Console:
        path = desk.type.control(desk.context(), "console", b"").decode()
        self._consoles.append(Console(path))
        return self._consoles[-1]

    def started(self, node: str = "n1", resource: str = "vm", **properties: Any) -> tuple[Desk, Console]:
        """A machine whose guest runs."""
        desk = self.machine(node, resource, **properties)
        desk.online()
        console = self.console(desk)
        console.wait_line()
        return desk, console

    def ledger(self) -> str:
        """What the guest wrote to its disk last."""
        with self.image.open("rb") as file:
            file.seek(3 * 512)
            return file.read(512).rstrip(b"\0").decode()

    def close(self) -> None:
        for console in self._consoles:
            console.close()
        for desk in self._desks:
            desk.close()
        assert [name for name in os.listdir(self.folder / "run") if os.listdir(self.folder / "run" / name)] == []


@pytest.fixture
def bench(folder: Path, tiny_image: Path) -> Iterator[Bench]:
    bench = Bench(folder, tiny_image)
    (folder / "run").mkdir(mode=0o700)
    yield bench
    bench.close()
