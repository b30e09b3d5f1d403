"""What do a resource's health checks say, and what follows? I/O: on the host's event loop.

A check that says no fails the resource. One that failed goes on being checked as long as nobody stops it: under maintenance
nobody does, and the check that passes again is told as well. A LooksAlive that says no, breaks or cannot tell is settled by
IsAlive at once; when that cannot tell either, the resource's health is unknown from then on, which is told when it begins
and when it is over.
"""

import asyncio
from collections.abc import Awaitable, Callable

from clusterd.reshost.plugin_call import CallHung
from clusterd.reshost.polling import poll
from clusterd.resource_api import Health
from clusterd.wire import host_pb2

INTERVAL_LEAST_MS = 10
_CHECKED_STATES = ("online", "failed")

Ask = Callable[[str], Awaitable[tuple[Health, str]]]
Emit = Callable[["host_pb2.ResourceEventKind.ValueType", str], None]


class Checks:
    """LooksAlive and IsAlive of one resource, from its online to its stop."""

    def __init__(
        self,
        name: str,
        *,
        state: Callable[[], str],
        is_free: Callable[[], bool],
        ask: Ask,
        emit: Emit,
        on_no: Callable[[str], None],
        on_yes: Callable[[], None],
    ) -> None:
        self._name = name
        self._state, self._is_free, self._ask, self._emit = state, is_free, ask, emit
        self._on_no, self._on_yes = on_no, on_yes
        self._task: asyncio.Task[None] | None = None
        self.doubt = ""
        """Why IsAlive cannot tell."""
        self._last_warning = ""

    @property
    def is_running(self) -> bool:
        return self._task is not None

    def start(self, *, looks_alive_interval_ms: int | None, is_alive_interval_ms: int) -> None:
        """Check from now on at these intervals, and at no others."""
        self.stop()
        looks_ms = None if looks_alive_interval_ms is None else max(looks_alive_interval_ms, INTERVAL_LEAST_MS)
        self._task = asyncio.get_running_loop().create_task(
            poll(
                self._name,
                looks_alive_interval_ms=looks_ms,
                is_alive_interval_ms=max(is_alive_interval_ms, INTERVAL_LEAST_MS),
                looks_alive=self._look,
                is_alive=self._check,
            ),
            name=f"polling {self._name}",
        )
        self._task.add_done_callback(self._ended)

    def stop(self) -> None:
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        self._task = None

    async def _look(self) -> None:
        """Only IsAlive fails the resource, or makes its health unknown."""
        if self._state() != "online" or not self._is_free():
            return
        health, message = await self._health("looks_alive")
        if health is Health.CANNOT_TELL and message and message != self._last_warning:
            self._emit(host_pb2.RESOURCE_EVENT_KIND_WARNING, message)
        self._last_warning = message if health is Health.CANNOT_TELL else ""
        if health is not Health.YES:
            await self._check()

    async def _check(self) -> None:
        if not self._is_free() or self._state() not in _CHECKED_STATES:
            return
        health, message = await self._health("is_alive")
        if self._state() == "online":
            self._note_doubt((message or "is_alive cannot tell") if health is Health.CANNOT_TELL else "")
        if health is Health.NO and self._state() == "online":
            self._on_no(message or "is_alive said no")
        elif health is Health.YES and self._state() == "failed":
            self._on_yes()

    async def _health(self, verb: str) -> tuple[Health, str]:
        try:
            return await self._ask(verb)
        except CallHung as error:
            self._emit(host_pb2.RESOURCE_EVENT_KIND_HUNG, f"{error}; the resource host must be killed")
            return Health.CANNOT_TELL, str(error)

    def _note_doubt(self, doubt: str) -> None:
        if doubt != self.doubt:
            self.doubt = doubt
            self._emit(host_pb2.RESOURCE_EVENT_KIND_DOUBT, doubt)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._note_doubt(f"it is not checked any more: polling of {self._name} broke: {error!r}")
