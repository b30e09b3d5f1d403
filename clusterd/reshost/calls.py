"""Which call into a resource type is under way, and what becomes of one that does not return? I/O: on the event loop."""

import asyncio
from collections.abc import Callable
from typing import Any

from clusterd.adapters.boot_clock import now_ms
from clusterd.reshost.context import CallContext
from clusterd.reshost.plugin_call import PendingTimedOut, PluginCall
from clusterd.reshost.threads import CallThreads

_START_AND_STOP = ("online", "offline", "terminate")


class Calls:
    """The calls of one resource, one at a time: the caller sees to that."""

    def __init__(self, name: str, threads: CallThreads, on_hung: Callable[[str], None]) -> None:
        self.in_flight: PluginCall | None = None
        """Also one that was given up, until its thread is back."""
        self.warned = ""
        """What the last start or stop warned of."""
        self._name = name
        self._threads = threads
        self._on_hung = on_hung
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(
        self,
        verb: str,
        context: CallContext,
        method: Callable[[CallContext], Any],
        *,
        pending_timeout_ms: int | None,
        deadlock_timeout_ms: int,
    ) -> Any:
        """Call `method` in a thread. Raises what it raised, `PendingTimedOut` or `CallHung`."""
        if verb in _START_AND_STOP:
            self.warned = ""
        flight = PluginCall(verb, context, method, self._threads)
        self.in_flight = flight
        flight.returned.add_done_callback(lambda _: self._came_back(flight))
        try:
            return await flight.outcome(pending_timeout_ms=pending_timeout_ms, deadlock_timeout_ms=deadlock_timeout_ms)
        except PendingTimedOut:
            self._watch_stuck(flight, flight.started_ms + deadlock_timeout_ms)
            raise
        except asyncio.CancelledError:
            flight.cancel()
            raise
        finally:
            if verb in _START_AND_STOP:
                self.warned = context.told
            if flight.returned.done():
                self._came_back(flight)

    def take_warning(self) -> str:
        """What an operator must know of the start or stop that just succeeded; told once."""
        warned, self.warned = self.warned, ""
        return warned

    def _came_back(self, flight: PluginCall) -> None:
        if self.in_flight is flight:
            self.in_flight = None

    def _watch_stuck(self, flight: PluginCall, until_ms: int) -> None:
        """A call that was given up still has until the deadlock time-out to return."""

        async def watch() -> None:
            if not await flight.comes_back(max(until_ms - now_ms(), 0)):
                self._on_hung(f"{flight.verb} of {self._name} never returned; the resource host must be killed")

        task = asyncio.get_running_loop().create_task(watch(), name=f"stuck {flight.verb} of {self._name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
