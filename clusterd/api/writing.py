"""Which changes does the API make? I/O. Any node takes them; each is planned, checked, committed and answered in one way."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from clusterd.api import configuration, edits_groups, edits_resources, jobs
from clusterd.api.apply import apply_text
from clusterd.api.conditions import parse_condition
from clusterd.api.desk import Desk
from clusterd.api.planning import answer_change
from clusterd.api.plans import Planner, deed
from clusterd.api.requests import (
    body,
    body_text,
    flag,
    json_answer,
    name_in,
    names_in,
    properties_in,
    text_in,
    timeout_ms,
    wanted_in,
)
from clusterd.api.stream import Streams
from clusterd.api.views import document
from clusterd.model.errors import BadInput, Busy, NotFound

WAIT_MAX_MS = 30_000
LOOK_AGAIN_MS = 200
TYPES_WAIT_MAX_MS = 2500
CONDITIONS_MAX = 1000
LOOKED_AT_ONCE_MAX = 50
REST_FOR_WORK = 4

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Writing:
    """Handlers of everything that changes something, and of waiting for it."""

    def __init__(self, desk: Desk, streams: Streams) -> None:
        self._desk, self._port = desk, desk.port
        self._streams = streams

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/apply", self._apply),
            web.post("/v1/wait", self._wait),
            *configuration.write_routes(self._carry_out),
            web.post("/v1/groups", self._group_create),
            web.patch("/v1/groups/{name}", self._group_set),
            web.delete("/v1/groups/{name}", self._deleting(edits_groups.group_delete)),
            web.post("/v1/resources", self._resource_create),
            web.patch("/v1/resources/{name}", self._resource_set),
            web.delete("/v1/resources/{name}", self._deleting(edits_resources.resource_delete)),
        ]

    async def _carry_out(self, request: web.Request, planner: Planner) -> web.Response:
        return await answer_change(self._desk, request, planner)

    def _deleting(self, make: Callable[[str], Planner]) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            await body(request, ())
            return await self._carry_out(request, deed(make, request.match_info["name"]))

        return handle

    async def _apply(self, request: web.Request) -> web.Response:
        text = await body_text(request)
        if "resource" in text:
            await self._types_known()
        return await self._carry_out(request, deed(apply_text, text, prune=flag(request, "prune")))

    async def _types_known(self) -> None:
        """Right after the start of a cluster its hosts have not said yet which types there are: give them a moment."""
        loop = asyncio.get_running_loop()
        until = loop.time() + TYPES_WAIT_MAX_MS / 1000
        while not self._port.view().resource_types() and loop.time() < until and not self._streams.is_closing:
            await self._streams.wait(self._port.view().revision, LOOK_AGAIN_MS)

    async def _group_create(self, request: web.Request) -> web.Response:
        given = await body(request, ("name", "properties", "preferred_owners", "wanted"))
        edit = edits_groups.GroupEdit(properties_in(given), names_in(given, "preferred_owners"), wanted_in(given))
        return await self._carry_out(request, deed(edits_groups.group_create, name_in(given, "name"), edit))

    async def _group_set(self, request: web.Request) -> web.Response:
        given = await body(request, ("properties", "preferred_owners"))
        edit = edits_groups.GroupEdit(properties_in(given), names_in(given, "preferred_owners"))
        return await self._carry_out(request, deed(edits_groups.group_set, request.match_info["name"], edit))

    async def _resource_create(self, request: web.Request) -> web.Response:
        given = await body(request, ("name", "group", "type", "properties", "possible_owners", "depends_on", "wanted"))
        edit = edits_resources.ResourceEdit(
            properties_in(given) or {},
            names_in(given, "possible_owners"),
            text_in(given, "depends_on"),
            wanted_in(given),
        )
        name, group, kind = name_in(given, "name"), name_in(given, "group"), name_in(given, "type")
        await self._types_known()
        return await self._carry_out(request, deed(edits_resources.resource_create, name, group, kind, edit))

    async def _resource_set(self, request: web.Request) -> web.Response:
        given = await body(request, ("properties", "possible_owners", "depends_on"))
        edit = edits_resources.ResourceEdit(
            properties_in(given), names_in(given, "possible_owners"), text_in(given, "depends_on")
        )
        return await self._carry_out(request, deed(edits_resources.resource_set, request.match_info["name"], edit))

    # ---- waiting ----

    async def _wait(self, request: web.Request) -> web.Response:
        """Answer once every condition holds, one can hold no more, or the time is up; the client asks again."""
        given = await body(request, ("for", "timeout_ms", "after_revision"))
        wanted = given.get("for")
        wanted = [wanted] if isinstance(wanted, str) else wanted
        if not isinstance(wanted, list) or not wanted or len(wanted) > CONDITIONS_MAX:
            raise BadInput("'for' is a condition or a list of them", hint='as in {"for": "group web online"}')
        texts = [str(each) for each in wanted]
        for each in texts:
            parse_condition(each)
        await self._names_known(texts, timeout_ms(request))
        longest_ms = _bounded(given.get("timeout_ms", WAIT_MAX_MS), WAIT_MAX_MS)
        after_revision = _bounded(given.get("after_revision", 0), 1 << 62)
        loop = asyncio.get_running_loop()
        until = loop.time() + longest_ms / 1000
        while True:
            revision = self._port.view().revision
            began = loop.time()
            found = [] if revision < after_revision else await self._look_if_possible(texts)
            cost_ms = int((loop.time() - began) * 1000)
            is_over = bool(found) and (
                all(each["reached"] for each in found) or any(each["impossible"] for each in found)
            )
            left_ms = int((until - loop.time()) * 1000)
            if is_over or left_ms <= 0 or self._streams.is_closing:
                break
            # However many wait, and for however much: looking takes a small part of the time.
            await self._streams.wait(revision, min(left_ms, cost_ms * REST_FOR_WORK), watches_changes=False)
            await self._streams.wait(revision, min(left_ms, LOOK_AGAIN_MS))
        reached = bool(found) and all(each["reached"] for each in found)
        impossible = any(each["impossible"] for each in found)
        answer = document(
            self._port.view(), self._port.status(), reached=reached, impossible=impossible, conditions=found
        )
        return json_answer(answer)

    async def _names_known(self, texts: list[str], longest_ms: int) -> None:
        """Raises NotFound for a name that there is not, rather than wait for it; this copy may be behind the others."""
        try:
            await self._look(texts)
        except NotFound:
            await self._port.linearizable(longest_ms)

    async def _look_if_possible(self, texts: list[str]) -> list[dict[str, Any]]:
        """Nothing while too many others look."""
        with contextlib.suppress(Busy):
            return await self._look(texts)
        return []

    async def _look(self, texts: list[str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for start in range(0, len(texts), LOOKED_AT_ONCE_MAX):
            part = texts[start : start + LOOKED_AT_ONCE_MAX]
            found += await self._desk.work(jobs.look, self._port.status(), part)
            await asyncio.sleep(0)
        return found


def _bounded(value: object, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise BadInput(f"expected a whole number, not {value!r}")
    return min(value, most)
