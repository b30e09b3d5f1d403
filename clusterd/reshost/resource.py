"""What happens to one resource in this host? I/O: on the host's event loop; plug-in code runs in threads.

Calls are serialised by a lock, except `terminate`, which wakes the call in flight and kills under it. States: offline,
online-pending, online, offline-pending, failed. After an offline or terminate that succeeded, nothing of the resource runs:
that is checked here, whatever the resource type did.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from clusterd.adapters.boot_clock import now_ms
from clusterd.reshost.answers import HEALTHS, answered, failure_of, result
from clusterd.reshost.calls import Calls
from clusterd.reshost.checks import Checks
from clusterd.reshost.context import CallContext, Names, Told
from clusterd.reshost.evidence import left_words
from clusterd.reshost.live import MIGRATED, LiveMove, prepared_text, told_ms
from clusterd.reshost.output import OutputTail
from clusterd.reshost.place import Place
from clusterd.reshost.plugin_call import CallHung, PendingTimedOut, PluginCall
from clusterd.reshost.services import HostServices
from clusterd.reshost.tellings import Tellings
from clusterd.reshost.workload import Running, Workload, end_words
from clusterd.resource_api import CallCancelled, CannotTell, Health, ResourceFailed, ResourceType
from clusterd.wire import host_pb2

TERMINATE_WITHIN_MS = 5000
RETURN_WITHIN_MS = 2000
_FAILED = host_pb2.RESOURCE_EVENT_KIND_FAILED
_HUNG = host_pb2.RESOURCE_EVENT_KIND_HUNG
_WARNING = host_pb2.RESOURCE_EVENT_KIND_WARNING
_STOPPED_ITSELF = host_pb2.RESOURCE_EVENT_KIND_STOPPED_ITSELF
_CHECK_PASSED = host_pb2.RESOURCE_EVENT_KIND_CHECK_PASSED
KILLED = "killed"
"""The reason of a terminate that kills before it asks the resource type."""
_HEALTH_VERBS = ("looks_alive", "is_alive")

OnProgress = Callable[[str], None]


class HostedResource:
    """One resource, over all its generations in this host."""

    def __init__(self, name: str, services: HostServices) -> None:
        self.name = name
        self.state = "offline"
        self.generation = 0
        self.type_name = ""
        self.group = ""
        self.output = OutputTail()
        self._services = services
        self._lock = asyncio.Lock()
        self._type: ResourceType | None = None
        self._properties: Mapping[str, Any] = {}
        self._call = host_pb2.ResourceCall()
        self._cluster_id = ""
        """As it was when it began: what it keeps outside is found by it."""
        self._workload: Workload | None = None
        self._calls = Calls(name, services.threads, lambda message: self._emit(_HUNG, message))
        self.said = Tellings(self._emit)
        self.move = LiveMove(self)
        self._checks = Checks(
            name,
            state=lambda: self.state,
            is_free=lambda: not self._lock.locked() and self._calls.in_flight is None,
            ask=self._check_health,
            emit=self._emit,
            on_no=self._fail,
            on_yes=self._pass_again,
        )

    @property
    def pid(self) -> int:
        workload = self._workload
        if workload is None or self.state not in ("online", "online-pending", "offline-pending", "moved"):
            return 0
        return workload.main.pid if workload.main is not None else next(iter(workload.roots()), 0)

    @property
    def is_hosted(self) -> bool:
        return self.state != "offline" or self._workload is not None or self.move.has_moved

    def kill_now(self) -> None:
        if self._workload is not None:
            self._workload.kill_now()

    def cancel_polling(self) -> None:
        """No more checks until the next online; the end of the main process is still seen."""
        self._checks.stop()

    def take_times(self, call: host_pb2.ResourceCall) -> None:
        """Go by the times of `call` from now on."""
        for each in ("pending_timeout_ms", "deadlock_timeout_ms", "looks_alive_interval_ms", "is_alive_interval_ms"):
            setattr(self._call, each, getattr(call, each))
        if self._checks.is_running:
            self._start_checks()

    # ---- online ----

    async def online(
        self,
        call: host_pb2.ResourceCall,
        make: Callable[[], ResourceType],
        properties: Mapping[str, Any],
        on_progress: OnProgress,
    ) -> host_pb2.CallResult:
        async with self._lock:
            if (refusal := await self._online_refusal(call)) is not None:
                return refusal
            is_prepared = self.state == "prepared"
            self.said.begin()
            if is_prepared:
                self._call, self._properties, self.state = call, properties, "online-pending"
            else:
                self._begin(call, properties)
            try:
                if not is_prepared:
                    self._type = self._services.threads.record.made(self.name, make)
                    await self.plug("open", on_progress, pending=True)
                since_ms = told_ms(await self.plug("online", on_progress, pending=True))
                self._services.orphans.end(self._warn, is_mine=self._services.threads.is_idle)
                self._check_main()
            except Exception as error:  # the boundary to plug-in code
                self.state = "failed"
                return self._failed_call("online", error)
            self.state = "online"
            self._watch()
            for each in self.said.take_early():
                asyncio.get_running_loop().call_soon(self._told, self._workload, *each)
            return result(host_pb2.OUTCOME_DONE, self._calls.take_warning(), pid=self.pid, since_ms=since_ms)

    async def _online_refusal(self, call: host_pb2.ResourceCall) -> host_pb2.CallResult | None:
        """Why it does not begin, or that it is online already. What an earlier failure left is killed first."""
        if self.state == "online":
            if self.generation == call.generation:
                return result(host_pb2.OUTCOME_DONE, pid=self.pid)
            message = f"{self.name} still runs under generation {self.generation}; stop that first"
            return result(host_pb2.OUTCOME_STILL_RUNNING, message)
        if self._calls.in_flight is not None:
            return result(
                host_pb2.OUTCOME_HUNG, f"an earlier {self._calls.in_flight.verb} of {self.name} has not returned"
            )
        if self.state == "prepared" and self.generation == call.generation and call.verb == host_pb2.VERB_ONLINE:
            return None
        await self._abandon()
        if self._workload is not None and (left := await self._workload.empty()):
            return result(host_pb2.OUTCOME_STILL_RUNNING, left_words(self.name, left))
        return None

    async def prepare(
        self,
        call: host_pb2.ResourceCall,
        make: Callable[[], ResourceType],
        properties: Mapping[str, Any],
        on_progress: OnProgress,
    ) -> host_pb2.CallResult:
        """Make ready to take over what runs elsewhere; or fence, of which nothing is left here. May be asked again."""
        verb = "fence" if call.verb == host_pb2.VERB_FENCE else "prepare_migration"
        async with self._lock:
            if (refusal := await self._online_refusal(call)) is not None:
                return refusal
            self._begin(call, properties)
            try:
                self._type = self._services.threads.record.made(self.name, make)
                await self.plug("open", on_progress, pending=True)
                text = prepared_text(await self.plug(verb, on_progress, pending=True), self.name)
                self.state, answer = "prepared", result(host_pb2.OUTCOME_DONE, prepared=text)
            except Exception as error:  # the boundary to plug-in code
                self.state, answer = "failed", self._failed_call(verb, error)
            if verb == "fence" and self._workload is not None and self._calls.in_flight is None:
                await self._finish(self._workload, on_progress)
            return answer

    async def _abandon(self) -> None:
        """Whatever it was prepared for does not come. What the resource type leaves of it, the kill does not."""
        if self.state != "prepared" or self._workload is None or self._type is None:
            return
        self.state = "offline-pending"
        await self._plug_stop("abandon_migration", self._workload, self._type)

    def _begin(self, call: host_pb2.ResourceCall, properties: Mapping[str, Any]) -> None:
        services = self._services
        self._call, self._properties = call, properties
        self._cluster_id = services.cluster_id or services.cluster
        self.generation, self.type_name, self.group = call.generation, call.type, call.group
        self.state = "online-pending"
        self.said.begin()
        self.move.forget()
        place = Place.of(services, self.name, self.generation)
        environment = {
            **services.environment,
            **place.tag(),
            "CLUSTERD_CLUSTER": services.cluster,
            "CLUSTERD_NODE": services.node,
            "CLUSTERD_GROUP": self.group,
            "CLUSTERD_RESOURCE": self.name,
            "CLUSTERD_GENERATION": str(self.generation),
        }
        self._workload = Workload(place, services.spawner, environment, self.output)

    def _check_main(self) -> None:
        """An online that succeeded while its main process ended did not succeed."""
        workload = self._workload
        if workload is not None and workload.main is not None and workload.main.exit is not None:
            raise ResourceFailed(end_words(workload.main, workload))

    def _watch(self) -> None:
        workload, type_ = self._workload, self._type
        if workload is None or type_ is None:
            return
        workload.on_main_end = self._main_ended
        self._start_checks()

    def _start_checks(self) -> None:
        is_watched = self._workload is not None and self._workload.main is not None
        tells = is_watched and self._type is not None and type(self._type).tells_failure
        self._checks.start(
            looks_alive_interval_ms=None if tells else self._call.looks_alive_interval_ms,
            is_alive_interval_ms=self._call.is_alive_interval_ms,
        )

    # ---- offline ----

    async def offline(self, call: host_pb2.ResourceCall, on_progress: OnProgress) -> host_pb2.CallResult:
        self._stop_watching()
        async with self._lock:
            workload = self._workload
            if workload is None:
                return result(host_pb2.OUTCOME_DONE)
            if self._calls.in_flight is not None and not await self._calls.in_flight.comes_back(
                self._pending_timeout_ms
            ):
                return result(host_pb2.OUTCOME_HUNG, f"an earlier {self._calls.in_flight.verb} has not returned")
            self._call = call
            self.state = "offline-pending"
            try:
                if self._type is not None:
                    await self.plug("offline", on_progress, pending=True)
            except Exception as error:  # the boundary to plug-in code
                self.state = "failed"
                return self._failed_call("offline", error)
            return await self._finish(workload, on_progress)

    async def _finish(self, workload: Workload, on_progress: OnProgress) -> host_pb2.CallResult:
        """Kill what is left, close the resource type, and be offline."""
        self._services.orphans.end(self._warn)
        left = await workload.empty()
        if not left and self._type is not None and type(self._type).close is not ResourceType.close:
            try:
                await self.plug("close", on_progress, pending=True)
            except Exception as error:  # the boundary to plug-in code; it is offline all the same
                self._emit(_WARNING, f"close of {self.name}: {error}")
            left = await workload.empty()
        if left:
            self.state = "failed"
            return result(host_pb2.OUTCOME_STILL_RUNNING, left_words(self.name, left))
        workload.close()
        self._services.keeper.keep(self.name, self.generation, self.output.last())
        self._workload, self._type = None, None
        self.state = "offline"
        return result(host_pb2.OUTCOME_DONE, self._calls.take_warning())

    # ---- terminate ----

    async def terminate(self, call: host_pb2.ResourceCall) -> host_pb2.CallResult:
        """Stop at once, beside whatever is in flight."""
        self._stop_watching()
        workload = self._workload
        if call.reason == MIGRATED:
            self.kill_now()  # what stands still has nothing left to end in good order, and its clients wait
        else:
            self.move.forget()
        if workload is None and not self._lock.locked():
            return result(host_pb2.OUTCOME_DONE)
        await self._abandon()
        if self._calls.in_flight is not None:
            self._calls.in_flight.cancel()
        if workload is not None and self._type is not None:
            self.state = "offline-pending"  # a daemon that asks now must not take it for online
            if call.reason == KILLED:
                await workload.empty()
            await self._plug_stop("terminate", workload, self._type)
            if left := await workload.empty():
                self.state = "failed"
                return result(host_pb2.OUTCOME_STILL_RUNNING, left_words(self.name, left))
        flight = self._calls.in_flight
        if flight is not None and not await flight.comes_back(RETURN_WITHIN_MS):
            message = f"{flight.verb} of {self.name} does not return although it was terminated"
            return result(host_pb2.OUTCOME_HUNG, message)
        async with self._lock:
            if self._workload is None:
                return result(host_pb2.OUTCOME_DONE)
            self._call = call
            return await self._finish(self._workload, _no_progress)

    async def _plug_stop(self, verb: str, workload: Workload, type_: ResourceType) -> None:
        if getattr(type(type_), verb) is getattr(ResourceType, verb):
            return
        flight = PluginCall(verb, self._context(workload, _no_progress), getattr(type_, verb), self._services.threads)
        try:
            await flight.outcome(pending_timeout_ms=None, deadlock_timeout_ms=TERMINATE_WITHIN_MS)
        except Exception as error:  # these may not fail: what they could not do, the kill does
            self._emit(_WARNING, f"{verb} of {self.name}: {error}")

    # ---- for moves ----

    lock = property(lambda self: self._lock)
    flight = property(lambda self: self._calls.in_flight)
    doubt = property(lambda self: self._checks.doubt)

    def quieten(self) -> None:
        self._stop_watching()

    def watch(self) -> None:
        self._watch()

    def take_call(self, call: host_pb2.ResourceCall) -> None:
        self._call = call

    # ---- other verbs ----

    async def health(self, verb: str) -> host_pb2.CallResult:
        """LooksAlive or IsAlive, asked by the daemon. Changes nothing."""
        async with self._lock:
            if self.state != "online":
                return result(host_pb2.OUTCOME_DONE, f"{self.name} is {self.state}", health=host_pb2.HEALTH_NO)
            health, message = await self._ask_health(verb)
            return result(host_pb2.OUTCOME_DONE, message, health=HEALTHS[health])

    async def control(self, call: host_pb2.ResourceCall) -> host_pb2.CallResult:
        if call.control_verb == "logs":
            return result(host_pb2.OUTCOME_DONE, control_body=self.output.last())
        workload, type_ = self._workload, self._type
        if workload is None or type_ is None:
            return result(host_pb2.OUTCOME_FAILED, f"{self.name} is not open here, so it has no {call.control_verb}")
        verb, body = call.control_verb, call.control_body
        flight = PluginCall(
            verb,
            self._context(workload, _no_progress),
            lambda context: type_.control(context, verb, body),
            self._services.threads,
        )
        try:
            answer = await flight.outcome(pending_timeout_ms=None, deadlock_timeout_ms=self._deadlock_timeout_ms)
            return result(host_pb2.OUTCOME_DONE, control_body=answer)
        except Exception as error:  # the boundary to plug-in code
            return failure_of(f"{verb} of {self.name}", error)

    # ---- health ----

    async def _check_health(self, verb: str) -> tuple[Health, str]:
        async with self._lock:
            return await self._ask_health(verb)

    async def _ask_health(self, verb: str) -> tuple[Health, str]:
        """Raises CallHung only."""
        try:
            answer = await self.plug(verb, _no_progress, pending=False)
        except CallHung:
            raise
        except ResourceFailed as error:
            return Health.NO, str(error)
        except CallCancelled:
            return Health.CANNOT_TELL, ""
        except CannotTell as error:
            return Health.CANNOT_TELL, str(error)
        except Exception as error:  # the boundary to plug-in code
            return Health.CANNOT_TELL, f"{verb} of {self.type_name} broke: {error!r}"
        if isinstance(answer, Health):
            return answer, ""
        return Health.CANNOT_TELL, f"{verb} of {self.type_name} answered {answer!r}, which is no Health"

    def _main_ended(self, running: Running) -> None:
        if self.state == "online" and self._workload is not None and self._workload.main is running:
            self._fail(end_words(running, self._workload))

    def _told(self, workload: Workload | None, what: Told, message: str) -> None:
        if self._workload is workload and self.state == "online-pending":
            self.said.keep(what, message)
        if self.state != "online" or self._workload is not workload:
            return
        match what:
            case Told.FAILED:
                self._fail(message)
            case Told.STOPPED:
                self._stop_watching()
                self.state = "failed"
                self._emit(_STOPPED_ITSELF, message)
            case Told.EMBEDDED_FAILED | Told.EMBEDDED_WELL:
                self.said.note_inside(message)
            case Told.CONCERN:
                self.said.note_concern(message)

    def _fail(self, message: str) -> None:
        """It is checked further: who told us to run it may not stop it now, and then wants to know when it is well."""
        self.state = "failed"
        self._emit(_FAILED, message)

    def _pass_again(self) -> None:
        self.state = "online"
        self._emit(_CHECK_PASSED, "is_alive says yes again")

    def _stop_watching(self) -> None:
        """No more polling; a check in flight is woken, so that nothing waits for it."""
        self._checks.stop()
        if self._calls.in_flight is not None and self._calls.in_flight.verb in _HEALTH_VERBS:
            self._calls.in_flight.cancel()
        if self._workload is not None:
            self._workload.on_main_end = lambda running: None

    # ---- calls into the plug-in ----

    @property
    def _deadlock_timeout_ms(self) -> int:
        return self._call.deadlock_timeout_ms or 300_000

    @property
    def _pending_timeout_ms(self) -> int:
        return self._call.pending_timeout_ms or 180_000

    def _context(self, workload: Workload, on_progress: OnProgress) -> CallContext:
        services = self._services
        return CallContext(
            Names(services.cluster, self._cluster_id, services.node, self.group, self.name, self.generation),
            self._properties,
            workload,
            reason=self._call.reason,
            move_kind=self._call.move_kind,
            pending_timeout_ms=self._pending_timeout_ms,
            deadlock_timeout_ms=self._deadlock_timeout_ms,
            on_progress=on_progress,
            on_told=lambda what, message: self._told(workload, what, message),
        )

    async def plug(
        self,
        verb: str,
        on_progress: OnProgress,
        *,
        pending: bool,
        arguments: tuple[str, ...] = (),
        within_ms: int | None = None,
    ) -> Any:
        """Call the resource type. Raises what it raised, `PendingTimedOut` or `CallHung`."""
        workload, type_ = self._workload, self._type
        if workload is None or type_ is None:
            raise ResourceFailed(f"{self.name} is not open")
        if pending and verb in ("open", "close") and getattr(type(type_), verb) is getattr(ResourceType, verb):
            return None
        method = getattr(type_, verb)
        return await self._calls.run(
            verb,
            self._context(workload, on_progress),
            lambda context: method(context, *arguments),
            pending_timeout_ms=self._pending_timeout_ms if pending else None,
            deadlock_timeout_ms=within_ms or self._deadlock_timeout_ms,
        )

    def _failed_call(self, verb: str, error: Exception) -> host_pb2.CallResult:
        tail = self.output.lines(3) if isinstance(error, PendingTimedOut) else ""
        return failure_of(f"{verb} of {self.name}", error, f"; its last output: {tail}" if tail else "")

    def _warn(self, message: str) -> None:
        self._emit(_WARNING, message)

    def _emit(self, kind: "host_pb2.ResourceEventKind.ValueType", message: str) -> None:
        event = host_pb2.ResourceEvent(
            resource=self.name, generation=self.generation, kind=kind, message=answered(message), observed_ms=now_ms()
        )
        self._services.emit(event)


def _no_progress(message: str) -> None:
    """For calls that nobody waits for progress of."""
