"""How does an operator's change become a commit? I/O.

Read linearizably, check that it is legal, commit with compares on everything the check read, and look again when something
else changed in between. A conflict that stays one is told to the caller; nothing is stored half.
"""

import asyncio
import random
from typing import Any

from clusterd.api.plans import Asked, Plan, Planner
from clusterd.api.port import ClusterPort
from clusterd.api.views import document
from clusterd.model.errors import Conflict

ATTEMPTS_MAX = 8
PAUSE_MAX_S = 0.05


async def carry_out(
    port: ClusterPort, planner: Planner, *, request_id: str, by: str, timeout_ms: int, is_plan_only: bool = False
) -> dict[str, Any]:
    """Plan and commit a change. Raises what the planner raises, Conflict, NoQuorum or UnknownOutcome."""
    key = ""
    for attempt in range(ATTEMPTS_MAX):
        await port.linearizable(timeout_ms)
        view = port.view()
        asked = Asked(request_id, by, port.status())
        plan = planner(view, asked)
        if is_plan_only or plan.draft.is_empty:
            return _outcome(port, plan, request_id, view.revision, has_changed=False, is_plan_only=is_plan_only)
        result = await port.commit(plan.draft.build(f"{request_id}.{attempt}"), timeout_ms)
        if result.succeeded:
            return _outcome(port, plan, request_id, result.revision, has_changed=True, is_plan_only=False)
        key = result.conflict_key
        await asyncio.sleep(random.uniform(0, PAUSE_MAX_S))
    raise Conflict(f"{key} changed {ATTEMPTS_MAX} times while this change was being made", key=key)


def _outcome(
    port: ClusterPort, plan: Plan, request_id: str, revision: int, *, has_changed: bool, is_plan_only: bool
) -> dict[str, Any]:
    return document(
        port.view(),
        port.status(),
        request_id=request_id,
        revision=revision,
        changed=has_changed,
        plan_only=is_plan_only,
        changes=[each.view() for each in plan.changes],
        notes=plan.notes,
        wait_for=plan.wait_for,
    )
