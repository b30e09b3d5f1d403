"""Who keeps hold of what a workload leaves, where no control group can be made? I/O: a small process, without threads.

Each process that the spawner starts there gets a keeper as its parent: a subreaper. Whatever the process starts, however
often that forks away and whatever environment it takes on, it stays below its keeper, and so belongs to the resource for
which the keeper was made. The keeper ends when nothing is left below it, and nobody ends it before: its end would set them
free.

It dies with the spawner, and the process that it started dies with it; what forked away falls to the host then, or to the
guard, which end it with themselves.
"""

import contextlib
import errno
import gc
import os
import signal
import socket
import struct
from dataclasses import dataclass

from clusterd.adapters.containment_fork import Birth, bear, become_subreaper, close_all_but, die_with_parent
from clusterd.adapters.containment_proc import ProcessSeen, process

_NUMBER = struct.Struct("=q")
KILLED = int(signal.SIGKILL)


@dataclass(slots=True)
class Keeper:
    """The spawner's end of one."""

    pid: int
    seen: ProcessSeen
    link: socket.socket
    child: int

    def ended_with(self) -> int:
        """The wait status of the process, once the link can be read. A keeper that was killed took it along."""
        try:
            said = self.link.recv(_NUMBER.size)
        except OSError:
            said = b""
        return int(_NUMBER.unpack(said)[0]) if len(said) == _NUMBER.size else KILLED


def keep(birth: Birth, report: int) -> Keeper:
    """Start the process below a keeper of its own. `report` as for `bear`. Raises OSError when nothing could be started."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    spawner = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            _keep(birth, report, theirs, spawner)
        finally:
            os._exit(0)
    theirs.close()
    try:
        said = ours.recv(_NUMBER.size)
        child = int(_NUMBER.unpack(said)[0]) if len(said) == _NUMBER.size else -1
        seen = process(pid)
        if child <= 0 or seen is None:
            error = -child if child < 0 else errno.ESRCH
            raise OSError(error, os.strerror(error))
    except OSError:
        ours.close()
        _end(pid)
        raise
    return Keeper(pid, seen, ours, child)


def go_on(keeper: Keeper) -> None:
    """The spawner has a descriptor of the process: it may be reaped from now on."""
    with contextlib.suppress(OSError):
        keeper.link.send(b"!")


def give_up(keeper: Keeper) -> None:
    """Instead of `go_on`: its process is not to run."""
    keeper.link.close()
    _end(keeper.pid)


def _end(pid: int) -> None:
    """Not reaped yet, so it is this one; its process, which it has not reaped either, dies with it."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _keep(birth: Birth, report: int, link: socket.socket, spawner: int) -> None:
    gc.disable()  # what the spawner has stays shared with it
    signal.set_wakeup_fd(-1)
    os.setsid()
    become_subreaper()
    close_all_but(report, link.fileno(), *(each for each in birth.standard or () if each > 2))
    die_with_parent(spawner)
    try:
        child = bear(birth, report)
    except OSError as error:
        link.send(_NUMBER.pack(-(error.errno or 1)))
        return
    close_all_but(link.fileno())
    link.send(_NUMBER.pack(child))
    link.recv(1)
    while True:
        try:
            pid, status = os.wait()
        except ChildProcessError:
            return
        if pid == child:
            with contextlib.suppress(OSError):
                link.send(_NUMBER.pack(status))
            child = 0
