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
from clusterd.api.plans import Asked, ChangeAsked, Plan, Planner
from clusterd.api.port import ClusterPort
from clusterd.api.property_edits import refuse_other_revision
from clusterd.api.repeats import first_answer, remember
from clusterd.api.times import minute_of_day
from clusterd.api.views import document
from clusterd.database import DatabaseView, Draft
from clusterd.foresight import Foresight, foresee
from clusterd.model import keys
from clusterd.model.errors import Conflict, NoQuorum

ATTEMPTS_MAX = 8
PAUSE_MAX_S = 0.05
WITHOUT_QUORUM_MAX_MS = 1000


async def carry_out(port: ClusterPort, planner: Planner, change: ChangeAsked) -> dict[str, Any]:
    """Plan and commit a change; a request that was carried out before gets its first answer, `repeated`.

    Raises what the planner raises, Conflict, NoQuorum or UnknownOutcome.
    """
    key = ""
    for attempt in range(ATTEMPTS_MAX):
        await freshen(port, change.timeout_ms)
        view = port.view()
        if first := first_answer(view, change):
            return document(view, port.status(), **first)
        plan = _planned(port, planner, change)
        if plan.draft.is_empty:
            return _outcome(port, plan, change, view.revision, has_changed=False)
        remember(plan.draft, view, change, _answer(plan, change, has_changed=True))
        result = await port.commit(plan.draft.build(f"{change.request_id}.{attempt}"), change.timeout_ms)
        if result.succeeded and not result.is_repeat:
            return _outcome(port, plan, change, result.revision, has_changed=True)
        key = result.conflict_key
        if not result.is_repeat:
            await asyncio.sleep(random.uniform(0, PAUSE_MAX_S))
    raise Conflict(f"{key} changed {ATTEMPTS_MAX} times while this change was being made", key=key)


async def answered_before(port: ClusterPort, change: ChangeAsked) -> dict[str, Any] | None:
    """The first answer to a request that comes again; for what looks at more than the database before it plans."""
    await freshen(port, change.timeout_ms)
    first = first_answer(port.view(), change)
    return document(port.view(), port.status(), **first) if first is not None else None


async def claim_once(port: ClusterPort, change: ChangeAsked, answer: dict[str, Any]) -> dict[str, Any] | None:
    """Write down that a request is about to be carried out, for what must not be done twice, as the press of a button.

    The first answer when it was written down before: then it was sent once already, and is not sent again.
    """
    for attempt in range(ATTEMPTS_MAX):
        if first := await answered_before(port, change):
            return first
        draft = Draft(port.view())
        remember(draft, port.view(), change, answer)
        result = await port.commit(draft.build(f"{change.request_id}.{attempt}"), change.timeout_ms)
        if result.succeeded and not result.is_repeat:
            return None
    raise Conflict(f"request {change.request_id} was made several times at once")


def _planned(port: ClusterPort, planner: Planner, change: ChangeAsked) -> Plan:
    """What the planner makes of the present state, if what the caller looked at is still that. Raises Conflict."""
    view = port.view()
    if change.expected is None:
        return planner(view, Asked(change.request_id, change.by, port.status()))
    key, revision = change.expected
    if view.revision_of(key):  # of what is not there the planner says so
        refuse_other_revision(view, key, revision)
    plan = planner(view, Asked(change.request_id, change.by, port.status()))
    refuse_other_revision(view, key, revision)
    if not plan.draft.is_empty:
        plan.draft.expect(key)
    return plan


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


async def make_plan(port: ClusterPort, plans: KeptPlans, planner: Planner, change: ChangeAsked) -> dict[str, Any]:
    """Say what a change would change and what would follow, and keep it under its request id. Commits nothing."""
    await freshen(port, change.timeout_ms)
    view, status = port.view(), port.status()
    first_answer(view, change)  # the id of what was carried out stands for nothing else
    plans.refuse_other(change)
    revision = view.revision
    plan = _planned(port, planner, change)
    outcome = _outcome(port, plan, change, revision, has_changed=False, is_plan_only=True)
    if plan.draft.is_empty:
        return {**outcome, "plan_id": None, "foresight": None}
    found = await look_ahead(port, plan)
    plans.keep(KeptPlan(change, plan, found, revision, status.cluster_ms))
    return {**outcome, "plan_id": change.request_id, "foresight": foresight_view(found)}


async def apply_plan(port: ClusterPort, plans: KeptPlans, plan_id: str, change: ChangeAsked) -> dict[str, Any]:
    """Commit a plan that was made before. Raises NotFound, and Conflict when something that it read has changed."""
    await freshen(port, change.timeout_ms)
    view = port.view()
    if first := first_answer(view, change):
        return document(view, port.status(), **first)
    kept = plans.find(plan_id, port.status().cluster_ms)
    if kept.outcome:
        return {**kept.outcome, "changed": False}
    kept.check(view)
    # What the foreseen decisions rest on most may still change until the commit; then it must not go through.
    for each in kept.foresight.happenings:
        kept.plan.draft.expect(keys.assignment(each.group))
    remember(kept.plan.draft, view, change, _answer(kept.plan, kept.change, has_changed=True))
    result = await port.commit(kept.plan.draft.build(f"{plan_id}.plan"), change.timeout_ms)
    if not result.succeeded:
        raise Conflict(
            f"plan {plan_id} was made at revision {kept.revision}; {result.conflict_key} has changed since",
            key=result.conflict_key,
            revision=result.conflict_revision,
            hint="make the plan again and look at what it says now",
        )
    kept.outcome = _outcome(port, kept.plan, kept.change, result.revision, has_changed=True)
    return kept.outcome


async def look_ahead(port: ClusterPort, plan: Plan) -> Foresight:
    """What would follow. In a thread: of thousands of groups it takes seconds, and heartbeats must not wait for it."""
    status = port.status()
    outlook = outlook_of(status, minute_of_day(status.wall_ms))
    copy: DatabaseView = port.view().fork()
    return await asyncio.to_thread(foresee, copy, plan.draft, outlook)


def _outcome(
    port: ClusterPort,
    plan: Plan,
    change: ChangeAsked,
    revision: int,
    *,
    has_changed: bool,
    is_plan_only: bool = False,
) -> dict[str, Any]:
    told = _answer(plan, change, has_changed=has_changed, is_plan_only=is_plan_only)
    return document(port.view(), port.status(), **told, revision=revision, repeated=False)


def _answer(plan: Plan, change: ChangeAsked, *, has_changed: bool, is_plan_only: bool = False) -> dict[str, Any]:
    """What the caller is told, whenever it asks."""
    return {
        "request_id": change.request_id,
        "changed": has_changed,
        "plan_only": is_plan_only,
        "changes": [each.view() for each in plan.changes],
        "notes": list(plan.notes),
        "wait_for": list(plan.wait_for),
    }
