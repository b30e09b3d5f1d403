"""How is a process born inside its control group, bound to the life of its parent? I/O; for single-threaded processes only.

Moving a running process into a group is late (it may have forked by then; in 27 of 60 tries the command ran already) and
slow: after 50 ms without one, the kernel waits 5 to 8 ms for a grace period. `clone3` with CLONE_INTO_CGROUP has the child
there from the first instruction and costs no wait. Where the kernel or a sandbox refuses it, the child moves itself before
it runs anything, which is as safe and only slower.

The child runs Python until `execve`, which is why the caller must have no threads: nobody else can hold a lock then.

A child gets its standard descriptors and those it was meant to get. Everything else is closed in it, whatever its parent
holds and however that was opened: a descriptor that slips through is a door into the parent.
"""

import ctypes
import errno
import os
import signal
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from clusterd.adapters.process_limits import Rank, restore_descriptor_limit, take_oom_rank

_CLONE3 = 435  # the same number on every architecture
_CLONE_INTO_CGROUP = 0x2_0000_0000
_SET_PARENT_DEATH_SIGNAL = 1
_SET_CHILD_SUBREAPER = 36
_LIBC = ctypes.PyDLL(None, use_errno=True)
_FAILED_STATUS = 127
_DESCRIPTOR_MAX = (1 << 31) - 1


def become_subreaper() -> None:
    """Orphans below this process become its children, so that they can be found and waited for."""
    if _LIBC.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when its parent ends; ends at once when that has happened already."""
    if _LIBC.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent_pid:
        os._exit(_FAILED_STATUS)


def fork_into(cgroup: str | None) -> int:
    """Fork, with the child in `cgroup` from birth. Returns 0 in the child, its pid in the parent."""
    if cgroup is None:
        return os.fork()
    folder = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        pid = _clone_into(folder)
        if pid >= 0:
            return pid
        pid = os.fork()
        if pid == 0:
            _enter(folder)
        return pid
    finally:
        os.close(folder)


def _clone_into(folder: int) -> int:
    """-1 where clone3 is refused. Arguments: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls,
    set_tid, set_tid_size, cgroup."""
    arguments = struct.pack("=11Q", _CLONE_INTO_CGROUP, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, folder)
    return int(_LIBC.syscall(ctypes.c_long(_CLONE3), arguments, ctypes.c_size_t(len(arguments))))


def _enter(folder: int) -> None:
    """In the child: move into the group, or end. Running outside of it is not an answer."""
    try:
        procs = os.open("cgroup.procs", os.O_WRONLY | os.O_CLOEXEC, dir_fd=folder)
        os.write(procs, b"0")
        os.close(procs)
    except OSError:
        os._exit(_FAILED_STATUS)


class Birth(NamedTuple):
    """What a child becomes. `ids` are user, group and supplementary groups; None keeps the parent's."""

    path: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    cgroup: str | None = None
    working_directory: str | None = None
    ids: tuple[int, int, list[int]] | None = None
    standard: tuple[int, int, int] | None = None
    """Descriptors for standard input, output and error; None keeps the parent's."""
    kept: Sequence[int] = ()
    """Descriptors beside the standard ones that it is meant to get, under the same numbers."""
    descriptor_limit: int | None = None
    """Its soft limit; None keeps the parent's."""
    oom_rank: Rank | None = None


def bear(birth: Birth, report: int) -> int:
    """Start a child in its own session. When it cannot become what it should, it writes `stage:errno` to the descriptor
    `report` and ends; `report` closes by itself when it has become it. Returns its pid."""
    parent_pid = os.getpid()
    pid = fork_into(birth.cgroup)
    if pid == 0:
        _become(birth, report, parent_pid)
    return pid


def _become(birth: Birth, report: int, parent_pid: int) -> None:
    stage = "prepare"

    def at(name: str, step: Callable[[], object]) -> None:
        nonlocal stage
        stage = name
        step()

    try:
        at("session", os.setsid)
        at("signals", _default_signals)
        if birth.descriptor_limit is not None:
            restore_descriptor_limit(birth.descriptor_limit)
        if birth.oom_rank is not None:
            take_oom_rank(birth.oom_rank)
        if birth.standard is not None:
            for number, descriptor in enumerate(birth.standard):
                os.dup2(descriptor, number, inheritable=True)
        close_all_but(report, *birth.kept)
        for descriptor in birth.kept:
            os.set_inheritable(descriptor, True)
        if birth.ids is not None:
            user, group, groups = birth.ids
            at("user", lambda: _become_user(user, group, groups))
        if birth.working_directory is not None:
            folder = birth.working_directory
            at("working-directory", lambda: os.chdir(folder))
        at("parent", lambda: die_with_parent(parent_pid))  # after the change of user, which clears it
        at("execute", lambda: os.execve(birth.path, list(birth.argv), dict(birth.environment)))
    except OSError as error:
        os.write(report, f"{stage}:{error.errno}".encode())
    except BaseException:  # a text that is no C string, say
        os.write(report, f"{stage}:{errno.EINVAL}".encode())
    finally:
        os._exit(_FAILED_STATUS)


def close_all_but(*kept: int) -> None:
    """Beside standard input, output and error."""
    low = 3
    for descriptor in sorted(kept):
        os.closerange(low, descriptor)
        low = max(descriptor + 1, low)
    os.closerange(low, _DESCRIPTOR_MAX)


def _become_user(user: int, group: int, groups: list[int]) -> None:
    os.setgroups(groups)
    os.setgid(group)
    os.setuid(user)


def _default_signals() -> None:
    """Python ignores some signals, and what is ignored stays ignored after execve."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
