"""How is a cluster validated, and where do reports go? I/O. Handlers.

Every node is asked at once what its machine is like; a node that does not answer is a finding, not an end. The disks that
are online are asked through their owners, every node looks whether it reaches them, and whether it could run the machines.
Disks that nobody uses are taken over in turn, after everybody has looked at them (disk_trials.py). Nothing else is changed
anywhere but one small file that each node writes and forgets.
"""

import asyncio
import json
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from aiohttp import web

from clusterd.api import jobs
from clusterd.api.desk import Desk
from clusterd.api.disk_trials import disk_trials
from clusterd.api.finding import found_in, observe
from clusterd.api.kept_reports import KeptReports
from clusterd.api.machine_setups import machine_setups
from clusterd.api.requests import json_answer
from clusterd.api.seen_disks import DISK_TYPE, disks_seen
from clusterd.api.times import time_text
from clusterd.api.validation_facts import disk_of, placed_disk
from clusterd.api.views import document
from clusterd.model.errors import BadInput, ClusterError
from clusterd.model.ids import NodeId, key_of
from clusterd.model.records import ResourceRecord
from clusterd.model.states import ResourceState
from clusterd.validation import BadChoice, Disk, NodeAnswer, choose, decode

FACTS_WITHIN_MS = 12_000
DISK_WITHIN_MS = 3_000
NAMES_MAX = 64
TRIAL = "disk-arbitration"
REPORTS = web.AppKey("reports", KeptReports)


class Validating:
    """Handlers of validation and of kept reports."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._port = desk, desk.port
        self._running = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/validation", self._validate),
            web.get("/v1/reports", self._reports),
            web.get("/v1/reports/{id}", self._report),
        ]

    async def _validate(self, request: web.Request) -> web.Response:
        try:
            chosen = choose(_names(request, "only"), _names(request, "skip"))
        except BadChoice as error:
            raise BadInput(str(error), hint="clusterctl validate --list names categories and tests") from error
        async with self._running:
            began_wall_ms = self._port.status().wall_ms
            seen = await self._seen(chosen)
            status = self._port.status()
            began, ended = time_text(began_wall_ms) or "", time_text(status.wall_ms) or ""
            shown = await self._desk.work(jobs.verdicts, status, seen, chosen, began, ended, is_heavy=True)
        try:
            kept = await asyncio.to_thread(request.app[REPORTS].keep, "validation", status.wall_ms, shown)
            return json_answer({**shown, "report": kept or None, "notes": []})
        except OSError as error:
            note = f"the report could not be kept on {status.node}: {error.strerror}"
            return json_answer({**shown, "report": None, "notes": [note]})

    async def _reports(self, request: web.Request) -> web.Response:
        ids = await asyncio.to_thread(request.app[REPORTS].ids)
        return json_answer(document(self._port.view(), self._port.status(), reports=ids))

    async def _report(self, request: web.Request) -> web.Response:
        return json_answer(await asyncio.to_thread(request.app[REPORTS].read, request.match_info["id"]))

    # ---- asking ----

    async def _seen(self, chosen: Collection[str]) -> jobs.Seen:
        view = self._port.view()
        names = [each.name for each in view.nodes()]
        properties = {str(each.name): each.private for each in view.resources() if each.type == DISK_TYPE}
        answers, disks, found = await asyncio.gather(
            asyncio.gather(*(self._ask(each) for each in names)),
            self._disks(),
            disks_seen(self._port, names, properties),
        )
        told: dict[str, NodeAnswer] = {}
        silent: dict[str, str] = {}
        for name, answer in zip(names, answers, strict=True):
            if isinstance(answer, NodeAnswer):
                told[name] = answer
            else:
                silent[name] = answer
        machines = await machine_setups(self._desk, told, silent)
        placed = tuple(placed_disk(self._port.view(), each, found) for each in disks)
        if TRIAL in chosen:
            trials = await disk_trials(self._port, placed)
            placed = tuple(replace(each, trial=trials.get(each.resource)) for each in placed)
        return jobs.Seen(placed, machines, told, silent)

    async def _ask(self, node: NodeId) -> NodeAnswer | str:
        """The node's answer, or why there is none."""
        peer = next((each for each in self._port.status().peers if each.node == node), None)
        if peer is not None and not peer.is_reachable:
            return f"{self._port.node} does not hear it"
        try:
            return decode(await self._port.ask_node(node, "facts", b"", FACTS_WITHIN_MS))
        except (ClusterError, ValueError) as error:
            return f"it did not say what its machine is like: {error}"

    async def _disks(self) -> list[Disk]:
        view, status = self._port.view(), self._port.status()
        records = [each for each in view.resources() if each.type == DISK_TYPE]
        groups = {key_of(name): observe(view, status, name) for name in dict.fromkeys(each.group for each in records)}
        states = [found_in(groups[key_of(each.group)], each).state for each in records]
        return list(await asyncio.gather(*map(self._disk, records, states)))

    async def _disk(self, record: ResourceRecord, state: ResourceState) -> Disk:
        if state is not ResourceState.ONLINE:
            return disk_of(record, state.value, {})
        try:
            said: Any = json.loads(await self._port.ask_owner(record.name, "status", b"", DISK_WITHIN_MS))
        except (ClusterError, ValueError) as error:
            return disk_of(record, state.value, {}, f"its owner does not say how it stands: {error}")
        return disk_of(record, state.value, said if isinstance(said, dict) else {})


def _names(request: web.Request, key: str) -> list[str]:
    names = [each for each in request.query.get(key, "").split(",") if each.strip()]
    if len(names) > NAMES_MAX:
        raise BadInput(f"{key} has at most {NAMES_MAX} names")
    return names
