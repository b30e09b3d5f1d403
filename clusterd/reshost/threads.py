"""In which thread does a plug-in call run? I/O.

Each call gets a thread at once, never a place behind a call that hangs; a few idle threads are kept for the next ones.
The threads are daemons: one that hangs cannot keep the process from ending.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any

from clusterd.adapters.call_record import CallRecord

BUSY_COUNT_MAX = 512
IDLE_COUNT_MAX = 4
STACK_SIZE = 512 << 10

_Job = tuple[Callable[[], Any], asyncio.Future[Any], int | None]


class TooManyCalls(Exception):
    """More plug-in calls are in flight than the host can hold."""


class CallThreads:
    """Threads on demand. To be used on the event loop only. Every call is written down in `record` while it is made."""

    def __init__(self, record: CallRecord) -> None:
        self.record = record
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._idle_count = 0
        self._busy_count = 0
        threading.stack_size(STACK_SIZE)

    @property
    def is_idle(self) -> bool:
        """No call into any resource type is under way."""
        return not self._busy_count

    def run(self, function: Callable[[], Any], *, resource: str, verb: str) -> asyncio.Future[Any]:
        """Run it in a thread. The future is not cancellable in effect: the thread goes on until the function returns."""
        if self._busy_count >= BUSY_COUNT_MAX:
            raise TooManyCalls(f"{self._busy_count} calls into resource types are in flight")
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._busy_count += 1
        if self._idle_count:
            self._idle_count -= 1
        else:
            threading.Thread(target=self._work, name="plug-in calls", daemon=True).start()
        self._jobs.put((function, answer, self.record.began(resource, verb)))
        return answer

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            function, answer, slot = job
            try:
                result, error = function(), None
            except BaseException as caught:  # the boundary to plug-in code: whatever it raises is its call's answer
                result, error = None, caught
            self.record.ended(slot)
            self._loop.call_soon_threadsafe(self._finish, answer, result, error)
            del job, function, answer, result, error

    def _finish(self, answer: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        self._busy_count -= 1
        if self._idle_count < IDLE_COUNT_MAX:
            self._idle_count += 1
        else:
            self._jobs.put(None)
        if answer.cancelled():
            return
        if error is None:
            answer.set_result(result)
        elif isinstance(error, Exception):
            answer.set_exception(error)
        else:
            answer.set_exception(RuntimeError(f"it raised {error!r}"))
