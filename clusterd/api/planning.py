"""How is a change asked for: now, as a plan, by a plan's id, or only imagined? I/O. Handlers."""

import msgspec
from aiohttp import web

from clusterd.api import jobs
from clusterd.api.desk import Desk
from clusterd.api.foreseeing import parse_what_if
from clusterd.api.kept_plans import KeptPlans
from clusterd.api.mutations import apply_plan, carry_out, make_plan
from clusterd.api.plans import OPERATOR, Asked, Planner
from clusterd.api.requests import body, change_asked, document_answer, flag, json_answer, number
from clusterd.api.times import time_text
from clusterd.api.views import document
from clusterd.model.errors import BadInput

IMAGINED = "what-if"
FAILURES_MAX = 16
CHANGE_MAX = 1000
LIGHT_BODY_BYTES_MAX = 8192
PLANS = web.AppKey("plans", KeptPlans)


async def answer_change(desk: Desk, request: web.Request, planner: Planner) -> web.Response:
    """Carry a change out, or with `?plan=1` say what would follow and keep it under an id."""
    change = await change_asked(request)
    if flag(request, "plan"):
        outcome = await make_plan(desk, request.app[PLANS], planner, change)
    else:
        outcome = await carry_out(desk, planner, change, is_heavy=len(await request.read()) > LIGHT_BODY_BYTES_MAX)
    return json_answer(outcome)


class Planning:
    """Handlers of plans, of what-if and of capacity."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._port = desk, desk.port

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/plans/{id}", self._show),
            web.post("/v1/plans/{id}", self._apply),
            web.get("/v1/what-if", self._what_if),
            web.get("/v1/capacity", self._capacity),
        ]

    async def _show(self, request: web.Request) -> web.Response:
        view, status = self._port.view(), self._port.status()
        kept = request.app[PLANS].find(request.match_info["id"], status.cluster_ms)
        shown = document(
            view,
            status,
            plan_id=kept.id,
            made_at_revision=kept.revision,
            made=time_text(status.wall_ms - (status.cluster_ms - kept.made_cluster_ms)),
            applied=bool(kept.outcome),
            foresight=msgspec.Raw(kept.made["foresight"]),
            **{key: msgspec.Raw(value) for key, value in kept.made["told"].items()},
        )
        return json_answer(shown)

    async def _apply(self, request: web.Request) -> web.Response:
        await body(request, ())
        plan_id = request.match_info["id"]
        outcome = await apply_plan(self._port, request.app[PLANS], plan_id, await change_asked(request))
        return json_answer(outcome)

    async def _what_if(self, request: web.Request) -> web.Response:
        """Answered from this node's own copy; nothing is changed or kept."""
        text = request.query.get("change", "").strip()
        if not text or len(text) > CHANGE_MAX:
            raise BadInput("what-if asks for a change", hint="as in /v1/what-if?change=node+n2+down")
        parse_what_if(text)
        asked = Asked(IMAGINED, OPERATOR, self._port.status())
        return document_answer(await self._desk.work(jobs.what_if, text, asked, is_heavy=True))

    async def _capacity(self, request: web.Request) -> web.Response:
        failures = number(request, "failures", 1, most=FAILURES_MAX)
        return document_answer(await self._desk.work(jobs.capacity, self._port.status(), failures, is_heavy=True))
