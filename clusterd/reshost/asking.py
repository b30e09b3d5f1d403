"""How is a workload asked to stop? I/O: on the host's event loop.

Everything in the containment is asked, not only the process that was started: that may be a shell which dies of the signal
and leaves the server behind, or which waits for the server and hands nothing on. What appears later is asked as well. A
service whose main process stops the others itself has only that one asked first, and the rest when it has ended.
"""

import asyncio
import signal
from collections.abc import Callable

from clusterd.adapters.boot_clock import now_ms
from clusterd.adapters.containment_proc import ProcessSeen, process, signal_process
from clusterd.reshost.workload import Workload

PROGRESS_EVERY_MAX_MS = 1000
_LOOK_FIRST_MS, _LOOK_MAX_MS = 2, 50


class Asking:
    """One stop of one workload."""

    def __init__(self, workload: Workload, number: int, *, everyone: bool) -> None:
        self._workload, self._number, self._everyone = workload, number, everyone
        self._asked: set[tuple[int, int]] = set()
        """By pid and start time, which stay the same when a process runs another program or gets another parent."""

    async def until_empty(self, grace_ms: int, on_progress: Callable[[str], None], *, progress_every_ms: int) -> bool:
        """Whether everything had ended by itself when the grace was over."""
        began_ms, look_ms, told_ms = now_ms(), _LOOK_FIRST_MS, now_ms()
        while members := await self._members():
            self._ask(members)
            left_ms = began_ms + grace_ms - now_ms()
            if left_ms <= 0:
                return False
            if now_ms() - told_ms >= min(progress_every_ms, PROGRESS_EVERY_MAX_MS):
                told_ms = now_ms()
                on_progress(f"waiting for {len(members)} processes to stop, {left_ms} ms more")
            await self._pause(min(look_ms, left_ms))
            look_ms = min(look_ms + 2, _LOOK_MAX_MS)
        return True

    async def _members(self) -> list[ProcessSeen]:
        return [seen for pid in await self._workload.members_now() if (seen := process(pid)) is not None]

    def _ask(self, members: list[ProcessSeen]) -> None:
        main = self._workload.main
        only = main.pid if main is not None and main.exit is None and not self._everyone else None
        for each in members:
            identity = (each.pid, each.start_ticks)
            if only not in (None, each.pid) or identity in self._asked:
                continue
            self._asked.add(identity)
            signal_process(each, self._number)
            signal_process(each, signal.SIGCONT)  # what stands still hears nothing else

    async def _pause(self, for_ms: int) -> None:
        main = self._workload.main
        if main is None or main.exit is not None:
            await asyncio.sleep(for_ms / 1000)
        else:
            await main.wait(for_ms)
