"""What belongs to one run of a node, and how is all of it ended? I/O.

A run begins when a fully stopped node is started and ends when nothing of it is left; it has an id that never returns.
Everything of a run descends from its guard or its daemon, or was left behind by them. What was left behind becomes a child
of the launcher, and is known by its control group, by the tag in its environment, by having been seen below the guard
earlier, or, when it hides all of these, by having no living guard to belong to.
"""

import asyncio
import os
from collections.abc import Callable, Iterable
from signal import Signals

from clusterd.adapters.configuration import RUN_ID_VARIABLE
from clusterd.lab.cgroups import Cgroup
from clusterd.lab.children import Child, Children
from clusterd.lab.processes import (
    ProcessInfo,
    Snapshot,
    alive,
    command_line,
    descendants,
    environment_value,
    send_signal,
    snapshot,
)

KILL_WAIT_MAX_MS = 5_000
STOP_SIGNAL_WAIT_MAX_MS = 2_000
LOOK_AGAIN_MS = 3


class Run:
    """One run of a node. `is_ordered_end` says that a person asked for its end, and how."""

    def __init__(self, node: str, run_id: str, children: Children, cgroup: Cgroup | None) -> None:
        self.node = node
        self.run_id = run_id
        self.guard: Child | None = None
        self.daemon: Child | None = None
        self.cgroup = cgroup
        self.end_word = ""
        self._children = children
        self._seen: dict[int, int] = {}
        self._killing: asyncio.Task[bool] | None = None

    @property
    def has_living_guard(self) -> bool:
        return self.guard is not None and self.guard.is_alive

    @property
    def has_living_daemon(self) -> bool:
        return self.daemon is not None and self.daemon.is_alive

    def members(self, seen: Snapshot | None = None) -> list[ProcessInfo]:
        """Every process of this run that still executes anything, parents first."""
        seen = snapshot() if seen is None else seen
        found = alive(descendants(seen, self._roots(seen)))
        self._seen = {info.pid: info.start_ticks for info in found}
        return found

    def hosts(self, seen: Snapshot, mark: str) -> list[ProcessInfo]:
        """Its resource hosts."""
        below = alive(descendants(seen, [self.guard.pid])[1:]) if self.guard and self.guard.is_alive else []
        return [each for each in below if mark in command_line(each.pid)]

    def own_parts(self, members: Iterable[ProcessInfo], spawner_mark: str) -> set[int]:
        """Processes of clusterd itself beside daemon, guard and hosts: the guard's shadow, which has its very
        arguments, and the spawners of the hosts.
        """
        shadow = self.guard.arguments if self.guard else []
        lines = {each.pid: command_line(each.pid) for each in members}
        return {
            pid for pid, line in lines.items() if line == shadow or any(word.endswith(spawner_mark) for word in line)
        }

    async def kill(self) -> bool:
        """End all of it at once. True when it is proven that nothing is left; callers share one attempt."""
        if self._killing is None or self._killing.done():
            self._killing = asyncio.create_task(self._kill_all(), name=f"kill {self.node} {self.run_id}")
        return await asyncio.shield(self._killing)

    async def wait_kill(self, *, wait_max_ms: int) -> None:
        """Give a kill that is under way a moment to finish, so that an answer need not be 'not yet'."""
        if self._killing is not None and not self._killing.done():
            await asyncio.wait([self._killing], timeout=wait_max_ms / 1000)

    async def kill_leftovers(self) -> bool:
        """End what a dead guard left behind; the daemon goes on."""
        daemon_pid = {self.daemon.pid} if self.daemon and self.daemon.is_alive else set()
        return await self._until_none(lambda: alive(self.members(), without=daemon_pid))

    async def stop_all(self) -> bool:
        """SIGSTOP for everything, until a look finds nothing that still runs."""
        until = _now() + STOP_SIGNAL_WAIT_MAX_MS / 1000
        while _now() < until:
            moving = [each for each in self.members() if not each.is_stopped]
            if not moving:
                return True
            signal_all(moving, Signals.SIGSTOP)
            await asyncio.sleep(LOOK_AGAIN_MS / 1000)
        return False

    def continue_all(self) -> None:
        signal_all(self.members(), Signals.SIGCONT)

    def note_members(self) -> None:
        """Remember what is below the guard now, before something happens to the guard."""
        self.members()

    def forget(self) -> None:
        """Give back what an ended run still holds."""
        if self.cgroup is not None:
            self.cgroup.remove()

    async def _kill_all(self) -> bool:
        if self.cgroup is not None:
            self.cgroup.kill()
        for child in (self.guard, self.daemon):
            if child is not None:
                child.signal(Signals.SIGKILL)
        return await self._until_none(self.members)

    async def _until_none(self, look: Callable[[], list[ProcessInfo]]) -> bool:
        until = _now() + KILL_WAIT_MAX_MS / 1000
        while True:
            self._children.reap()
            left = look()
            if not left:
                return True
            if _now() > until:
                return False
            signal_all(left, Signals.SIGKILL)
            await self._children.wait_change(wait_max_ms=LOOK_AGAIN_MS)

    def _roots(self, seen: Snapshot) -> list[int]:
        roots = [child.pid for child in (self.guard, self.daemon) if child is not None and child.is_alive]
        roots += [pid for pid, ticks in self._seen.items() if pid in seen and seen[pid].start_ticks == ticks]
        if self.cgroup is not None:
            roots += sorted(self.cgroup.pids())
        return roots + [each.pid for each in self._orphans(seen) if self._is_mine(each)]

    def _orphans(self, seen: Snapshot) -> Iterable[ProcessInfo]:
        started_here = self._children.pids
        return (each for each in seen.values() if each.parent_pid == os.getpid() and each.pid not in started_here)

    def _is_mine(self, orphan: ProcessInfo) -> bool:
        """An orphan without a tag belongs to nobody who lives: a living guard would have become its parent."""
        tag = environment_value(orphan.pid, RUN_ID_VARIABLE)
        return tag == self.run_id or (tag is None and not self.has_living_guard)


def signal_all(targets: Iterable[ProcessInfo], number: Signals) -> None:
    for each in targets:
        send_signal(each, number)


def _now() -> float:
    return asyncio.get_running_loop().time()
