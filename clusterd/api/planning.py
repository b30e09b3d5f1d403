"""How is a change asked for: now, as a plan, by a plan's id, or only imagined? I/O. Handlers."""

import asyncio
from typing import Any

from aiohttp import web

from clusterd.api.capacity_view import capacity_view
from clusterd.api.foreseeing import foresight_view, outlook_of, parse_what_if
from clusterd.api.kept_plans import KeptPlans
from clusterd.api.mutations import apply_plan, carry_out, look_ahead, make_plan
from clusterd.api.plans import OPERATOR, Asked, Planner
from clusterd.api.port import ClusterPort
from clusterd.api.requests import body, change_asked, flag, json_answer, number
from clusterd.api.times import minute_of_day, time_text
from clusterd.api.views import document
from clusterd.foresight.votes import votes_without
from clusterd.leader.capacity import CapacityAnswer, survives
from clusterd.model.errors import BadInput

IMAGINED = "what-if"
FAILURES_MAX = 16
CHANGE_MAX = 1000
PLANS = web.AppKey("plans", KeptPlans)


async def answer_change(port: ClusterPort, request: web.Request, planner: Planner) -> web.Response:
    """Carry a change out, or with `?plan=1` say what would follow and keep it under an id."""
    change = await change_asked(request)
    if flag(request, "plan"):
        plans = request.app[PLANS]
        outcome = await make_plan(port, plans, planner, change)
    else:
        outcome = await carry_out(port, planner, change)
    return json_answer(outcome)


class Planning:
    """Handlers of plans, of what-if and of capacity."""

    def __init__(self, port: ClusterPort) -> None:
        self._port = port

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
            changes=[each.view() for each in kept.plan.changes],
            notes=kept.plan.notes,
            wait_for=kept.plan.wait_for,
            foresight=foresight_view(kept.foresight),
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
        view, status = self._port.view(), self._port.status()
        plan = parse_what_if(text)(view, Asked(IMAGINED, OPERATOR, status))
        notes = list(plan.notes)
        if not status.is_quorate:
            notes.append(f"{status.node} has no quorum: what it knows of the others may be old")
        before: dict[str, Any] = document(view, status, change=text, notes=notes)
        found = await look_ahead(self._port, plan)
        return json_answer({**before, **foresight_view(found)})

    async def _capacity(self, request: web.Request) -> web.Response:
        failures = number(request, "failures", 1, most=FAILURES_MAX)
        view, status = self._port.view(), self._port.status()
        shown = document(view, status)
        copy, outlook = view.fork(), outlook_of(status, minute_of_day(status.wall_ms))

        def look() -> CapacityAnswer:
            return survives(copy, outlook.sight(copy, 0), failures)

        votes = votes_without(outlook, view, failures)
        return json_answer({**shown, **capacity_view(await asyncio.to_thread(look), votes)})
