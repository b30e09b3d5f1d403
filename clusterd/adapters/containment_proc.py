"""Which processes are there, and whose are they? I/O: reads /proc, signals what is proven ours.

What cannot be looked at because this process holds too much already is no less there: that raises.

A pid alone proves nothing: it may belong to somebody else by the time a signal arrives. A process is identified by its pid
and start time, is signalled through a pidfd, and the start time is read again once that descriptor holds it.
"""

import errno
import os
import signal
from typing import NamedTuple

TAG_VARIABLE = "CLUSTERD_NODE_TAG"
_TAG = TAG_VARIABLE.encode() + b"="
_WE_CANNOT = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
_DEAD = (b"Z", b"X", b"x")


class ProcessSeen(NamedTuple):
    pid: int
    parent_pid: int
    start_ticks: int


def process(pid: int) -> ProcessSeen | None:
    """What runs under `pid` now; None for nothing, or for what has ended and is not reaped yet."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except OSError as error:
        if error.errno in _WE_CANNOT:
            raise
        return None
    fields = text[text.rindex(b")") + 2 :].split()
    if fields[0] in _DEAD:
        return None
    return ProcessSeen(pid, int(fields[1]), int(fields[19]))


def is_there(known: ProcessSeen) -> bool:
    """Whether exactly that process runs still."""
    now = process(known.pid)
    return now is not None and now.start_ticks == known.start_ticks


def processes() -> dict[int, ProcessSeen]:
    """Everything that runs on this machine, as far as we may see it."""
    found = (process(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return {each.pid: each for each in found if each is not None}


def tag_of(pid: int) -> str | None:
    """The containment tag in the environment with which `pid` was started."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            environment = file.read()
    except OSError as error:
        if error.errno in _WE_CANNOT:
            raise
        return None
    at = 0 if environment.startswith(_TAG) else environment.find(b"\0" + _TAG) + 1
    if not environment.startswith(_TAG, at):
        return None
    end = environment.find(b"\0", at)
    return environment[at + len(_TAG) : end if end >= 0 else None].decode(errors="replace")


def signal_process(seen: ProcessSeen, number: int = signal.SIGKILL) -> None:
    """Signal exactly that process; nothing happens when it has ended, whoever has its pid now."""
    try:
        descriptor = os.pidfd_open(seen.pid)
    except OSError:
        return
    try:
        again = process(seen.pid)
        if again is not None and again.start_ticks == seen.start_ticks:
            signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return
    finally:
        os.close(descriptor)


def own_children() -> list[int]:
    """The children of this (single-threaded) process, those that it inherited as a subreaper too."""
    own = os.getpid()
    try:
        with open(f"/proc/{own}/task/{own}/children", "rb") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:  # a kernel without CONFIG_PROC_CHILDREN
        return [each.pid for each in processes().values() if each.parent_pid == own]
