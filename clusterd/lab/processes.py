"""Which processes are there, and whose? I/O.

A process is named by its pid *and* its start time, and signalled through a pidfd that was compared with both: a pid alone
may have been given to a stranger in the meantime.
"""

import contextlib
import os
import signal
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

STOPPED_STATES = frozenset("Tt")
DEAD_STATES = frozenset("ZXx")


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """One process at one moment, as /proc/<pid>/stat shows it."""

    pid: int
    parent_pid: int
    state: str
    thread_count: int
    start_ticks: int

    @property
    def is_alive(self) -> bool:
        """A zombie runs nothing, unless only its first thread has ended."""
        return self.state not in DEAD_STATES or self.thread_count > 1

    @property
    def is_stopped(self) -> bool:
        return self.state in STOPPED_STATES


Snapshot = Mapping[int, ProcessInfo]


def snapshot() -> dict[int, ProcessInfo]:
    """Every process of this machine (of this pid namespace)."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (info := process_info(int(name))):
            found[info.pid] = info
    return found


def process_info(pid: int) -> ProcessInfo | None:
    """What is known of `pid` now; None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            content = file.read()
    except OSError:
        return None
    fields = content[content.rindex(b")") + 2 :].split()
    return ProcessInfo(pid, int(fields[1]), chr(fields[0][0]), int(fields[17]), int(fields[19]))


def start_ticks_of(pid: int) -> int | None:
    """When `pid` started, in ticks since boot; None when nothing runs under it."""
    info = process_info(pid)
    return info.start_ticks if info and info.is_alive else None


def descendants(seen: Snapshot, roots: Iterable[int]) -> list[ProcessInfo]:
    """`roots` and everything below them, parents before children."""
    children: dict[int, list[int]] = {}
    for info in seen.values():
        children.setdefault(info.parent_pid, []).append(info.pid)
    queue = [pid for pid in roots if pid in seen]
    reached = set(queue)
    for pid in queue:
        fresh = [child for child in children.get(pid, ()) if child not in reached]
        reached.update(fresh)
        queue.extend(fresh)
    return [seen[pid] for pid in queue]


def environment_value(pid: int, name: str) -> str | None:
    """A variable that `pid` was started with; None when it has none, or cannot be read."""
    try:
        content = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return None
    prefix = name.encode() + b"="
    found = (each for each in content.split(b"\0") if each.startswith(prefix))
    value = next(found, None)
    return os.fsdecode(value[len(prefix) :]) if value is not None else None


def command_line(pid: int) -> list[str]:
    """The arguments of `pid`; empty for a zombie, or when there is no such process."""
    try:
        content = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return []
    return [os.fsdecode(each) for each in content.split(b"\0")[:-1]]


def send_signal(target: ProcessInfo, number: signal.Signals) -> bool:
    """Signal exactly the process that `target` names. False when it is gone; its pid may be a stranger's by now."""
    try:
        descriptor = os.pidfd_open(target.pid)
    except OSError:
        return False
    try:
        now = process_info(target.pid)
        if now is None or now.start_ticks != target.start_ticks:
            return False
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, number)
            return True
        return False
    finally:
        os.close(descriptor)


def alive(infos: Iterable[ProcessInfo], *, without: Collection[int] = ()) -> list[ProcessInfo]:
    """Those that still run something, without some pids."""
    return [each for each in infos if each.is_alive and each.pid not in without]
