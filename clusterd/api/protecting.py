"""How is a machine brought under the cluster's protection? I/O. Handlers of the wizard.

Every node is asked which definitions it has and where their files lie; what follows from it is judged by `clusterd.wizard`.
What was judged is kept as a report, also when it was refused.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import web

from clusterd.api import jobs
from clusterd.api.desk import Desk
from clusterd.api.edits_machines import protect_machine
from clusterd.api.machine_surroundings import folders_of, protected_definitions
from clusterd.api.mutations import answered_before, carry_out, make_plan
from clusterd.api.planning import PLANS
from clusterd.api.plans import deed
from clusterd.api.requests import body, change_asked, flag, json_answer, names_in, switch_in, text_in
from clusterd.api.seen_disks import disks_seen
from clusterd.api.times import time_text
from clusterd.api.validating import REPORTS
from clusterd.api.views import document
from clusterd.model.errors import BadInput, Busy, ClusterError, Refused
from clusterd.model.ids import NodeId, name_problem
from clusterd.model.records import Json
from clusterd.model.states import Wanted
from clusterd.validation import MachineFacts, decode
from clusterd.wizard import (
    ClusterDisk,
    Eligibility,
    MachinePlan,
    NodeDefinitions,
    Surroundings,
    Wish,
    decode_definitions,
    machine_plan,
    with_disks,
)
from clusterd.wizard.plan import CONFIGURATION_TYPE

ASK_WITHIN_MS = 12_000
PATH_MAX = 4096
DISKS_MAX = 16


class Protecting:
    """Handlers of candidates and of protection."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._port = desk, desk.port

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/machines/candidates", self._candidates), web.post("/v1/machines", self._protect)]

    async def _candidates(self, request: web.Request) -> web.Response:
        """Every definition that any node has, and what speaks against protecting it."""
        paths = [each for each in request.query.getall("definition", []) if each]
        told, around, silent = await self._look(paths)
        known = dict.fromkeys(each.path for answer in told.values() for each in answer.definitions)
        judged = await self._judged(sorted(known), told, around, Wish())
        shown = [judgement_view(each) for each in judged]
        view, status = self._port.view(), self._port.status()
        return json_answer(document(view, status, candidates=shown, silent=silent, folders=folders_of(view)))

    async def _protect(self, request: web.Request) -> web.Response:
        given = await body(
            request, ("name", "definition", "owners", "disks", "new_disks", "allow_running", "wanted", "properties")
        )
        wish = Wish(names_in(given, "owners") or (), names_in(given, "disks") or (), switch_in(given, "allow_running"))
        new_disks, properties = _disks_in(given), _object_in(given, "properties")
        wanted = Wanted.OFFLINE if given.get("wanted") == "offline" or wish.allows_running else Wanted.ONLINE
        first = await answered_before(self._port, await change_asked(request))
        told, around, silent = await self._look([_definition_in(given)], new_disks)
        if not told:
            said = "; ".join(f"{node}: {why}" for node, why in silent.items())
            raise Busy(
                f"no node said which definitions it has: {said}", hint="nothing was changed; try again in a moment"
            )
        (judged,) = await self._judged([_definition_path(given, told)], told, around, wish)
        judged = with_disks(judged, await self._reached(judged, new_disks))
        if first is not None:
            return json_answer({**first, "judgement": judgement_view(judged), "report": None})
        if judged.refusals:
            report = await self._keep(request, judged, None)
            raise Refused(
                f"{judged.name} cannot be protected: {'; '.join(judged.refusals)}",
                hint=_kept_at(self._port.node, report),
                rule="wizard",
            )
        name = text_in(given, "name") or ""
        plan = machine_plan(judged, around, name=name, new_disks=new_disks, machine_properties=properties)
        outcome = await self._carry_out(request, plan, wanted)
        report = "" if flag(request, "plan") else await self._keep(request, judged, plan)
        return json_answer({**outcome, "judgement": judgement_view(judged), "report": report or None})

    async def _carry_out(self, request: web.Request, plan: MachinePlan, wanted: Wanted) -> dict[str, Any]:
        planner = deed(protect_machine, plan, wanted=wanted)
        change = await change_asked(request)
        if flag(request, "plan"):
            kept = request.app[PLANS]
            return await make_plan(self._desk, kept, planner, change)
        return await carry_out(self._desk, planner, change)

    async def _keep(self, request: web.Request, judged: Eligibility, plan: MachinePlan | None) -> str:
        """A report that cannot be written stops nobody."""
        status = self._port.status()
        told = {
            "schema": 1,
            "when": time_text(status.wall_ms),
            "node": status.node,
            "judgement": judgement_view(judged),
            "plan": plan_view(plan) if plan else None,
        }
        try:
            return await asyncio.to_thread(request.app[REPORTS].keep, "protect", status.wall_ms, told)
        except OSError:
            return ""

    # ---- asking ----

    async def _look(
        self, definitions: Sequence[str], new_disks: dict[str, dict[str, Json]] | None = None
    ) -> tuple[dict[str, NodeDefinitions], Surroundings, dict[str, str]]:
        view = self._port.view()
        wanted = [*definitions, *protected_definitions(view)]
        question = json.dumps({"definitions": list(dict.fromkeys(wanted)), "folders": folders_of(view)}).encode()
        nodes = [each.name for each in view.nodes()]
        answers = await asyncio.gather(*(self._ask(each, question) for each in nodes))
        told = {node: each[0] for node, each in zip(nodes, answers, strict=True) if each[0] is not None}
        silent = {str(node): each[2] for node, each in zip(nodes, answers, strict=True) if each[2]}
        machines = {str(node): each[1] for node, each in zip(nodes, answers, strict=True) if each[1] is not None}
        planned = [_planned_disk(name, given) for name, given in (new_disks or {}).items()]
        data = await self._desk.work(jobs.around, self._port.status(), machines, silent, planned, is_heavy=True)
        around = msgspec.msgpack.decode(data, type=Surroundings)
        return {str(node): each for node, each in told.items()}, around, silent

    async def _judged(
        self, paths: Sequence[str], told: dict[str, NodeDefinitions], around: Surroundings, wish: Wish
    ) -> list[Eligibility]:
        data = await self._desk.work(jobs.eligibilities, paths, told, around, wish, is_heavy=True)
        return msgspec.msgpack.decode(data, type=list[Eligibility])

    async def _reached(self, judged: Eligibility, new_disks: dict[str, dict[str, Json]]) -> dict[str, dict[str, str]]:
        """What keeps each possible owner from each of its disks now; empty: nothing."""
        records = {str(each.name): each.private for each in self._port.view().resources()}
        needed = dict.fromkeys([*new_disks, *(each.resource for each in judged.disks)])
        properties = {name: new_disks.get(name) or records.get(name, {}) for name in needed}
        seen = await disks_seen(self._port, [NodeId(each) for each in judged.owners], properties)
        return {node: {name: each.trouble for name, each in found.items()} for node, found in seen.items()}

    async def _ask(self, node: NodeId, question: bytes) -> tuple[NodeDefinitions | None, MachineFacts | None, str]:
        """What a node says, or why it says nothing."""
        peer = next((each for each in self._port.status().peers if each.node == node), None)
        if peer is not None and not peer.is_reachable:
            return None, None, f"{self._port.node} does not hear it"
        try:
            definitions, facts = await asyncio.gather(
                self._port.ask_type(node, CONFIGURATION_TYPE, "definitions", question, ASK_WITHIN_MS),
                self._port.ask_node(node, "facts", b"", ASK_WITHIN_MS),
            )
            answer = decode(facts)
            if answer.trouble:
                return None, None, answer.trouble
            return decode_definitions(definitions), answer.machine, ""
        except (ClusterError, ValueError) as error:
            return None, None, f"it did not say what it has: {error}"


def judgement_view(judged: Eligibility) -> dict[str, Any]:
    return {
        "name": judged.name,
        "definition": judged.path,
        "eligible": judged.is_eligible,
        "owners": list(judged.owners),
        "refusals": list(judged.refusals),
        "warnings": list(judged.warnings),
        "disks": [disk.resource for disk in judged.disks],
        "group": judged.group or None,
        "memory_mib": judged.memory_mib,
        "cores": judged.cores,
        "running": judged.is_running,
    }


def plan_view(plan: MachinePlan) -> dict[str, Any]:
    return {
        "group": plan.group,
        "joins": plan.joins,
        "machine": plan.machine,
        "warnings": list(plan.warnings),
        "resources": [
            {"name": each.name, "type": each.type, "depends_on": each.depends_on, "owners": list(each.possible_owners)}
            for each in plan.resources
        ],
    }


def _kept_at(node: str, report: str) -> str:
    return f"nothing was changed; {node} keeps the report: clusterctl reports {report}" if report else ""


def _definition_in(given: dict[str, Json]) -> str:
    text = text_in(given, "definition") or ""
    if not text or len(text) > PATH_MAX or "\0" in text:
        raise BadInput("definition is the path of a definition, or the name of one", hint="GET /v1/machines/candidates")
    return text


def _definition_path(given: dict[str, Json], told: dict[str, NodeDefinitions]) -> str:
    """The nodes say which path a bare name means."""
    wanted = _definition_in(given)
    if "/" in wanted:
        return wanted
    found = [
        each for answer in told.values() for each in answer.definitions if each.name == wanted.removesuffix(".toml")
    ]
    present = [each.path for each in found if not each.trouble]
    return next(iter(dict.fromkeys([*present, *(each.path for each in found)])), wanted)


def _disks_in(given: dict[str, Json]) -> dict[str, dict[str, Json]]:
    found = _object_in(given, "new_disks")
    if len(found) > DISKS_MAX or any(name_problem(name) or not isinstance(each, dict) for name, each in found.items()):
        raise BadInput(f"new_disks is an object of at most {DISKS_MAX} names, each with the properties of a disk")
    return {name: dict(each) for name, each in found.items() if isinstance(each, dict)}


def _object_in(given: dict[str, Json], key: str) -> dict[str, Json]:
    value = given.get(key) or {}
    if not isinstance(value, dict):
        raise BadInput(f"{key} is an object")
    return value


def _planned_disk(name: str, given: dict[str, Json]) -> ClusterDisk:
    return ClusterDisk(
        name,
        "",
        str(given.get("mount_point", "")),
        str(given.get("device", "") or given.get("image", "")),
        str(given.get("volume_id", "")),
    )
