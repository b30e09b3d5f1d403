"""Tiny guests in a lab: their manifest, everything that they say on their consoles and write to their disks, and orders.

One thread looks after all consoles and disks, so that every line has its place in one history that a judge can read.
"""

import itertools
import os
import selectors
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bench.labs import Lab
from clusterd.checkers import GuestLine, machine_breaches

GUESTS = Path(__file__).parents[2] / "deploy" / "guests"
NEEDED = {"qemu-system-x86_64": "qemu-system-x86", "qemu-img": "qemu-utils", "nasm": "nasm"}
MISSING = [package for command, package in NEEDED.items() if shutil.which(command) is None]
LOOK_EVERY_S = 0.005
LEDGER_OFFSET, LEDGER_SIZE = 3 * 512, 512
WITHIN_S = 20.0
_NUMBERS = itertools.count(1)


class Guests:
    """Guests whose files lie in `folder`. `orders` are what each fresh boot is told: w writes every line to its disk."""

    def __init__(self, folder: Path, *, orders: str = "fw") -> None:
        self.folder = folder
        self.said: dict[str, list[GuestLine]] = {}
        self.written: dict[str, list[GuestLine]] = {}
        self._orders = orders
        self._changed = threading.Condition()
        self._selector = selectors.DefaultSelector()
        self._open: dict[str, _Console] = {}
        self._is_over = False
        subprocess.run(["sh", str(GUESTS / "build-tiny.sh"), str(folder)], check=True)
        self.run_folder.mkdir(mode=0o700)
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    @property
    def run_folder(self) -> Path:
        return self.folder / "run"

    def image(self, name: str) -> Path:
        return self.folder / f"{name}.img"

    def group(
        self,
        name: str,
        *,
        memory_mib: int = 1,
        more: str = "",
        properties: dict[str, Any] | None = None,
        disk: dict[str, Any] | None = None,
        **group: Any,
    ) -> dict[str, Any]:
        """One guest as a group of a manifest, with `properties` of the machine and `more` in its definition. Its files are
        made anew. With `disk`, properties of a physical_disk, it boots from that, which must hold it already."""
        if disk is None:
            shutil.copy(self.folder / "tiny.img", self.image(name))
        served = f'path = "{self.image(name)}"' if disk is None else f'resource = "{name}-disk"'
        definition = self.folder / f"{name}.toml"
        definition.write_text(
            f'memory_mib = {memory_mib}\n{more}\n[[disks]]\nid = "system"\n{served}\nbus = "ide"\n', encoding="utf-8"
        )
        with self._changed:
            self.said[name], self.written[name] = [], []
        given = {"configuration": str(definition), "run_folder": str(self.run_folder), **(properties or {})}
        resources: list[dict[str, Any]] = (
            [{"name": f"{name}-disk", "type": "physical_disk", "properties": disk}] if disk is not None else []
        )
        resources += [
            {
                "name": f"{name}-configuration",
                "type": "virtual_machine_configuration",
                "properties": {"definition": str(definition)},
                **_needs([each["name"] for each in resources]),
            },
            {
                "name": name,
                "type": "virtual_machine",
                "restart": {"delay": "0ms"},
                "properties": given,
                **_needs([f"{name}-configuration", *(each["name"] for each in resources)]),
            },
        ]
        return {"name": name, **group, "resources": resources}

    # ---- what they say ----

    def last(self, name: str) -> GuestLine:
        return self.said[name][-1]

    def wait(
        self, name: str, what: str, is_it: Callable[[GuestLine], bool], *, within_s: float = WITHIN_S
    ) -> GuestLine:
        """The first line from now on that `is_it`."""
        begun = len(self.said[name])
        found: list[GuestLine] = []

        def is_there() -> bool:
            found[:] = [line for line in self.said[name][begun:] if is_it(line)]
            return bool(found)

        with self._changed:
            assert self._changed.wait_for(is_there, within_s), f"{name} not within {within_s} s: {what}"
        return found[0]

    def goes_on(self, name: str) -> GuestLine:
        """A line after those that are there now."""
        return self.wait(name, "to say something", lambda line: True)

    def falls_silent(self, name: str, duration_s: float) -> bool:
        begun = len(self.said[name])
        with self._changed:
            return not self._changed.wait_for(lambda: len(self.said[name]) > begun, duration_s)

    def order(self, name: str, letters: str) -> None:
        for console in list(self._open.values()):
            if console.machine == name:
                console.send(letters)

    def breaches(self, names: Iterable[str] = ()) -> list[str]:
        """Of those machines, or of all. The only good answer is an empty list."""
        with self._changed:
            chosen = list(names) or list(self.said)
            return [each for name in chosen for each in machine_breaches(name, self.said[name], self.written[name])]

    def __enter__(self) -> "Guests":
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self._thread.join()
        for console in self._open.values():
            console.close()

    # ---- the thread that looks ----

    def _watch(self) -> None:
        while not self._is_over:
            self._connect()
            for key, _ in self._selector.select(LOOK_EVERY_S):
                self._hear(key.data)
            self._read_disks()

    def _connect(self) -> None:
        """To every console that is not connected: a guest that comes is heard from its first moments on."""
        for entry in os.listdir(self.run_folder):
            machine = entry.rpartition("-")[0]
            if entry in self._open or machine not in self.said:
                continue
            try:
                console = _Console(entry, machine, self.run_folder / entry / "console.sock")
            except OSError:
                continue  # not listening yet, or not any more
            self._open[entry] = console
            self._selector.register(console.socket, selectors.EVENT_READ, console)

    def _hear(self, console: "_Console") -> None:
        lines = console.read()
        if lines is None:
            self._selector.unregister(console.socket)
            console.close()
            del self._open[console.run]
            return
        with self._changed:
            history = self.said[console.machine]
            for line in lines:
                if line.nonce not in {each.nonce for each in history[-1:]}:
                    console.send(self._orders)
                history.append(line)
            self._changed.notify_all()

    def _read_disks(self) -> None:
        for name, lines in list(self.written.items()):  # the test adds machines meanwhile
            try:
                with self.image(name).open("rb") as file:
                    file.seek(LEDGER_OFFSET)
                    text = file.read(LEDGER_SIZE).rstrip(b"\0").decode(errors="replace")
            except OSError:
                continue
            line = parsed(text, "disk", _now())
            if line is not None and (not lines or _content(lines[-1]) != _content(line)):
                lines.append(line)


class _Console:
    """One connection. A process that ended closes it."""

    def __init__(self, run: str, machine: str, path: Path) -> None:
        self.run, self.machine = run, machine
        self.socket = socket.socket(socket.AF_UNIX)
        self._rest = b""
        try:
            self.socket.connect(str(path))
        except OSError:
            self.socket.close()
            raise

    def read(self) -> list[GuestLine] | None:
        """None at the end."""
        try:
            data = self.socket.recv(1 << 16)
        except OSError:
            return None
        if not data:
            return None
        now = _now()
        *lines, self._rest = (self._rest + data).split(b"\n")
        found = [parsed(each.decode(errors="replace"), self.run, now) for each in lines]
        return [line for line in found if line is not None]

    def send(self, letters: str) -> None:
        try:
            self.socket.sendall(letters.encode())
        except OSError:
            return  # it ended meanwhile

    def close(self) -> None:
        self.socket.close()


def _needs(names: list[str]) -> dict[str, str]:
    return {"depends_on": " and ".join(f"[{name}]" for name in names)} if names else {}


def parsed(text: str, run: str, at: int) -> GuestLine | None:
    words = dict(each.split("=", 1) for each in text.split() if "=" in each)
    if set(words) != set("NBCG") or not all(len(each) == 8 for each in words.values()):
        return None
    boots, count, generation = (int(words[key], 16) for key in "BCG")
    return GuestLine(run, at, words["N"], boots, count, generation)


def _content(line: GuestLine) -> tuple[str, int, int, int]:
    return line.nonce, line.boots, line.count, line.generation


def _now() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def fresh_name() -> str:
    """Of a group that this cluster never had; short, for it is part of a socket's path."""
    return f"guest{next(_NUMBERS)}"


def machine(running: Lab, name: str) -> dict[str, Any]:
    return dict(running.ctl("vm", "show", name)["machines"][0])


def guest(running: Lab, name: str) -> dict[str, Any]:
    """What QEMU says of it."""
    return dict(machine(running, name)["guest"] or {})


def mend(running: Lab) -> None:
    for node in running.nodes():
        if node["state"] != "running":
            running.ctl("lab", "start", node["name"])
    running.ctl("wait", "--for", "cluster healthy")


def remove(running: Lab, name: str) -> None:
    running.ctl("group", "offline", name)
    running.ctl("group", "delete", name)


def until(is_true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + WITHIN_S
    while not is_true():
        assert time.monotonic() < end, f"not within {WITHIN_S} s: {what}"
        time.sleep(0.02)
