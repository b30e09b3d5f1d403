"""Who kills the workloads when the guard itself is killed? I/O.

The kernel kills the guard's hosts with it, and through them the processes that they started, but not what those processes
started in turn. So the guard forks a shadow: a process that only waits for the guard's end, then kills what is left of the
node, proves it gone, and ends. The shadow holds the guard's lock meanwhile, so the next guard starts after it.
"""

import os
import select
import signal
import sys
import time

from clusterd.adapters.containment import NodeContainment

LOOK_AGAIN_S = 0.002


def start_shadow(containment: NodeContainment, kept: tuple[int, ...]) -> int:
    """Fork it; for a process without threads. `kept` are the descriptors that it holds on to: the lock."""
    guard_pid = os.getpid()
    guard = os.pidfd_open(guard_pid)
    pid = os.fork()
    if pid:
        os.close(guard)
        return pid
    try:
        _close_all_but(guard, *kept)
        _watch(guard, guard_pid, containment)
    finally:
        os._exit(0)


def _watch(guard: int, guard_pid: int, containment: NodeContainment) -> None:
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends with the guard, not before
    waiting = select.poll()
    waiting.register(guard, select.POLLIN)
    while os.getppid() == guard_pid and not waiting.poll():
        continue
    end_everything(containment)


def end_everything(containment: NodeContainment) -> None:
    """Kill whatever runs of the node, until nothing does."""
    for scope in (containment.node(), containment.strays()):
        while not scope.is_empty():
            scope.kill()
            time.sleep(LOOK_AGAIN_S)
        scope.remove()


def _close_all_but(*kept: int) -> None:
    low = 3
    for descriptor in sorted(kept):
        os.closerange(low, descriptor)
        low = descriptor + 1
    os.closerange(low, os.sysconf("SC_OPEN_MAX"))
    sys.stdin = None
