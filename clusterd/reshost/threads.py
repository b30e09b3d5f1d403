"""In which thread does a plug-in call run? I/O.

Each call gets a thread at once, never a place behind a call that hangs; a few idle threads are kept for the next ones.
The threads are daemons: one that hangs cannot keep the process from ending.
"""

import asyncio
import queue
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from clusterd.adapters.call_record import CallRecord

BUSY_COUNT_MAX = 512
"""Of starts and moves. Each kind of call has a bound of its own, so that none takes the place of another."""
CHECKS_BUSY_MAX = 512
QUESTIONS_BUSY_MAX = 64
STOPS_BUSY_MAX = 8192
"""As good as none: a stop never waits for anything else."""
IDLE_COUNT_MAX = 4
STACK_SIZE = 512 << 10

_Job = tuple[Callable[[], Any], asyncio.Future[Any], int | None, str]


_STOPS = ("offline", "terminate", "close", "abandon_migration", "resume_after_migration")
_CHECKS = ("looks_alive", "is_alive")
_CHANGES = ("open", "online", "prepare_migration", "migrate", "fence")


def _bound_of(verb: str) -> tuple[str, int]:
    """What sort of call it is, and how many of those there may be at a time. What is no verb of ours is a question."""
    if verb in _STOPS:
        return "stops", STOPS_BUSY_MAX
    if verb in _CHECKS:
        return "checks", CHECKS_BUSY_MAX
    return ("starts", BUSY_COUNT_MAX) if verb in _CHANGES else ("questions", QUESTIONS_BUSY_MAX)


class TooManyCalls(Exception):
    """More plug-in calls are in flight than the host can hold."""


class CallThreads:
    """Threads on demand. To be used on the event loop only. Every call is written down in `record` while it is made."""

    def __init__(self, record: CallRecord) -> None:
        self.record = record
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._idle_count = 0
        self._busy: Counter[str] = Counter()
        threading.stack_size(STACK_SIZE)

    @property
    def is_idle(self) -> bool:
        """No call into any resource type is under way."""
        return not self._busy.total()

    def run(self, function: Callable[[], Any], *, resource: str, verb: str) -> asyncio.Future[Any]:
        """Run it in a thread. The future is not cancellable in effect: the thread goes on until the function returns."""
        sort, most = _bound_of(verb)
        if self._busy[sort] >= most:
            raise TooManyCalls(f"{self._busy[sort]} {sort} of resource types are in flight and have not returned")
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._busy[sort] += 1
        if self._idle_count:
            self._idle_count -= 1
        else:
            threading.Thread(target=self._work, name="plug-in calls", daemon=True).start()
        self._jobs.put((function, answer, self.record.began(resource, verb), sort))
        return answer

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            function, answer, slot, sort = job
            try:
                result, error = function(), None
            except BaseException as caught:  # the boundary to plug-in code: whatever it raises is its call's answer
                result, error = None, caught
            self.record.ended(slot)
            self._loop.call_soon_threadsafe(self._finish, sort, answer, result, error)
            del job, function, answer, result, error

    def _finish(self, sort: str, answer: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        self._busy[sort] -= 1
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
