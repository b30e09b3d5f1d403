"""How do control groups contain a workload? I/O: cgroup v2 with `cgroup.kill` (Linux 5.14).

One write kills a whole subtree, also processes that are being forked at that moment, and `populated 0` proves it empty.
No controllers are switched on, so a group may hold processes and groups at once.
"""

import contextlib
import errno
import os
from typing import TextIO

from clusterd.adapters.containment_proc import process


def usable_cgroup() -> str | None:
    """Where this process may make groups below which everything can be killed at once: its own group, or the root."""
    mount = _mount_point()
    own = _own_path()
    if mount is None or own is None:
        return None
    at = os.path.normpath(os.path.join(mount, own.lstrip("/")))
    trial = os.path.join(at, f"clusterd-trial-{os.getpid()}")
    try:
        os.mkdir(trial)
    except OSError:
        return None
    try:
        may_kill = os.access(os.path.join(trial, "cgroup.kill"), os.W_OK)
        may_enter = os.access(os.path.join(at, "cgroup.procs"), os.W_OK)
    finally:
        os.rmdir(trial)
    return at if may_kill and may_enter else None


def group_path(group: str) -> str:
    """The folder of a group that is named from the root of the hierarchy. Raises OSError when it could not be killed."""
    mount = _mount_point()
    if mount is None:
        raise OSError("there is no cgroup v2 hierarchy on this node")
    path = os.path.normpath(os.path.join(mount, group.lstrip("/")))
    if not path.startswith(mount + os.sep):
        raise OSError(f"{group!r} is no control group below the root")
    if not os.access(os.path.join(mount, "cgroup.procs"), os.W_OK):
        raise OSError(f"only a node that runs as root may kill {group}")
    return path


def _mount_point() -> str | None:
    """The cgroup2 mount: /sys/fs/cgroup, or /sys/fs/cgroup/unified beside the old hierarchies."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            before, _, after = line.partition(" - ")
            if after.startswith("cgroup2 "):
                return before.split()[4]
    return None


def _own_path() -> str | None:
    with open("/proc/self/cgroup", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            if line.startswith("0::"):
                return line[3:].rstrip("\n")
    return None


def _open_procs(folder: str) -> TextIO:
    """Raises FileNotFoundError for a group that is gone, also while it goes (ENODEV)."""
    try:
        return open(os.path.join(folder, "cgroup.procs"), encoding="ascii")
    except OSError as error:
        if error.errno == errno.ENODEV:
            raise FileNotFoundError(folder) from error
        raise


class CgroupScope:
    """One control group and everything below it."""

    def __init__(self, path: str) -> None:
        self._path = path

    def create(self) -> None:
        os.makedirs(self._path, exist_ok=True)

    def birthplace(self) -> str:
        return self._path

    def members(self) -> list[int]:
        found: list[int] = []
        for folder, _, _ in os.walk(self._path):
            gone = contextlib.suppress(FileNotFoundError, NotADirectoryError, ProcessLookupError)
            with gone, _open_procs(folder) as file:
                found += [int(line) for line in file]
        return sorted(pid for pid in found if process(pid) is not None)

    def kill(self) -> None:
        with contextlib.suppress(FileNotFoundError), open(os.path.join(self._path, "cgroup.kill"), "w") as file:
            file.write("1")

    def is_empty(self) -> bool:
        try:
            with open(os.path.join(self._path, "cgroup.events"), encoding="ascii") as file:
                return "populated 0" in file.read()
        except OSError:  # it went while it was read, or was never there
            return not os.path.isdir(self._path)

    def remove(self) -> None:
        """Groups that the kernel still holds stay behind, empty; the next guard of this node removes them."""
        for folder, _, _ in os.walk(self._path, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
