"""How does a host move one resource to another node while it runs? I/O: on the host's event loop.

Whoever asks for a move that is under way already, or done, gets that one's answer: a daemon that restarted simply asks
again. What has moved stays known until it is resumed or something new begins, also when nothing of it is left here.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from clusterd.adapters.boot_clock import now_ms
from clusterd.reshost.answers import failure_of, result
from clusterd.reshost.plugin_call import PluginCall
from clusterd.wire import host_pb2

PREPARED_SIZE_MAX = 4096
MOVE_WITHIN_MS = 24 * 3_600_000
"""A move takes as long as it takes; that it goes on is what the pending time-out asks."""

MIGRATED = "migrated"
"""The reason of a stop of what has moved: that it did stays known."""

OnProgress = Callable[[str], None]


class Movable(Protocol):
    """What a move needs of the resource."""

    name: str
    state: str

    @property
    def lock(self) -> asyncio.Lock: ...
    @property
    def flight(self) -> PluginCall | None: ...
    def quieten(self) -> None: ...
    def watch(self) -> None: ...
    def take_call(self, call: host_pb2.ResourceCall) -> None: ...
    async def plug(
        self,
        verb: str,
        on_progress: OnProgress,
        *,
        pending: bool,
        arguments: tuple[str, ...] = (),
        within_ms: int | None = None,
    ) -> Any: ...


class LiveMove:
    """The moves of one resource away from this host."""

    def __init__(self, resource: Movable) -> None:
        self._resource = resource
        self._under_way: asyncio.Task[host_pb2.CallResult] | None = None
        self._on_progress: OnProgress = _nobody_listens
        self.has_moved = False
        """It stands still here, or is gone already, and is whole at its destination."""
        self._still_since_ms = 0

    def forget(self) -> None:
        self.has_moved = False

    async def migrate(self, call: host_pb2.ResourceCall, on_progress: OnProgress) -> host_pb2.CallResult:
        self._on_progress = on_progress
        if self._under_way is None:
            if self.has_moved:
                return self._moved()
            work = self._migrate(call)
            self._under_way = asyncio.get_running_loop().create_task(work, name=f"migrate {self._resource.name}")
            self._under_way.add_done_callback(self._ended)
        return await asyncio.shield(self._under_way)

    def _tell(self, message: str) -> None:
        """Whoever asked last hears how it goes."""
        self._on_progress(message)

    def _ended(self, task: "asyncio.Task[host_pb2.CallResult]") -> None:
        self._under_way, self._on_progress = None, _nobody_listens

    async def _migrate(self, call: host_pb2.ResourceCall) -> host_pb2.CallResult:
        resource = self._resource
        if resource.flight is not None and resource.flight.verb in ("looks_alive", "is_alive"):
            resource.flight.cancel()  # a check must not delay it
        async with resource.lock:
            if resource.state != "online":
                return result(host_pb2.OUTCOME_FAILED, f"{resource.name} is {resource.state} here")
            resource.take_call(call)
            try:
                stood_still_ms = await resource.plug(
                    "migrate",
                    self._tell,
                    pending=True,
                    arguments=(call.prepared,),
                    within_ms=MOVE_WITHIN_MS,
                )
            except Exception as error:  # the boundary to plug-in code
                return failure_of(f"migrate of {resource.name}", error)
            resource.quieten()
            resource.state, self.has_moved = "moved", True
            self._still_since_ms = now_ms() - told_ms(stood_still_ms)
            return self._moved()

    def _moved(self) -> host_pb2.CallResult:
        return result(host_pb2.OUTCOME_DONE, since_ms=told_ms(now_ms() - self._still_since_ms))

    def cancel(self) -> host_pb2.CallResult:
        flight = self._resource.flight
        if flight is not None and flight.verb == "migrate":
            flight.cancel()
        return result(host_pb2.OUTCOME_DONE)

    async def resume(self, call: host_pb2.ResourceCall, on_progress: OnProgress) -> host_pb2.CallResult:
        resource = self._resource
        async with resource.lock:
            if resource.state != "moved":
                outcome = host_pb2.OUTCOME_DONE if resource.state == "online" else host_pb2.OUTCOME_FAILED
                return result(outcome, f"{resource.name} is {resource.state} here")
            resource.take_call(call)
            self.forget()
            try:
                await resource.plug("resume_after_migration", on_progress, pending=True)
            except Exception as error:  # the boundary to plug-in code
                resource.state = "failed"
                return failure_of(f"resume_after_migration of {resource.name}", error)
            resource.state = "online"
            resource.watch()
            return result(host_pb2.OUTCOME_DONE)


def prepared_text(answer: object, name: str) -> str:
    """What a resource type wants others to know: the source, or whoever reads what a fence did. Raises ValueError."""
    if not isinstance(answer, str) or len(answer.encode(errors="replace")) > PREPARED_SIZE_MAX:
        raise ValueError(f"{name} answered no text of at most {PREPARED_SIZE_MAX} bytes")
    return answer


def told_ms(answer: object) -> int:
    """For how long something is so, in the words of a resource type; 0 when it does not say."""
    return min(max(answer, 0), MOVE_WITHIN_MS) if isinstance(answer, int) else 0


def _nobody_listens(message: str) -> None:
    """Between two daemons."""
