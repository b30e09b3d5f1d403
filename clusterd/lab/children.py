"""How does the launcher start processes, and learn that they ended? I/O.

The launcher is a subreaper: orphans of its children become its children, so it reaps whatever the kernel hands it, not
only what it started. A child is signalled only before it was reaped, so its pid is still its own.
"""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from clusterd.lab.cgroups import Cgroup
from clusterd.lab.processes import start_ticks_of

PR_SET_CHILD_SUBREAPER = 36
ENTER = Path(__file__).with_name("enter.py")


class Child:
    """A process that the launcher started itself. `exit_code` is negative for a signal, None while it lives."""

    def __init__(self, pid: int, name: str, arguments: Sequence[str]) -> None:
        self.pid = pid
        self.name = name
        self.arguments = list(arguments)
        self.start_ticks = start_ticks_of(pid)
        self.exit_code: int | None = None
        self.ended = asyncio.Event()

    @property
    def is_alive(self) -> bool:
        return self.exit_code is None

    def signal(self, number: signal.Signals) -> None:
        """Signal it, unless it has ended."""
        if self.is_alive:
            os.kill(self.pid, number)

    async def wait_ended(self, *, wait_max_ms: int) -> bool:
        """Whether it ended in time."""
        try:
            async with asyncio.timeout(wait_max_ms / 1000):
                await self.ended.wait()
        except TimeoutError:
            return False
        return True


class Children:
    """All processes started here. Used by one event loop."""

    def __init__(self) -> None:
        self._alive: dict[int, Child] = {}
        self._reaped = asyncio.Event()
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self.reap)

    @property
    def pids(self) -> frozenset[int]:
        return frozenset(self._alive)

    def spawn(
        self, command: Sequence[str], *, environment: Mapping[str, str], log: Path, cgroup: Cgroup | None
    ) -> Child:
        """Start `command` in a session of its own, its output appended to `log`. It dies with the launcher.

        Called on the main thread only: the kernel ties the parent-death signal to the thread that started the child.
        """
        entered = [sys.executable, "-I", "-S", str(ENTER), str(os.getpid()), str(cgroup.folder) if cgroup else ""]
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        pid = os.posix_spawn(
            sys.executable,
            [*entered, "--", *command],
            dict(environment),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
        )
        child = Child(pid, log.stem, command)
        self._alive[pid] = child
        return child

    def reap(self) -> None:
        """Take note of every child that ended. Also called directly, where an answer must not be older than now."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            self._note_end(pid, os.waitstatus_to_exitcode(status))
        self._reaped.set()
        self._reaped = asyncio.Event()

    async def wait_change(self, *, wait_max_ms: int) -> None:
        """Return when something ended, or after the time."""
        try:
            async with asyncio.timeout(wait_max_ms / 1000):
                await self._reaped.wait()
        except TimeoutError:
            return

    def _note_end(self, pid: int, exit_code: int) -> None:
        child = self._alive.pop(pid, None)
        if child is None:
            return  # an orphan of somebody below
        child.exit_code = exit_code
        child.ended.set()
