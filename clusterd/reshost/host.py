"""What does a resource host do with a call? I/O: on the host's event loop.

It refuses what is out of date (another incarnation, an older generation, no lease or one that passed) before it looks at
anything else, then hands the call to the resource. At the end of the lease it kills everything, itself included.
"""

import asyncio
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from clusterd.adapters.boot_clock import now_ms
from clusterd.adapters.plain_log import log
from clusterd.model.ids import name_problem
from clusterd.reshost.answers import answered, failure_of, result
from clusterd.reshost.looking import IS_THERE, is_there
from clusterd.reshost.plugins import LoadedType, Plugins
from clusterd.reshost.resource import HostedResource
from clusterd.reshost.services import HostServices
from clusterd.resource_api import effective, validate
from clusterd.wire import host_pb2

RESOURCE_COUNT_MAX = 4096
GENERATION_MAX = 1 << 63
EXAMINE_WITHIN_MS = 10_000
TROUBLES_TOLD_MAX = 32
_REPEATABLE = (host_pb2.VERB_OPEN, host_pb2.VERB_ONLINE, host_pb2.VERB_PREPARE, host_pb2.VERB_FENCE)


class Host:
    """The resources of one host and the rules for calls to them."""

    def __init__(self, services: HostServices, plugins: Plugins) -> None:
        self._services = services
        self._plugins = plugins
        self._resources: dict[str, HostedResource] = {}
        self._generation_seen: dict[tuple[str, str], int] = {}
        """By group and resource: each group counts for itself."""
        self._deadline_ms = 0
        self.stale_count = 0

    def take_cluster_id(self, cluster_id: str) -> None:
        """An older daemon does not tell it: what is known stays."""
        self._services.cluster_id = cluster_id or self._services.cluster_id

    # ---- the lease ----

    def take_lease(self, incarnation: str, deadline_ms: int) -> None:
        """A later deadline from the guard. One that has passed is not extended."""
        if incarnation == self._services.incarnation and not self.is_past_lease():
            self._deadline_ms = max(self._deadline_ms, deadline_ms)

    @property
    def deadline_ms(self) -> int:
        return self._deadline_ms

    def is_past_lease(self) -> bool:
        return bool(self._deadline_ms) and now_ms() >= self._deadline_ms

    def kill_everything(self) -> None:
        for each in self._resources.values():
            each.kill_now()

    # ---- calls ----

    def inventory(self) -> host_pb2.HostInventory:
        return host_pb2.HostInventory(
            host_id=self._services.host_id,
            pid=os.getpid(),
            types=[each.description() for each in self._plugins.types.values()],
            resources=[_hosted(each) for each in self._resources.values() if each.is_hosted],
            incarnation=self._services.incarnation,
            stale_count=self.stale_count,
            plugin_troubles=[answered(each) for each in self._plugins.troubles[:TROUBLES_TOLD_MAX]],
        )

    async def call(self, call: host_pb2.ResourceCall, on_progress: Callable[[str], None]) -> host_pb2.CallResult:
        """Never raises for what a caller or a plug-in did; the answer says it."""
        stale = self._stale(call)
        if stale:
            self.stale_count += 1
            log("call.refused", "warning", resource=call.resource, verb=host_pb2.Verb.Name(call.verb), because=stale)
            return result(host_pb2.OUTCOME_STALE, stale)
        if call.verb == host_pb2.VERB_CONTROL and call.type and not call.resource:
            return await self._examine(call)
        problem = name_problem(call.resource)
        if problem:
            return result(host_pb2.OUTCOME_FAILED, f"the resource's name: {problem}")
        try:
            return await self._perform(call, on_progress)
        except Exception as error:  # a defect of ours must not take the other resources along
            log(
                "call.broke",
                "error",
                resource=call.resource,
                verb=host_pb2.Verb.Name(call.verb),
                error=answered(repr(error)),
            )
            return failure_of(f"{host_pb2.Verb.Name(call.verb)} of {call.resource}", error)

    async def _examine(self, call: host_pb2.ResourceCall) -> host_pb2.CallResult:
        """A question to a type. A thread that does not come back harms nobody but its own answer."""
        loaded = self._plugins.types.get(call.type)
        if loaded is None:
            return result(host_pb2.OUTCOME_UNKNOWN_TYPE, self._plugins.unknown(call.type))
        make, question, body = loaded.make, call.control_verb, call.control_body
        if question == IS_THERE:
            if not self._deadline_ms or self.is_past_lease():
                return result(host_pb2.OUTCOME_FAILED, "this node has no run lease, and may start nothing to look with")
            return await is_there(self._services, loaded, body)
        answer = self._services.threads.run(
            lambda: make.examine(question, body), resource="", verb=f"examine {call.type}"
        )
        try:
            async with asyncio.timeout(EXAMINE_WITHIN_MS / 1000):
                return result(host_pb2.OUTCOME_DONE, control_body=await answer)
        except TimeoutError:
            return result(host_pb2.OUTCOME_FAILED, f"{question} did not return for {EXAMINE_WITHIN_MS} ms")
        except Exception as error:  # the boundary to plug-in code
            return failure_of(f"{question} of {call.type}", error)

    def _stale(self, call: host_pb2.ResourceCall) -> str:
        if call.verb == host_pb2.VERB_CONTROL and not call.incarnation:
            return ""
        if call.incarnation != self._services.incarnation:
            return f"this host belongs to incarnation {self._services.incarnation}, not {call.incarnation}"
        if not self._deadline_ms:
            return "this node has no run lease yet"
        if self.is_past_lease():
            return "this node's run lease has ended"
        seen = self._generation_seen.get((call.group, call.resource), 0)
        if call.generation < seen:
            return f"generation {call.generation} of {call.resource} is over; {seen} was seen"
        if call.generation >= GENERATION_MAX:
            return f"generation {call.generation} is out of range"
        return ""

    async def _perform(self, call: host_pb2.ResourceCall, on_progress: Callable[[str], None]) -> host_pb2.CallResult:
        resource = self._resources.get(call.resource)
        if resource is None and call.verb in _REPEATABLE:
            if len(self._resources) >= RESOURCE_COUNT_MAX:
                return result(host_pb2.OUTCOME_FAILED, f"a host holds at most {RESOURCE_COUNT_MAX} resources")
            resource = self._resources[call.resource] = HostedResource(call.resource, self._services)
        if resource is None:
            return _answer_for_absent(call)
        match call.verb:
            case host_pb2.VERB_OPEN:
                return self._checked(call)[2] or result(host_pb2.OUTCOME_DONE)
            case host_pb2.VERB_ONLINE:
                return await self._online(call, resource, on_progress)
            case host_pb2.VERB_OFFLINE:
                self._see(call)
                return await resource.offline(call, on_progress)
            case host_pb2.VERB_TERMINATE:
                self._see(call)
                return await resource.terminate(call)
            case host_pb2.VERB_PREPARE | host_pb2.VERB_FENCE:
                return await self._prepare(call, resource, on_progress)
            case host_pb2.VERB_MIGRATE | host_pb2.VERB_CANCEL_MIGRATION | host_pb2.VERB_RESUME:
                return await _move(call, resource, on_progress)
            case host_pb2.VERB_CLOSE:
                return await self._close(call, resource)
            case host_pb2.VERB_LOOKS_ALIVE:
                return await resource.health("looks_alive")
            case host_pb2.VERB_IS_ALIVE:
                return await resource.health("is_alive")
            case host_pb2.VERB_TIMES:
                return _take_times(call, resource)
            case host_pb2.VERB_CONTROL:
                return await resource.control(call)
            case _:
                return result(host_pb2.OUTCOME_FAILED, f"there is no verb {call.verb}")

    async def _online(
        self, call: host_pb2.ResourceCall, resource: HostedResource, on_progress: Callable[[str], None]
    ) -> host_pb2.CallResult:
        loaded, properties, refusal = self._checked(call)
        if loaded is None or refusal is not None:
            return refusal or result(host_pb2.OUTCOME_UNKNOWN_TYPE)
        answer = await resource.online(call, loaded.make, properties, on_progress)
        if answer.outcome != host_pb2.OUTCOME_STILL_RUNNING:
            self._see(call)
        return answer

    async def _prepare(
        self, call: host_pb2.ResourceCall, resource: HostedResource, on_progress: Callable[[str], None]
    ) -> host_pb2.CallResult:
        loaded, properties, refusal = self._checked(call)
        if loaded is None or refusal is not None:
            return refusal or result(host_pb2.OUTCOME_UNKNOWN_TYPE)
        self._see(call)
        return await resource.prepare(call, loaded.make, properties, on_progress)

    async def _close(self, call: host_pb2.ResourceCall, resource: HostedResource) -> host_pb2.CallResult:
        answer = await resource.terminate(call)
        if answer.outcome == host_pb2.OUTCOME_DONE:
            self._resources.pop(call.resource, None)
        return answer

    def _see(self, call: host_pb2.ResourceCall) -> None:
        key = (call.group, call.resource)
        self._generation_seen[key] = max(self._generation_seen.get(key, 0), call.generation)

    def _checked(
        self, call: host_pb2.ResourceCall
    ) -> tuple[LoadedType | None, Mapping[str, Any], host_pb2.CallResult | None]:
        """The type and its effective properties, or the refusal."""
        loaded = self._plugins.types.get(call.type)
        if loaded is None:
            return None, {}, result(host_pb2.OUTCOME_UNKNOWN_TYPE, self._plugins.unknown(call.type))
        try:
            given = json.loads(call.properties_json or b"{}")
        except ValueError as error:
            return loaded, {}, result(host_pb2.OUTCOME_BAD_PROPERTIES, f"{call.resource}: not JSON: {error}")
        problems = validate(given, loaded.schema)
        if problems:
            text = "; ".join(str(problem) for problem in problems)
            return loaded, {}, result(host_pb2.OUTCOME_BAD_PROPERTIES, f"{call.resource}: {text}")
        return loaded, effective(given, loaded.schema), None

    def cancel_polling(self, name: str) -> None:
        if (resource := self._resources.get(name)) is not None:
            resource.cancel_polling()


def _take_times(call: host_pb2.ResourceCall, resource: HostedResource) -> host_pb2.CallResult:
    if call.generation != resource.generation:
        return result(host_pb2.OUTCOME_STALE, f"{resource.name} runs under generation {resource.generation}")
    resource.take_times(call)
    return result(host_pb2.OUTCOME_DONE)


async def _move(
    call: host_pb2.ResourceCall, resource: HostedResource, on_progress: Callable[[str], None]
) -> host_pb2.CallResult:
    if call.generation != resource.generation:
        return result(host_pb2.OUTCOME_STALE, f"{resource.name} runs under generation {resource.generation}")
    if call.verb == host_pb2.VERB_MIGRATE:
        return await resource.move.migrate(call, on_progress)
    if call.verb == host_pb2.VERB_CANCEL_MIGRATION:
        return resource.move.cancel()
    return await resource.move.resume(call, on_progress)


def _answer_for_absent(call: host_pb2.ResourceCall) -> host_pb2.CallResult:
    """A stop of what is not here is done already."""
    if call.verb in (host_pb2.VERB_OFFLINE, host_pb2.VERB_TERMINATE, host_pb2.VERB_CLOSE):
        return result(host_pb2.OUTCOME_DONE)
    if call.verb in (host_pb2.VERB_LOOKS_ALIVE, host_pb2.VERB_IS_ALIVE):
        return result(host_pb2.OUTCOME_DONE, f"{call.resource} is not here", health=host_pb2.HEALTH_NO)
    return result(host_pb2.OUTCOME_FAILED, f"{call.resource} was never opened in this host")


def _hosted(resource: HostedResource) -> host_pb2.HostedResource:
    return host_pb2.HostedResource(
        resource=resource.name,
        type=resource.type_name,
        group=resource.group,
        generation=resource.generation,
        state="moved" if resource.move.has_moved else resource.state,
        pid=resource.pid,
        embedded_failure=resource.said.embedded_failure,
        concern=resource.said.concern,
        doubt=resource.doubt,
    )
