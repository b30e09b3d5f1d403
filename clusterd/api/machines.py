"""How are machines seen and handled? I/O. Handlers that ask the owner's host of a machine.

A machine is a resource of type virtual_machine; it may also be called by the name of its group when that has just one. Start
and stop are wishes about the resource like any other; the verbs here are what only the running machine can answer.
"""

import asyncio
import base64
import json
from typing import Any

from aiohttp import web

from clusterd.api.finding import find_group, find_resource, observe
from clusterd.api.group_views import resource_view
from clusterd.api.mutations import answered_before, claim_once
from clusterd.api.observed import ObservedGroup
from clusterd.api.port import ClusterPort, NodeStatus
from clusterd.api.reading import freshen
from clusterd.api.requests import body, change_asked, json_answer, text_in, timeout_ms
from clusterd.api.views import document
from clusterd.database import DatabaseView
from clusterd.model.errors import BadInput, ClusterError, NotFound, Refused
from clusterd.model.ids import key_of
from clusterd.model.records import ResourceRecord
from clusterd.model.settings_check import nearest
from clusterd.model.states import ResourceState
from clusterd.wizard.plan import MACHINE_TYPE

STATUS_WITHIN_MS = 2_000
ASKED_AT_ONCE_MAX = 32
ACTION_MAX = 32
VERBS = ("power-button", "reset", "next-offline-action", "migration-bandwidth")
"""What may be ordered of a running machine. The rest of what its type can is asked through other paths."""


class Machines:
    """Handlers of machines."""

    def __init__(self, port: ClusterPort) -> None:
        self._port = port

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/machines", self._list),
            web.get("/v1/machines/{name}", self._show),
            web.get("/v1/machines/{name}/console", self._console),
            web.get("/v1/machines/{name}/screenshot", self._screenshot),
            web.post("/v1/machines/{name}/order", self._order),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        await freshen(self._port, request)
        view, status = self._port.view(), self._port.status()
        records = [each for each in view.resources() if each.type == MACHINE_TYPE]
        groups = {key_of(name): observe(view, status, name) for name in dict.fromkeys(each.group for each in records)}
        found = [(groups[key_of(each.group)], each) for each in records]
        at_once = asyncio.Semaphore(ASKED_AT_ONCE_MAX)

        async def ask(group: ObservedGroup, record: ResourceRecord) -> dict[str, Any]:
            async with at_once:
                return await self._shown(status, group, record)

        shown = await asyncio.gather(*(ask(group, record) for group, record in found))
        shown = sorted(shown, key=lambda each: key_of(str(each["name"])))
        return json_answer(document(self._port.view(), self._port.status(), machines=shown))

    async def _show(self, request: web.Request) -> web.Response:
        await freshen(self._port, request)
        record = find_machine(self._port.view(), request.match_info["name"])
        group = observe(self._port.view(), self._port.status(), record.group)
        shown = await self._shown(self._port.status(), group, record)
        return json_answer(document(self._port.view(), self._port.status(), machines=[shown]))

    async def _shown(self, status: NodeStatus, group: ObservedGroup, record: ResourceRecord) -> dict[str, Any]:
        """What is known, and what QEMU says; without an answer in time the rest is shown alone."""
        found = next(each for each in group.resources if key_of(each.record.name) == key_of(record.name))
        view = resource_view(status, group, found)
        guest: dict[str, Any] | None = None
        trouble = ""
        if found.state is ResourceState.ONLINE:
            try:
                guest = json.loads(await self._port.ask_owner(record.name, "status", b"", STATUS_WITHIN_MS))
            except (ClusterError, ValueError) as error:
                trouble = str(error)
        return {
            "name": record.name,
            "group": record.group,
            "owner": group.owner,
            "state": view["state"],
            "wanted": view["wanted"],
            "since": view.get("since"),
            "because": view.get("because"),
            "definition": record.private.get("configuration"),
            "memory_demand_mib": record.properties.get("memory_demand", 0),
            "core_demand": record.properties.get("core_demand", 0),
            "guest": guest,
            "trouble": trouble or None,
        }

    async def _console(self, request: web.Request) -> web.Response:
        """Where its serial line can be reached, on the node that runs it."""
        record, owner = self._running(request.match_info["name"])
        path = await self._port.ask_owner(record.name, "console", b"", timeout_ms(request))
        view, status = self._port.view(), self._port.status()
        return json_answer(document(view, status, machine=record.name, node=owner, path=path.decode()))

    async def _screenshot(self, request: web.Request) -> web.Response:
        record, _ = self._running(request.match_info["name"])
        png = await self._port.ask_owner(record.name, "screenshot", b"", timeout_ms(request))
        view, status = self._port.view(), self._port.status()
        return json_answer(document(view, status, machine=record.name, png=base64.b64encode(png).decode()))

    async def _order(self, request: web.Request) -> web.Response:
        given = await body(request, ("verb", "action"))
        verb, action = text_in(given, "verb") or "", text_in(given, "action") or ""
        if verb not in VERBS:
            raise BadInput(f"there is no order {verb!r}: {nearest(verb, list(VERBS))}")
        if len(action) > ACTION_MAX:
            raise BadInput(f"an action has at most {ACTION_MAX} characters")
        change = await change_asked(request)
        if first := await answered_before(self._port, change):
            return json_answer(first)
        record, owner = self._running(request.match_info["name"])
        answer = {"machine": record.name, "node": owner, "verb": verb}
        if first := await claim_once(self._port, change, answer):
            return json_answer(first)
        await self._port.ask_owner(record.name, verb, action.encode(), change.timeout_ms)
        return json_answer(document(self._port.view(), self._port.status(), **answer, repeated=False))

    def _running(self, name: str) -> tuple[ResourceRecord, str]:
        record = find_machine(self._port.view(), name)
        group = observe(self._port.view(), self._port.status(), record.group)
        found = next(each for each in group.resources if key_of(each.record.name) == key_of(record.name))
        # What was left alone when it failed (maintenance) may run all the same: whoever is there can say so.
        may_run = found.state is ResourceState.ONLINE or (found.report is not None and found.report.may_run)
        if not may_run or not group.owner:
            hint = f"clusterctl vm start {record.name}"
            raise Refused(f"machine {record.name} is {found.state}: only what runs can be asked", hint=hint)
        return record, group.owner


def find_machine(view: DatabaseView, name: str) -> ResourceRecord:
    """By its own name, or by that of its group. Raises NotFound."""
    named = view.resource(name)
    if named is not None and named.type == MACHINE_TYPE:
        return named
    if view.group(name) is not None:
        group = find_group(view, name)
        machines = [each for each in view.resources_of(group.name) if each.type == MACHINE_TYPE]
        if len(machines) == 1:
            return machines[0]
        if machines:
            told = ", ".join(each.name for each in machines)
            raise NotFound(f"group {group.name} has several machines: {told}", hint="name one of them")
    if named is not None:
        raise NotFound(f"{named.name} is no machine but a {named.type}", hint="clusterctl vm list")
    find_resource(view, name)
    raise NotFound(f"there is no machine {name}", hint="clusterctl vm list")
