"""Does a resource type keep its contract? I/O: runs it on a real guard and a real resource host (trial).

`run_conformance("my_type.py", {...})` drives one resource of the type through what a cluster does to it and answers with
one `CheckResult` for each rule. The shipped types pass; so should yours. The properties must be ones that work here.
"""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from clusterd.adapters.boot_clock import now_ms
from clusterd.adapters.containment_proc import TAG_VARIABLE, ProcessSeen, process, processes, signal_process, tag_of
from clusterd.adapters.containment_scan import look
from clusterd.adapters.host_link import LinkEnded
from clusterd.model.errors import ClusterError
from clusterd.model.ids import GroupId, ResourceId
from clusterd.model.records import ResourceRecord
from clusterd.model.sole_effect import refuses_old_owners
from clusterd.reshost.plugins import Plugins, load_file, load_plugins
from clusterd.reshost.trial import TrialFailed, TrialHost, TrialNode, trial_node
from clusterd.wire import host_pb2

PENDING_TIMEOUT_MS = 20_000
NOTICE_WITHIN_MS = 5000
RESOURCE = "trial-resource"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One rule: whether the type keeps it, and what happened when it does not (or what was not tried, and why)."""

    name: str
    passed: bool
    message: str = ""


class _Broken(Exception):
    """The rule under test is not kept."""


def run_conformance(path_or_type: str, properties: Mapping[str, Any]) -> list[CheckResult]:
    """Try a plug-in file, or a type that is installed, with these properties. Takes some seconds."""
    return asyncio.run(conformance(path_or_type, properties))


async def conformance(path_or_type: str, properties: Mapping[str, Any]) -> list[CheckResult]:
    """The same on a running event loop."""
    with tempfile.TemporaryDirectory(prefix="ct-", dir=_short_folder()) as folder:
        plugin_dir = os.path.join(folder, "plugins")
        os.mkdir(plugin_dir)
        found = _found(path_or_type, plugin_dir)
        if isinstance(found, str):
            return [CheckResult("it loads", False, found)]
        loaded = CheckResult("it loads", True)
        try:
            async with trial_node(folder, plugin_dirs=[plugin_dir]) as node:
                node.deadlines.pending_timeout_ms = PENDING_TIMEOUT_MS
                node.deadlines.deadlock_timeout_ms = PENDING_TIMEOUT_MS
                trial = _Trial(node, await node.start_host(), found[0], properties)
                return [loaded, *[await trial.check(name, rule) for name, rule in trial.rules()]]
        except (TrialFailed, ClusterError) as error:
            return [loaded, CheckResult("its host lives", False, str(error))]


def _found(path_or_type: str, plugin_dir: str) -> list[str] | str:
    """The name of the type, or why there is none."""
    if not path_or_type.endswith(".py"):
        installed = load_plugins([])
        return [path_or_type] if path_or_type in installed.types else installed.unknown(path_or_type)
    path = os.path.abspath(path_or_type)
    if not os.path.isfile(path):
        return f"there is no file {path}"
    plugins = Plugins()
    load_file(path, plugins)
    if not plugins.types:
        return "; ".join(plugins.troubles)
    os.symlink(path, os.path.join(plugin_dir, os.path.basename(path)))
    return list(plugins.types)


def _short_folder() -> str:
    """The path of a Unix socket has at most 107 characters, and some temporary folders are deep."""
    folder = tempfile.gettempdir()
    return folder if len(folder) < 60 else "/tmp"


class _Trial:
    """The rules, in an order in which each can begin with the resource offline."""

    def __init__(self, node: TrialNode, host: TrialHost, type_name: str, properties: Mapping[str, Any]) -> None:
        self._node, self._host, self._type = node, host, type_name
        self._properties = properties
        self._generation = 1
        self._spawner = next(each.pid for each in processes().values() if each.parent_pid == host.started.pid)

    def rules(self) -> list[tuple[str, Callable[[], Awaitable[str]]]]:
        return [
            ("it refuses a property that it does not have", self._refuses_unknown_property),
            ("offline and terminate of what was never online succeed", self._stops_what_is_offline),
            ("online, checked, offline", self._comes_and_goes),
            ("online twice is online once", self._online_twice),
            ("after offline nothing is left", self._offline_leaves_nothing),
            ("it comes online again after offline", self._comes_again),
            ("terminate leaves nothing, and it comes online again", self._terminates),
            ("terminate while online is under way leaves nothing", self._terminates_pending),
            ("a killed workload is noticed", self._notices_kill),
            ("a restarted daemon finds it online", self._is_adopted),
            ("an older generation is refused", self._refuses_older),
            ("a fence leaves nothing but its claim", self._fences),
            ("the end of the run lease leaves nothing", self._lease_end_leaves_nothing),
        ]

    async def check(self, name: str, rule: Callable[[], Awaitable[str]]) -> CheckResult:
        try:
            return CheckResult(name, True, await rule())
        except (_Broken, TrialFailed, LinkEnded) as error:
            return CheckResult(name, False, str(error))
        finally:
            with contextlib.suppress(LinkEnded):
                await self._call("terminate")
            self._host.events.clear()
            self._generation += 1

    # ---- the rules ----

    async def _refuses_unknown_property(self) -> str:
        properties = {**self._properties, "no_such_property_of_it": 1}
        answer = await self._host.link.call(self._node.call("online", RESOURCE, self._type, properties))
        _expect(answer, host_pb2.OUTCOME_BAD_PROPERTIES, "online with an unknown property")
        return ""

    async def _stops_what_is_offline(self) -> str:
        for verb in ("offline", "terminate", "offline"):
            _expect(await self._call(verb), host_pb2.OUTCOME_DONE, verb)
        return ""

    async def _comes_and_goes(self) -> str:
        async with self._online():
            for verb in ("looks_alive", "is_alive"):
                answer = await self._call(verb)
                _expect(answer, host_pb2.OUTCOME_DONE, verb)
                if answer.health == host_pb2.HEALTH_UNKNOWN and answer.message:
                    raise _Broken(f"{verb} could not tell right after online succeeded: {answer.message}")
                if answer.health == host_pb2.HEALTH_NO or answer.health == host_pb2.HEALTH_UNSPECIFIED:
                    raise _Broken(f"{verb} said no right after online succeeded: {answer.message}")
        return ""

    async def _online_twice(self) -> str:
        async with self._online() as first:
            again = await self._call("online")
            _expect(again, host_pb2.OUTCOME_DONE, "the second online")
            if again.pid != first.pid:
                raise _Broken(f"the second online started it again: process {first.pid}, then {again.pid}")
        return ""

    async def _offline_leaves_nothing(self) -> str:
        async with self._online():
            count = len(self._left())
        self._expect_nothing_left("offline")
        return "" if count else "it has no processes of its own"

    async def _comes_again(self) -> str:
        for _ in range(2):
            async with self._online():
                continue
        return ""

    async def _terminates(self) -> str:
        async with self._online():
            _expect(await self._call("terminate"), host_pb2.OUTCOME_DONE, "terminate")
            self._expect_nothing_left("terminate")
        self._generation += 1
        async with self._online():
            return ""

    async def _terminates_pending(self) -> str:
        online = asyncio.create_task(self._call("online"))
        await self._node.until(lambda: online.done() or self._left(), PENDING_TIMEOUT_MS, what="the start of online")
        _expect(await self._call("terminate"), host_pb2.OUTCOME_DONE, "terminate beside online")
        answer = await online
        _expect(await self._call("terminate"), host_pb2.OUTCOME_DONE, "terminate after online")
        self._expect_nothing_left("terminate beside online")
        return f"online had ended: {answer.message or 'with success'}"

    async def _notices_kill(self) -> str:
        _expect(await self._call("online"), host_pb2.OUTCOME_DONE, "online")
        left = self._left()
        if not left:
            return "not tried: it has no processes of its own"
        for each in left:
            signal_process(each)
        await self._node.host_said(self._host, host_pb2.RESOURCE_EVENT_KIND_FAILED, NOTICE_WITHIN_MS)
        _expect(await self._call("terminate"), host_pb2.OUTCOME_DONE, "terminate after the failure")
        return ""

    async def _is_adopted(self) -> str:
        async with self._online() as online:
            self._host.link.close()
            self._host = await self._node.connect_host(self._host.started)
            found = [each for each in self._host.inventory.resources if each.resource == RESOURCE]
            if [(each.state, each.pid) for each in found] != [("online", online.pid)]:
                raise _Broken(f"the host told the next daemon {found}")
        return ""

    async def _refuses_older(self) -> str:
        async with self._online():
            call = self._node.call("offline", RESOURCE, self._type, self._properties, self._generation - 1)
            _expect(await self._host.link.call(call), host_pb2.OUTCOME_STALE, "offline of an older generation")
        return ""

    async def _fences(self) -> str:
        """An owner that is older than the fence gets nothing, also when nothing else of it is left; a newer one does."""
        answer = await self._call("fence")
        if answer.outcome != host_pb2.OUTCOME_DONE:
            if self._offers_fence():
                raise _Broken(
                    f"fence answered {host_pb2.Outcome.Name(answer.outcome)}: {answer.message or 'no message'}"
                )
            return "not tried: it offers none"
        self._expect_nothing_left("fence")
        _expect(await self._call("fence"), host_pb2.OUTCOME_DONE, "the second fence")
        self._generation += 1
        async with self._online():
            return answer.prepared

    def _offers_fence(self) -> bool:
        """With the properties of this trial."""
        described = next(each for each in self._host.inventory.types if each.name == self._type)
        trial = ResourceRecord(ResourceId(RESOURCE), GroupId(RESOURCE), self._type, private=self._properties)
        return refuses_old_owners(trial, described.abilities)

    async def _lease_end_leaves_nothing(self) -> str:
        """The last rule: afterwards the host is gone."""
        _expect(await self._call("online"), host_pb2.OUTCOME_DONE, "online")
        self._node.forget()
        self._node.is_renewing = False
        await self._node.guard_said("incarnation_ended")
        self._expect_nothing_left("the end of the lease")
        return ""

    # ---- steps ----

    @contextlib.asynccontextmanager
    async def _online(self) -> AsyncIterator[host_pb2.CallResult]:
        answer = await self._call("online")
        _expect(answer, host_pb2.OUTCOME_DONE, "online")
        self._expect_everything_contained()
        yield answer
        _expect(await self._call("offline"), host_pb2.OUTCOME_DONE, "offline")

    async def _call(self, verb: str) -> host_pb2.CallResult:
        call = self._node.call(verb, RESOURCE, self._type, self._properties, self._generation)
        return await self._host.link.call(call)

    def _left(self) -> list[ProcessSeen]:
        """Every process that was started for the resource and still runs: by its tag, or below the spawner, which has
        keepers of its very program between itself and them. Another trial beside this one is not looked at."""
        part = f":{self._node.incarnation}:{self._host.started.host_id}:{RESOURCE}."
        seen, program = look(), _command_line(self._spawner)
        below = (
            each for each in seen.with_descendants([self._spawner]) if _command_line(each.pid) not in ("", program)
        )
        tagged = (each for each in seen.processes.values() if part in (tag_of(each.pid) or ""))
        return [each for each in {*below, *tagged} if process(each.pid)]

    def _expect_everything_contained(self) -> None:
        """What descends from the host is a child of its spawner's, or carries the resource's tag, or is in its group."""
        seen, host = look(), self._host.started.pid
        contained = {host} | {each.pid for each in seen.with_descendants([self._spawner])}
        contained |= {each.pid for each in self._left()}
        loose = [each.pid for each in seen.with_descendants([host]) if each.pid not in contained and process(each.pid)]
        loose = [pid for pid in loose if f"/{RESOURCE}." not in _group_of(pid)]
        if loose:
            raise _Broken(f"processes {loose} run outside of the containment: start them through context.processes")

    def _expect_nothing_left(self, after: str) -> None:
        left = [each.pid for each in self._left()]
        if left:
            raise _Broken(f"processes {left} (by {TAG_VARIABLE}) still run after {after}, at {now_ms()} ms")


def _command_line(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _group_of(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _expect(answer: host_pb2.CallResult, outcome: "host_pb2.Outcome.ValueType", what: str) -> None:
    if answer.outcome != outcome:
        got, wanted = host_pb2.Outcome.Name(answer.outcome), host_pb2.Outcome.Name(outcome)
        raise _Broken(f"{what} answered {got}, not {wanted}: {answer.message or 'no message'}")
