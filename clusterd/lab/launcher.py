"""What owns a lab while it runs? I/O.

One background process, started by `clusterctl lab up` through the watcher. It lays the lab's foundation, starts the nodes,
and serves two Unix sockets: control (for the command line) and fence (the power switch, for the daemons). It restarts
nothing. When it ends, for whatever reason, everything it started ends: on SIGTERM it kills all runs itself; when it is
killed, the kernel kills guards and daemons with it and the watcher kills the rest.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec

from clusterd.adapters.disk_faults import SLOW_MAX_MS, DiskFaults
from clusterd.lab.cgroups import Cgroup, lab_cgroup
from clusterd.lab.children import Children
from clusterd.lab.cuts import Cuts
from clusterd.lab.doors import ControlDoor, FenceDoor
from clusterd.lab.foundation import lay
from clusterd.lab.layout import LabRecord, check_name, make_private
from clusterd.lab.leftovers import disk_folder, remove_sockets, take_away
from clusterd.lab.locks import lab_root, lock
from clusterd.lab.node import LabContext, LabNode
from clusterd.lab.options import LabOptions
from clusterd.lab.ports import Ports
from clusterd.model.errors import BadInput, ClusterError, NotFound, Refused
from clusterd.model.settings import PROFILES

NODE_COUNT_MAX = 64


class Lab:
    """A running lab: its nodes, its cuts, and the wish to end."""

    def __init__(self, options: LabOptions, record: LabRecord, children: Children, cgroup: Cgroup | None) -> None:
        self.record = record
        self.ending = asyncio.Event()
        context = LabContext(options, children, cgroup)
        self.nodes = {entry.name: LabNode(entry, context) for entry in record.nodes}
        self._cuts = Cuts(list(self.nodes))

    def node(self, name: str) -> LabNode:
        """Raises NotFound."""
        try:
            return self.nodes[name]
        except KeyError:
            known = ", ".join(self.nodes)
            raise NotFound(f"lab {self.record.name} has no node {name}", hint=f"its nodes: {known}") from None

    def status(self) -> dict[str, Any]:
        """The lab as `lab status` shows it."""
        return {
            "schema": 1,
            "name": self.record.name,
            "state": "running",
            "dir": self.record.dir,
            "pid": self.record.pid,
            "profile": self.record.profile,
            "fence": self.record.fence,
            "cuts": [{"from": source, "to": target} for source, target in self._cuts.pairs],
            "losses": [{"between": [one, other], "percent": percent} for one, other, percent in self._cuts.losses],
            "nodes": [node.status() for node in self.nodes.values()],
        }

    def cut(self, source: str, target: str, *, is_one_way: bool) -> None:
        self.node(source), self.node(target)
        if source == target:
            raise BadInput(f"{source} has no link to itself", hint="name two nodes")
        self._cuts.cut(source, target, is_one_way=is_one_way)
        self._tell_nodes()

    def isolate(self, name: str) -> None:
        self.node(name)
        self._cuts.isolate(name)
        self._tell_nodes()

    def slow_disk(self, name: str, slow_ms: int) -> None:
        if not 0 <= slow_ms <= SLOW_MAX_MS:
            raise BadInput(f"a disk is slowed down by 0 to {SLOW_MAX_MS} ms, not by {slow_ms}", hint="try 1500")
        node = self.node(name)
        node.set_disk(msgspec.structs.replace(node.disk, slow_ms=slow_ms))

    def fill_disk(self, name: str) -> None:
        node = self.node(name)
        node.set_disk(msgspec.structs.replace(node.disk, is_full=True))

    def lose(self, percent: int, names: list[str]) -> None:
        """Lose so many of a hundred packets on the links of these nodes, or on all."""
        if not 0 <= percent <= 100:
            raise BadInput(f"{percent} is no percentage", hint="expected 0 to 100; 0 loses nothing any more")
        for name in names:
            self.node(name)
        self._cuts.lose(percent, names)
        self._tell_nodes()

    def break_disk(self, name: str) -> None:
        node = self.node(name)
        node.set_disk(msgspec.structs.replace(node.disk, is_broken=True))

    def heal(self, names: list[str]) -> None:
        for name in names:
            self.node(name)
        self._cuts.heal(names)
        self._tell_nodes()
        for node in self.nodes.values() if not names else ():
            node.set_disk(DiskFaults())

    async def start_all(self) -> None:
        for node in self.nodes.values():
            await node.start()

    async def kill_all(self) -> None:
        """Nothing of any node is left on return."""
        await asyncio.gather(*(node.kill("node") for node in self.nodes.values()))

    def _tell_nodes(self) -> None:
        for name, node in self.nodes.items():
            node.set_cuts(self._cuts.of(name))


async def serve(options: LabOptions, record: LabRecord) -> None:
    """Run the lab until SIGTERM, `lab down`, or the end of the watcher."""
    loop = asyncio.get_running_loop()
    children = Children()
    folder = lab_cgroup(os.getppid()) if options.cgroups else None
    cgroup = Cgroup.create(folder) if folder else None
    lab = Lab(options, record, children, cgroup)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, lab.ending.set)
    _end_with_watcher(loop, lab)
    if options.is_attached:
        loop.add_reader(sys.stdin.fileno(), lab.ending.set)
    try:
        async with ControlDoor(lab), FenceDoor(lab):
            await lab.start_all()
            _announce({"ok": True})
            await lab.ending.wait()
            await lab.kill_all()
    finally:
        if cgroup is not None:
            cgroup.kill()
            cgroup.remove()
        take_away(disk_folder(record.run_base))
        remove_sockets(record.run_base)
        _remove_sockets(record)


def _end_with_watcher(loop: asyncio.AbstractEventLoop, lab: Lab) -> None:
    """Without its watcher a killed launcher would leave things behind, so it does not go on without one."""
    try:
        descriptor = os.pidfd_open(os.getppid())
    except OSError:
        lab.ending.set()
        return

    def watcher_ended() -> None:
        loop.remove_reader(descriptor)
        lab.ending.set()

    loop.add_reader(descriptor, watcher_ended)


def _remove_sockets(record: LabRecord) -> None:
    for path in (record.control_socket, record.fence_socket):
        path.unlink(missing_ok=True)
    if record.run_base != record.dir:
        shutil.rmtree(record.run_base, ignore_errors=True)


def _announce(message: dict[str, Any]) -> None:
    """One line to whoever started us, then the launcher's output belongs to its log alone."""
    with contextlib.suppress(OSError):
        os.write(sys.stdout.fileno(), msgspec.json.encode(message) + b"\n")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


def _open(options: LabOptions) -> tuple[LabRecord, Ports]:
    """Check the options, become the one launcher of this name, and lay the foundation."""
    check_name(options.name)
    if options.profile not in PROFILES:
        raise BadInput(f"there is no profile {options.profile!r}", hint=f"profiles: {', '.join(PROFILES)}")
    if not 1 <= options.node_count <= NODE_COUNT_MAX:
        raise BadInput(f"a lab has 1 to {NODE_COUNT_MAX} nodes, not {options.node_count}", hint="try --nodes 3")
    root = lab_root()
    make_private(root)
    if not _takes_over_lock() and lock(root / f"{options.name}.lock") is None:
        raise Refused(f"lab {options.name} is running", hint=f"clusterctl --lab {options.name} lab down")
    ports = Ports.take(options.node_count)
    return lay(options, ports), ports


def _takes_over_lock() -> bool:
    """Whether the watcher holds it for both; no process of a node gets it."""
    if len(sys.argv) < 3:
        return False
    os.set_inheritable(int(sys.argv[2]), False)
    return True


def run() -> int:
    """Entry point: the options are one JSON object on standard input."""
    try:
        options = msgspec.json.decode(sys.stdin.buffer.readline(), type=LabOptions)
        record, ports = _open(options)
        with asyncio.Runner() as runner:
            runner.run(serve(options, record))
        ports.release()
    except (ClusterError, OSError, msgspec.DecodeError) as error:
        hint = error.hint if isinstance(error, ClusterError) else f"see {Path(lab_root())}"
        code = error.code if isinstance(error, ClusterError) else "error"
        _announce({"error": {"code": code, "message": str(error), "hint": hint}})
        print(f"{error}; {hint}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(run())
