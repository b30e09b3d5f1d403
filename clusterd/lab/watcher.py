"""Who cleans up when the launcher itself is killed? I/O.

`python -m clusterd.lab.watcher NAME`, the launcher's parent. It is a subreaper, so whatever the launcher leaves behind
becomes its child, however often it forked. When the launcher has ended it kills its children until the kernel says that
there are none: that answer is proof that nothing of the lab runs any more. Then the mounts go that it left.

SIGTERM, SIGINT and SIGHUP are passed on to the launcher as SIGTERM. If the watcher is killed, the launcher takes the lab
down (see launcher.py).
"""

import contextlib
import ctypes
import os
import signal
import sys
import time

from clusterd.lab.cgroups import Cgroup, lab_cgroup
from clusterd.lab.locks import lab_root, lock
from clusterd.lab.processes import snapshot

PR_SET_CHILD_SUBREAPER = 36
NO_PROCESS = 0
ASKED_TO_END = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})


def main(name: str) -> int:
    """Start the launcher, outlive it, and end with its exit code."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, ASKED_TO_END)
    command = [sys.executable, "-m", "clusterd.lab.launcher", name, *_lock_for_both(name)]
    launcher_pid = os.posix_spawn(command[0], command, os.environ, setsigmask=[])

    def pass_on(number: int, frame: object) -> None:
        os.kill(launcher_pid, signal.SIGTERM)  # our child, not yet waited for: the pid is still its own

    for number in ASKED_TO_END:
        signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ASKED_TO_END)
    code = os.waitstatus_to_exitcode(_wait_for(launcher_pid))
    _sweep()
    _take_away(name)
    return code if code >= 0 else 128 - code


def _lock_for_both(name: str) -> list[str]:
    """The lab's lock, held by the launcher and by this process, which outlives it: nobody removes or makes anew what may
    still be written to. Empty: the launcher finds out, and says, why there is none."""
    held = lock(lab_root() / f"{name}.lock")
    if held is None:
        from clusterd.lab.layout import LOCK_WAIT_MAX_MS, lock_when_over

        held = lock_when_over(name, within_ms=LOCK_WAIT_MAX_MS)
    if held is None:
        return []
    os.set_inheritable(held, True)
    return [str(held)]


def _wait_for(launcher_pid: int) -> int:
    """Reap everything until the launcher ends. Its own zombie is left until the handlers cannot fire any more."""
    while True:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        if ended is not None and ended.si_pid == launcher_pid:
            signal.pthread_sigmask(signal.SIG_BLOCK, ASKED_TO_END)
            return os.waitpid(launcher_pid, 0)[1]
        if ended is not None:
            os.waitpid(ended.si_pid, 0)


def _sweep() -> None:
    """Kill and reap until no child is left; what a child leaves behind becomes a child in turn."""
    folder = lab_cgroup(os.getpid())
    group = Cgroup(folder) if folder is not None and folder.is_dir() else None
    if group is not None:
        group.kill()
    pause_s = 0.001
    while True:
        for info in snapshot().values():
            if info.parent_pid == os.getpid():
                with contextlib.suppress(PermissionError):  # one that changed its user: wait for its end
                    os.kill(info.pid, signal.SIGKILL)  # our child, not yet waited for
        try:
            while os.waitpid(-1, os.WNOHANG)[0] != NO_PROCESS:
                pause_s = 0.001
        except ChildProcessError:
            break
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, 0.1)
    if group is not None:
        group.remove()


def _take_away(name: str) -> None:
    from clusterd.lab.layout import find_lab  # here, for a lab's start waits for this process
    from clusterd.lab.leftovers import disk_folder, take_away
    from clusterd.model.errors import NotFound

    with contextlib.suppress(NotFound):
        take_away(disk_folder(find_lab(name).run_base))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
