"""What does a resource type see of its host during one call? I/O: the bridge from a call's thread to the event loop.

Every method may be used from the call's own thread, and those that tell of the workload's state from any. What waits is
woken with `CallCancelled` when the host gives the call up; after that nothing can be started through this context any more.
"""

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from clusterd.adapters.boot_clock import now_ms
from clusterd.adapters.plain_log import log
from clusterd.reshost.asking import Asking
from clusterd.reshost.workload import Command, Running, Workload
from clusterd.resource_api import CallCancelled, Exit, Finished, ResourceFailed
from clusterd.resource_api.secret_values import shown_text

_MARGIN_MAX_MS = 250
_DEADLOCK_MARGIN_MS = 1000
"""What is kept of a call's time for killing what did not stop."""
_Answer = TypeVar("_Answer")


class Told(StrEnum):
    """What a resource type says of its resource by itself."""

    FAILED = "failed"
    STOPPED = "stopped"
    EMBEDDED_FAILED = "embedded-failed"
    EMBEDDED_WELL = "embedded-well"
    CONCERN = "concern"


@dataclass(frozen=True, slots=True)
class Names:
    cluster: str
    cluster_id: str
    node: str
    group: str
    resource: str
    generation: int


class CallContext:
    """The `Context` of one call."""

    def __init__(
        self,
        names: Names,
        properties: Mapping[str, Any],
        workload: Workload,
        *,
        reason: str,
        move_kind: str = "",
        pending_timeout_ms: int,
        deadlock_timeout_ms: int,
        on_progress: Callable[[str], None],
        on_told: Callable[[Told, str], None],
    ) -> None:
        self._names = names
        self._properties = properties
        self._workload = workload
        self._reason, self._move_kind = reason, move_kind
        self.pending_timeout_ms = pending_timeout_ms
        self.deadlock_timeout_ms = deadlock_timeout_ms
        self._began_ms = now_ms()
        self._on_progress, self._on_told = on_progress, on_told
        self._loop = asyncio.get_running_loop()
        self._cancelled = threading.Event()
        self._asked: set[concurrent.futures.Future[Any]] = set()
        self.progressed_ms = now_ms()
        self.told, self._has_warned = "", False
        """What an operator should know of a call that succeeded: the last warning, or else the last information."""

    properties = property(lambda self: self._properties)
    cluster = property(lambda self: self._names.cluster)
    cluster_id = property(lambda self: self._names.cluster_id)
    node = property(lambda self: self._names.node)
    group = property(lambda self: self._names.group)
    resource = property(lambda self: self._names.resource)
    generation = property(lambda self: self._names.generation)
    reason = property(lambda self: self._reason)
    move_kind = property(lambda self: self._move_kind)

    @property
    def processes(self) -> "CallProcesses":
        return CallProcesses(self, self._workload)

    @property
    def log(self) -> "ResourceLog":
        return ResourceLog(self._names, self._keep)

    def _keep(self, message: str, *, is_warning: bool) -> None:
        if is_warning or not self._has_warned:
            self.told, self._has_warned = message, is_warning

    def remaining_ms(self) -> int:
        """A little less than the host allows, so that the resource type can say itself what it waited for."""
        margin = min(self.pending_timeout_ms // 10, _MARGIN_MAX_MS)
        return max(self.progressed_ms + self.pending_timeout_ms - margin - now_ms(), 0)

    def longest_ms(self) -> int:
        """How long the call may still wait, however often it says that it goes on."""
        return max(self._began_ms + self.deadlock_timeout_ms - _DEADLOCK_MARGIN_MS - now_ms(), 0)

    def is_cancelled(self) -> bool:
        return self._cancelled.is_set()

    def pause(self, duration_ms: int) -> None:
        if self._cancelled.wait(duration_ms / 1000):
            raise CallCancelled

    def progress(self, message: str) -> None:
        if self._cancelled.is_set():
            raise CallCancelled
        self.progressed_ms = now_ms()
        self._loop.call_soon_threadsafe(self._on_progress, message)

    def failed(self, message: str) -> None:
        self._tell(Told.FAILED, message)

    def stopped(self, message: str) -> None:
        self._tell(Told.STOPPED, message)

    def embedded_failure(self, message: str) -> None:
        self._tell(Told.EMBEDDED_FAILED, message or "it gave no reason")

    def embedded_well(self) -> None:
        self._tell(Told.EMBEDDED_WELL, "")

    def concern(self, message: str) -> None:
        self._tell(Told.CONCERN, message)

    def _tell(self, what: Told, message: str) -> None:
        self._loop.call_soon_threadsafe(self._on_told, what, message)

    # ---- for the host ----

    def cancel(self) -> None:
        """On the event loop: wake whatever the call waits for."""
        self._cancelled.set()
        for asked in list(self._asked):
            asked.cancel()

    def ask(self, work: Coroutine[Any, Any, _Answer]) -> _Answer:
        """In the call's thread: have the event loop do `work` and wait for it."""
        if self._cancelled.is_set():
            work.close()
            raise CallCancelled
        asked = asyncio.run_coroutine_threadsafe(work, self._loop)
        self._asked.add(asked)
        if self._cancelled.is_set():
            asked.cancel()
        try:
            return asked.result()
        except concurrent.futures.CancelledError:
            raise CallCancelled from None
        finally:
            self._asked.discard(asked)


class Keep(Protocol):
    def __call__(self, message: str, *, is_warning: bool) -> None: ...


class ResourceLog:
    """Lines on the host's standard error that name the resource, without secrets."""

    def __init__(self, names: Names, keep: "Keep") -> None:
        self._keep = keep
        self._bound = {"group": names.group, "resource": names.resource, "generation": names.generation}

    def debug(self, message: str) -> None:
        log("plugin.said", "debug", message=shown_text(str(message)), **self._bound)

    def info(self, message: str) -> None:
        self._keep(message, is_warning=False)
        log("plugin.said", "info", message=shown_text(str(message)), **self._bound)

    def warning(self, message: str) -> None:
        self._keep(message, is_warning=True)
        log("plugin.said", "warning", message=shown_text(str(message)), **self._bound)


class CallProcess:
    """The `Process` that a resource type holds."""

    def __init__(self, context: CallContext, running: Running) -> None:
        self._context, self._running = context, running

    @property
    def pid(self) -> int:
        return self._running.pid

    @property
    def exit(self) -> Exit | None:
        return self._running.exit

    def wait(self, timeout_ms: int) -> Exit | None:
        return self._running.exit or self._context.ask(self._running.wait(timeout_ms))

    def signal(self, number: int) -> None:
        self._context.ask(_done(lambda: self._running.child.signal(number)))


class CallProcesses:
    """The `Processes` of one call."""

    def __init__(self, context: CallContext, workload: Workload) -> None:
        self._context, self._workload = context, workload

    def start(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        working_directory: str | None = None,
        user: str | None = None,
        watch: bool = False,
    ) -> CallProcess:
        what = _command(command, environment, working_directory, user)
        return CallProcess(self._context, self._context.ask(self._workload.start(what, watch=watch)))

    def run(
        self,
        command: Sequence[str],
        *,
        timeout_ms: int,
        environment: Mapping[str, str] | None = None,
        working_directory: str | None = None,
        user: str | None = None,
        ends_all: bool = False,
    ) -> Finished:
        what = _command(command, environment, working_directory, user)
        return self._context.ask(self._workload.run(what, timeout_ms, ends_all=ends_all))

    def main(self) -> CallProcess | None:
        running = self._workload.main
        return CallProcess(self._context, running) if running is not None else None

    def main_is_running(self) -> bool:
        running = self._workload.main
        return running is not None and running.exit is None

    def unwatch(self) -> None:
        self._context.ask(_done(lambda: setattr(self._workload, "on_main_end", lambda running: None)))

    def stop(self, *, grace_ms: int, signal: int = 15, everyone: bool = True) -> bool:
        return self._context.ask(self._stop(grace_ms, signal, everyone))

    async def _stop(self, grace_ms: int, number: int, everyone: bool) -> bool:
        """The grace is honoured: as long as it lasts, the call makes progress. Only the deadlock time-out is harder, and
        that is said."""
        self._workload.on_main_end = lambda running: None
        granted_ms = min(grace_ms, self._context.longest_ms())
        asking = Asking(self._workload, number, everyone=everyone)
        in_order = await asking.until_empty(
            granted_ms, self._context.progress, progress_every_ms=self._context.pending_timeout_ms // 4
        )
        if not in_order and granted_ms < grace_ms:
            self._context.log.warning(
                f"{self._context.resource} got {granted_ms} ms of its grace of {grace_ms} ms to stop, because a call may "
                f"take {self._context.deadlock_timeout_ms} ms (deadlock_timeout)"
            )
        left = await self._workload.empty()
        if left:
            raise ResourceFailed(f"processes {left} cannot be killed; look for a hung disk or network file system")
        return in_order

    def signal_all(self, number: int) -> None:
        self._workload.signal_all(number)

    def members(self) -> list[int]:
        return self._workload.members()

    def kill(self) -> None:
        left = self._context.ask(self._workload.empty())
        if left:
            raise ResourceFailed(f"processes {left} cannot be killed; look for a hung disk or network file system")

    def adopt(self, control_group: str) -> None:
        self._context.ask(_done(lambda: self._workload.adopt(control_group)))

    def output(self, line_count_max: int = 20) -> str:
        return self._context.ask(_done(lambda: self._workload.output.lines(line_count_max)))


async def _done(step: Callable[[], _Answer]) -> _Answer:
    return step()


def _command(
    argv: Sequence[str], environment: Mapping[str, str] | None, working_directory: str | None, user: str | None
) -> Command:
    return Command(list(argv), dict(environment or {}), working_directory, user)
