"""How does an operator's change become a commit? I/O.

Read linearizably, check that it is legal, commit with compares on everything the check read, and look again when something
else changed in between. A conflict that stays one is told to the caller; nothing is stored half.

A plan is looked at before it is committed: what would follow from it is foreseen, and it is kept to be applied by its id.
"""

import asyncio
import random
from typing import Any

from clusterd.api.foreseeing import foresight_view, outlook_of
from clusterd.api.kept_plans import KeptPlan, KeptPlans
from clusterd.api.plans import Asked, Plan, Planner
from clusterd.api.port import ClusterPort
from clusterd.api.times import minute_of_day
from clusterd.api.views import document
from clusterd.database import DatabaseView
from clusterd.foresight import Foresight, foresee
from clusterd.model import keys
from clusterd.model.errors import Conflict, NoQuorum

ATTEMPTS_MAX = 8
PAUSE_MAX_S = 0.05
WITHOUT_QUORUM_MAX_MS = 1000


async def carry_out(
    port: ClusterPort, planner: Planner, *, request_id: str, by: str, timeout_ms: int
) -> dict[str, Any]:
    """Plan and commit a change. Raises what the planner raises, Conflict, NoQuorum or UnknownOutcome."""
    key = ""
    for attempt in range(ATTEMPTS_MAX):
        await freshen(port, timeout_ms)
        view = port.view()
        asked = Asked(request_id, by, port.status())
        plan = planner(view, asked)
        if plan.draft.is_empty:
            return _outcome(port, plan, request_id, view.revision, has_changed=False)
        result = await port.commit(plan.draft.build(f"{request_id}.{attempt}"), timeout_ms)
        if result.succeeded:
            return _outcome(port, plan, request_id, result.revision, has_changed=True)
        key = result.conflict_key
        await asyncio.sleep(random.uniform(0, PAUSE_MAX_S))
    raise Conflict(f"{key} changed {ATTEMPTS_MAX} times while this change was being made", key=key)


async def freshen(port: ClusterPort, timeout_ms: int) -> None:
    """A linearizable read. A node that reaches too few voters says so soon, and says what to do."""
    before = port.status()
    try:
        await port.linearizable(timeout_ms if before.is_quorate else min(timeout_ms, WITHOUT_QUORUM_MAX_MS))
    except NoQuorum as error:
        status = port.status()
        if status.is_quorate:
            raise
        missing = [each.node for each in status.peers if each.has_vote and not each.is_reachable]
        votes = sum(each.has_vote for each in status.peers)
        raise NoQuorum(
            f"{status.node} reaches {status.voters_reachable} of {votes} votes and needs {status.voters_needed}: "
            f"nothing was changed",
            hint=f"start the missing nodes or mend their links: {', '.join(missing) or 'none'}",
        ) from error


async def make_plan(
    port: ClusterPort, plans: KeptPlans, planner: Planner, *, request_id: str, by: str, timeout_ms: int
) -> dict[str, Any]:
    """Say what a change would change and what would follow, and keep it under its request id. Commits nothing."""
    await freshen(port, timeout_ms)
    view, status = port.view(), port.status()
    revision = view.revision
    plan = planner(view, Asked(request_id, by, status))
    outcome = _outcome(port, plan, request_id, revision, has_changed=False, is_plan_only=True)
    if plan.draft.is_empty:
        return {**outcome, "plan_id": None, "foresight": None}
    found = await look_ahead(port, plan)
    plans.keep(KeptPlan(request_id, plan, found, revision, status.cluster_ms, by))
    return {**outcome, "plan_id": request_id, "foresight": foresight_view(found)}


async def apply_plan(port: ClusterPort, plans: KeptPlans, plan_id: str, *, timeout_ms: int) -> dict[str, Any]:
    """Commit a plan that was made before. Raises NotFound, and Conflict when something that it read has changed."""
    kept = plans.find(plan_id, port.status().cluster_ms)
    if kept.outcome:
        return {**kept.outcome, "changed": False}
    await freshen(port, timeout_ms)
    view = port.view()
    kept.check(view)
    # What the foreseen decisions rest on most may still change until the commit; then it must not go through.
    for each in kept.foresight.happenings:
        kept.plan.draft.expect(keys.assignment(each.group))
    result = await port.commit(kept.plan.draft.build(f"{plan_id}.plan"), timeout_ms)
    if not result.succeeded:
        raise Conflict(
            f"plan {plan_id} was made at revision {kept.revision}; {result.conflict_key} has changed since",
            key=result.conflict_key,
            revision=result.conflict_revision,
            hint="make the plan again and look at what it says now",
        )
    kept.outcome = _outcome(port, kept.plan, plan_id, result.revision, has_changed=True)
    return kept.outcome


async def look_ahead(port: ClusterPort, plan: Plan) -> Foresight:
    """What would follow. In a thread: of thousands of groups it takes seconds, and heartbeats must not wait for it."""
    status = port.status()
    outlook = outlook_of(status, minute_of_day(status.wall_ms))
    copy: DatabaseView = port.view().fork()
    return await asyncio.to_thread(foresee, copy, plan.draft, outlook)


def _outcome(
    port: ClusterPort, plan: Plan, request_id: str, revision: int, *, has_changed: bool, is_plan_only: bool = False
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
