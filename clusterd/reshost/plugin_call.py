"""How long may a call into a resource type take, and what if it takes longer? I/O: on the host's event loop.

Two clocks run. The pending time-out starts afresh with every progress report; when it runs out the call has failed and is
told to give up. The deadlock time-out covers the whole call; when it runs out the thread counts as hung, and only the end
of the process gets rid of it.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from clusterd.adapters.boot_clock import now_ms
from clusterd.reshost.context import CallContext
from clusterd.reshost.threads import CallThreads
from clusterd.reshost.uncontained import judged


class PendingTimedOut(Exception):
    """No progress for the pending time-out; the call was told to give up, its thread may still be at it."""


class CallHung(Exception):
    """The thread did not come back within the deadlock time-out."""


class PluginCall:
    """One call in flight. `returned` is done when the plug-in's code has come back, however that ended."""

    def __init__(
        self, verb: str, context: CallContext, function: Callable[[CallContext], Any], threads: CallThreads
    ) -> None:
        self.verb, self.context = verb, context
        self.started_ms = now_ms()
        self.returned = threads.run(
            lambda: judged(verb, lambda: function(context)), resource=context.resource, verb=verb
        )
        self.returned.add_done_callback(_look_at_outcome)

    def cancel(self) -> None:
        self.context.cancel()

    async def outcome(self, *, pending_timeout_ms: int | None, deadlock_timeout_ms: int) -> Any:
        """What the plug-in returned. Raises what it raised, `PendingTimedOut` or `CallHung`."""
        while True:
            hung_at_ms = self.started_ms + deadlock_timeout_ms
            late_at_ms = hung_at_ms if pending_timeout_ms is None else self.context.progressed_ms + pending_timeout_ms
            wait_ms = max(min(hung_at_ms, late_at_ms) - now_ms(), 0)
            if await self.comes_back(wait_ms):
                return self.returned.result()
            if now_ms() >= hung_at_ms:
                self.cancel()
                raise CallHung(f"{self.verb} did not return for {deadlock_timeout_ms} ms")
            if now_ms() >= late_at_ms and pending_timeout_ms is not None:
                if now_ms() < self.context.progressed_ms + pending_timeout_ms:
                    continue
                self.cancel()
                raise PendingTimedOut(f"{self.verb} made no progress for {pending_timeout_ms} ms (pending_timeout)")

    async def comes_back(self, within_ms: int) -> bool:
        done, _ = await asyncio.wait({self.returned}, timeout=within_ms / 1000)
        return bool(done)


def _look_at_outcome(returned: asyncio.Future[Any]) -> None:
    """A call that was given up may still raise; nobody waits for that any more."""
    if not returned.cancelled():
        returned.exception()
