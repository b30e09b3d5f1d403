"""What do operators ask of what runs? I/O. Handlers of online, offline, move, pause, drain, maintenance, stop and more."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from clusterd.api import jobs, maintenance, node_operations, operations
from clusterd.api.checks import refuse
from clusterd.api.desk import Desk
from clusterd.api.finding import find_node
from clusterd.api.kept_plans import KeptPlans
from clusterd.api.moves import MoveWish, cancel_move, group_move
from clusterd.api.mutations import answered_before, carry_out, changes_of, make_plan
from clusterd.api.node_operations import DrainWish
from clusterd.api.planning import answer_change
from clusterd.api.plans import OPERATOR, Asked, ChangeAsked, Planner, deed
from clusterd.api.requests import body, change_asked, flag, json_answer, name_in, switch_in, text_in
from clusterd.api.starting_again import RULE, end_of, runs_already
from clusterd.api.views import document
from clusterd.model import keys
from clusterd.model.errors import BadInput, NoQuorum
from clusterd.model.ids import NodeId
from clusterd.model.records import Json
from clusterd.model.states import FailbackMode, MoveKind

REASON_MAX = 200

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Operating:
    """Handlers of everything that an operator wishes of what runs."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._port = desk, desk.port

    def routes(self) -> list[web.RouteDef]:
        posts: dict[str, Handler] = {
            "/v1/groups/{name}/online": self._plain(operations.group_online),
            "/v1/groups/{name}/offline": self._plain(operations.group_offline),
            "/v1/groups/{name}/move": self._move,
            "/v1/groups/{name}/maintenance": self._maintenance("group"),
            "/v1/resources/{name}/online": self._plain(operations.resource_online),
            "/v1/resources/{name}/offline": self._plain(operations.resource_offline),
            "/v1/resources/{name}/fail": self._plain(operations.resource_fail),
            "/v1/resources/{name}/restart": self._plain(operations.resource_restart),
            "/v1/resources/{name}/kill": self._plain(operations.resource_kill),
            "/v1/resources/{name}/maintenance": self._maintenance("resource"),
            "/v1/nodes/{name}/pause": self._plain(node_operations.node_pause),
            "/v1/nodes/{name}/drain": self._drain,
            "/v1/nodes/{name}/resume": self._resume,
            "/v1/nodes/{name}/clear-quarantine": self._plain(node_operations.node_clear_quarantine),
            "/v1/nodes/{name}/fence": self._fence,
            "/v1/nodes/{name}/stop": self._stop,
            "/v1/nodes/{name}/maintenance": self._maintenance("node"),
            "/v1/cluster/maintenance": self._maintenance("cluster"),
        }
        return [web.post(path, handler) for path, handler in posts.items()]

    async def _carry_out(self, request: web.Request, planner: Planner) -> web.Response:
        return await answer_change(self._desk, request, planner)

    def _plain(self, make: Callable[[str], Planner]) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            await body(request, ())
            return await self._carry_out(request, deed(make, request.match_info["name"]))

        return handle

    # ---- groups ----

    async def _move(self, request: web.Request) -> web.StreamResponse:
        given = await body(request, ("target", "queue", "ignore_lock", "ignore_rules", "with_set", "cancel", "kind"))
        name = request.match_info["name"]
        if switch_in(given, "cancel"):
            if set(given) != {"cancel"}:
                raise BadInput("a move that is taken back has no target and no options")
            return await self._carry_out(request, deed(cancel_move, name))
        wish = MoveWish(
            name_in(given, "target", default=""),
            is_queued=switch_in(given, "queue"),
            ignores_lock=switch_in(given, "ignore_lock"),
            ignores_rules=switch_in(given, "ignore_rules"),
            kind=_kind_in(given),
            is_of_set=switch_in(given, "with_set"),
        )
        return await self._carry_out(request, deed(group_move, name, wish))

    # ---- nodes ----

    async def _drain(self, request: web.Request) -> web.StreamResponse:
        given = await body(request, ("target", "force", "retry"))
        wish = DrainWish(
            name_in(given, "target", default=""),
            is_forced=switch_in(given, "force"),
            is_retried=switch_in(given, "retry"),
        )
        return await self._carry_out(request, deed(node_operations.node_drain, request.match_info["name"], wish))

    async def _resume(self, request: web.Request) -> web.StreamResponse:
        given = await body(request, ("failback",))
        mode = text_in(given, "failback") or FailbackMode.NONE
        if mode not in list(FailbackMode):
            raise BadInput(f"failback is {', '.join(FailbackMode)}, not {mode!r}")
        return await self._carry_out(
            request, deed(node_operations.node_resume, request.match_info["name"], FailbackMode(mode))
        )

    async def _fence(self, request: web.Request) -> web.StreamResponse:
        given = await body(request, ("force",))
        planner = deed(node_operations.node_fence, request.match_info["name"], is_forced=switch_in(given, "force"))
        return await self._carry_out(request, planner)

    async def _stop(self, request: web.Request) -> web.StreamResponse:
        """Say so in the timeline, and tell the node's daemon. With force a node without quorum can be stopped as well."""
        given = await body(request, ("force",))
        is_forced = switch_in(given, "force")
        planner = deed(node_operations.node_stop, request.match_info["name"], is_forced=is_forced)
        change = await change_asked(request)
        if flag(request, "plan"):
            return json_answer(await self._planned_stop(planner, change))
        try:
            told = await carry_out(self._desk, planner, change)
        except NoQuorum:
            if not is_forced or change.expected is not None:
                raise
            told = self._unrecorded_stop(request.match_info["name"], change.request_id)
        changes = changes_of(told)
        if changes and not self._is_over(told, node := NodeId(changes[0]["name"])):
            await self._port.ask_node(node, "stop", OPERATOR.encode(), change.timeout_ms)
        return json_answer(told)

    def _is_over(self, told: dict[str, Any], node: NodeId) -> bool:
        """A repeated request stops no run of the node that began after it was asked first."""
        return bool(told["repeated"]) and self._port.view().revision_of(keys.membership(node)) > told["revision"]

    async def _planned_stop(self, planner: Planner, change: ChangeAsked) -> dict[str, Any]:
        """Kept nowhere: what is applied by an id is a transaction, and a stop is more than that."""
        kept = KeptPlans(self._port.node)
        told = await make_plan(self._desk, kept, planner, change)
        changes = changes_of(told)
        if not changes:
            return told
        asked = Asked(change.request_id, OPERATOR, self._port.status())
        down = f"node {changes[0]['name']} down"
        found = await self._desk.work(jobs.what_follows, down, asked, is_heavy=True)
        return {**told, "plan_id": None, "foresight": msgspec.Raw(found)}

    def _unrecorded_stop(self, name: str, by_id: str) -> dict[str, Any]:
        view = self._port.view()
        return document(
            view,
            self._port.status(),
            request_id=by_id,
            revision=view.revision,
            repeated=False,
            changed=True,
            plan_only=False,
            changes=[{"action": "stop", "kind": "node", "name": find_node(view, name).name, "details": []}],
            notes=["there is no quorum: it is written down nowhere, and nobody can confirm it"],
            wait_for=[],
        )

    # ---- maintenance ----

    def _maintenance(self, kind: str) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            given = await body(request, ("on", "reason", "look"))
            is_on, reason = _maintenance_in(given)
            name = request.match_info.get("name", "")
            change = await change_asked(request)
            notes: tuple[str, ...] = ()
            if not is_on and given.get("look", True) and not await answered_before(self._port, change):
                notes = await self._expect_nothing_there(kind, name)
            wish = deed(maintenance.maintenance, kind, name, is_on=is_on, reason=reason, notes=notes)
            return await self._carry_out(request, wish)

        return handle

    async def _expect_nothing_there(self, kind: str, name: str) -> tuple[str, ...]:
        """Raise Refused when what would be started runs somewhere already. Returns of what that is not known."""
        end = end_of(self._port.view(), kind, name)
        found = await runs_already(self._port, kind, name)
        hint = f"stop it there first; or end the maintenance without looking: {end} --no-look"
        refuse(found.there, "maintenance does not end, for a second copy would start", hint=hint, rule=RULE)
        return found.unheard


def _maintenance_in(given: dict[str, Json]) -> tuple[bool, str]:
    if not isinstance(given.get("look", True), bool):
        raise BadInput(
            "'look' is true or false", hint="false ends a maintenance without asking whether it runs elsewhere"
        )
    if not isinstance(given.get("on"), bool):
        raise BadInput("'on' is true or false", hint='as in {"on": true, "reason": "new firmware"}')
    reason = text_in(given, "reason") or ""
    if len(reason) > REASON_MAX or not reason.isprintable():
        raise BadInput(f"a reason has at most {REASON_MAX} characters that can be printed, in one line")
    return given["on"] is True, reason


def _kind_in(given: Mapping[str, Any]) -> MoveKind:
    word = str(given.get("kind") or "")
    try:
        return MoveKind(word)
    except ValueError:
        raise BadInput(f"there is no kind of move {word!r}: live, quick, shutdown or turn-off") from None
