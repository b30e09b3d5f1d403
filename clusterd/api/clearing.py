"""How are claims on a disk ended at an operator's wish? I/O. Handlers.

A node that reaches the disk says which claims there are. What may be ended is written down first, with compares on all that
it rests on (disk_claims.py); then that node ends exactly those keys. What became of it is an event as well.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from aiohttp import web

from clusterd.api.checks import refuse
from clusterd.api.desk import Desk
from clusterd.api.disk_claims import ClaimsSeen, claims_of, clear_claims, expect_clearable, tell_outcome
from clusterd.api.finding import find_node, find_resource
from clusterd.api.kept_plans import KeptPlans
from clusterd.api.mutations import answered_before, carry_out, changes_of, make_plan
from clusterd.api.plans import ChangeAsked, deed
from clusterd.api.requests import body, change_asked, flag, json_answer, name_in
from clusterd.api.seen_disks import DISK_TYPE, is_heard
from clusterd.api.validation_facts import possible_owners
from clusterd.model.errors import BadInput, ClusterError
from clusterd.model.ids import NodeId
from clusterd.model.records import ResourceRecord

ASK_WITHIN_MS = 9_000
END_WITHIN_MS = 15_000
"""From the look at the claims to the end of the last one: the commit lies in between."""
KEYS_MAX = 256
KEY_LENGTH = len("0x0123456789abcdef")


class Clearing:
    """Handlers of the claims of others."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._port = desk, desk.port

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/v1/resources/{name}/clear-claim", self._clear)]

    async def _clear(self, request: web.Request) -> web.Response:
        given = await body(request, ("node", "keys"))
        change = await change_asked(request)
        wanted = _keys_in(given.get("keys"))
        if first := await answered_before(self._port, change):
            return json_answer({**first, "node": None, "claims": [], "ended": []})
        record = find_resource(self._port.view(), request.match_info["name"])
        expect_clearable(self._port.view(), record, is_quorate=self._port.status().is_quorate)
        seen = await self._seen(record, name_in(given, "node", default=""))
        planner = deed(clear_claims, record.name, seen, wanted)
        found = {"node": seen.node, "claims": [_view(each) for each in seen.claims]}
        if flag(request, "plan"):
            kept = KeptPlans(self._port.node)  # kept nowhere: a transaction is only a part of this
            told = await make_plan(self._desk, kept, planner, change)
            return json_answer({**told, **found, "plan_id": None, "foresight": None})
        told = await carry_out(self._desk, planner, change)
        changes = changes_of(told)
        if not changes:
            return json_answer({**told, **found, "ended": []})
        keys = [str(each["name"]) for each in changes if each["kind"] == "claim"]
        ended = await self._end(record, seen, keys, change)
        return json_answer({**told, **found, "ended": ended})

    async def _seen(self, record: ResourceRecord, node: str) -> ClaimsSeen:
        """By the node that was named, or the first possible owner that reaches the disk. Raises Refused when none does."""
        view = self._port.view()
        owners = possible_owners(view, view.resources_of(record.group))
        names = [find_node(view, node).name] if node else [NodeId(each) for each in owners]
        troubles = []
        for each in names:
            if not is_heard(self._port, each):
                troubles.append(f"{self._port.node} does not hear {each}")
                continue
            try:
                told = await self._ask(record, each, "claims")
                if "claims" in told:
                    return ClaimsSeen(each, record.private, claims_of(told["claims"]), int(told["now_ms"]))
                troubles.append(f"from {each}: {told.get('trouble')}")
            except (ClusterError, ValueError, KeyError, TypeError) as error:
                troubles.append(f"{each} does not say: {error}")
        hint = "mend the way to it, or name a node that reaches it with --node"
        refuse(
            troubles or ["it has no possible owner"], f"no node reaches {record.name}", hint=hint, rule="disk-reached"
        )
        raise AssertionError("refuse raises")

    async def _end(
        self, record: ResourceRecord, seen: ClaimsSeen, keys: Sequence[str], change: ChangeAsked
    ) -> list[str]:
        """Which were ended. Raises ClusterError with what stopped it, which is in the timeline then too."""
        because, ended = "", list[str]()
        try:
            told = await self._ask(record, seen.node, "end-claims", keys=keys, until_ms=seen.at_ms + END_WITHIN_MS)
            because = str(told.get("alive") or told.get("trouble") or "")
            ended = [str(each) for each in told.get("ended", ())]
            left = [each for each in told.get("left", ()) if each in keys]
            if left and not because:
                because = f"{', '.join(map(str, left))} came back at once: whoever made it is there"
        except (ClusterError, ValueError) as error:
            because = f"{seen.node} did not say whether it did: {error}"
        planner = deed(tell_outcome, record.name, ended, because)
        await carry_out(self._desk, planner, replace(change, request_id=f"{change.request_id}.told", expected=None))
        hint = "nobody may use the disk: see who does, then repeat the command"
        refuse([because] if because else [], f"claims on {record.name} were not ended", hint=hint, rule="claim-kept")
        return ended

    async def _ask(self, record: ResourceRecord, node: NodeId, question: str, **more: Any) -> dict[str, Any]:
        view = self._port.view()
        asked = {
            "cluster": view.cluster().id,
            "node": node,
            "disk": record.name,
            "properties": record.private,
            "nodes": [each.name for each in view.nodes()],
            **more,
        }
        told = json.loads(
            await self._port.ask_type(node, DISK_TYPE, question, json.dumps(asked).encode(), ASK_WITHIN_MS, record.name)
        )
        if not isinstance(told, dict):
            raise ValueError("its answer is none")
        return told


def _view(claim: Any) -> dict[str, Any]:
    return {
        "key": claim.key,
        "is_holder": claim.is_holder,
        "is_ours": claim.is_ours,
        "generation": claim.generation if claim.is_ours else None,
        "nodes": list(claim.nodes),
        "owner": claim.owner or None,
        "text": str(claim),
    }


def _keys_in(given: Any) -> list[str] | None:
    if given is None:
        return None
    is_list = isinstance(given, list) and len(given) <= KEYS_MAX
    if not is_list or not all(isinstance(each, str) and len(each) == KEY_LENGTH for each in given):
        raise BadInput("keys is a list of keys as they are shown", hint='as in {"keys": ["0x0123456789abcdef"]}')
    return list(given)
