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
from clusterd.model.errors import Conflict, NoQuorum

ATTEMPTS_MAX = 8
PAUSE_MAX_S = 0.05
WITHOUT_QUORUM_MAX_MS = 1000


async def carry_out(
    port: ClusterPort, planner: Planner, *, request_id: str, by: str, timeout_ms: int, is_plan_only: bool = False
) -> dict[str, Any]:
    """Plan and commit a change. Raises what the planner raises, Conflict, NoQuorum or UnknownOutcome."""
    key = ""
    for attempt in range(ATTEMPTS_MAX):
        await _freshen(port, timeout_ms)
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


async def _freshen(port: ClusterPort, timeout_ms: int) -> None:
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
