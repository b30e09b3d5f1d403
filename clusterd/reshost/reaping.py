"""Who waits for the processes that lost their parent? I/O: the host, which is their subreaper.

What a workload starts and leaves becomes a child of the host; without this it would stay a zombie after its end.
"""

import asyncio
import os
import signal


class OrphanReaper:
    """Reaps every child but the spawner."""

    def __init__(self, spawner_pid: int) -> None:
        self._spawner_pid = spawner_pid
        self._loop = asyncio.get_running_loop()
        self._loop.add_signal_handler(signal.SIGCHLD, self._reap)

    def close(self) -> None:
        self._loop.remove_signal_handler(signal.SIGCHLD)

    def _reap(self) -> None:
        while True:
            try:
                seen = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if seen is None or seen.si_pid == self._spawner_pid:
                    return  # the spawner's end is seen on its socket, and is the end of the host
                os.waitpid(seen.si_pid, os.WNOHANG)
            except ChildProcessError:
                return
