"""Can this lab put its nodes into control groups, and so end one with a single order? I/O.

Cgroup v2 with `cgroup.kill` (Linux 5.14) ends a whole tree at once. Where the launcher may not make groups, everything
works without: processes are then found as descendants of the launcher.
"""

import contextlib
import os
import time
from pathlib import Path

from clusterd.adapters.containment_cgroup import usable_cgroup

REMOVE_WAIT_MS = 200


def lab_cgroup(watcher_pid: int) -> Path | None:
    """Where the group of the lab with this watcher is, or would be."""
    own = usable_cgroup()
    return Path(own) / f"clusterd-lab-{watcher_pid}" if own else None


class Cgroup:
    """One group of processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def create(cls, folder: Path) -> "Cgroup | None":
        """An empty group that can be killed as a whole; None where that is not allowed or not possible."""
        try:
            folder.mkdir(exist_ok=True)
        except OSError:
            return None
        if cls(folder).pids():
            return None
        if os.access(folder / "cgroup.kill", os.W_OK) and os.access(folder / "cgroup.procs", os.W_OK):
            return cls(folder)
        with contextlib.suppress(OSError):
            folder.rmdir()
        return None

    def child(self, name: str) -> "Cgroup | None":
        return Cgroup.create(self.folder / name)

    def kill(self) -> None:
        """SIGKILL for every process in it and below, also for those being forked at this moment."""
        with contextlib.suppress(OSError):
            (self.folder / "cgroup.kill").write_text("1", encoding="ascii")

    def pids(self) -> set[int]:
        """Everything in it and below."""
        found: set[int] = set()
        for path in self.folder.rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                found.update(int(line) for line in path.read_text(encoding="ascii").split())
        return found

    def remove(self) -> None:
        """Remove the emptied group. The kernel lets go of the last process a moment after its end."""
        until_ns = time.monotonic_ns() + REMOVE_WAIT_MS * 1_000_000
        while not self._try_remove() and time.monotonic_ns() < until_ns:
            time.sleep(0.005)

    def _try_remove(self) -> bool:
        for folder, _, _ in os.walk(self.folder, topdown=False):
            try:
                os.rmdir(folder)
            except FileNotFoundError:
                continue
            except OSError:
                return False
        return True
