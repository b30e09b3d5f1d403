"""How does an operator's change become a commit? I/O.

Read linearizably, check that it is legal, commit with compares on everything the check read, and look again when something
else changed in between. A conflict that stays one is told to the caller; nothing is stored half.

A plan is looked at before it is committed: what would follow from it is foreseen, and it is kept to be applied by its id.
"""

import asyncio
import json
import random
from collections.abc import Mapping
from typing import Any

import msgspec

from clusterd.api import jobs
from clusterd.api.desk import Desk
from clusterd.api.kept_plans import KeptPlan, KeptPlans
from clusterd.api.plans import Asked, ChangeAsked, Planner
from clusterd.api.port import ClusterPort
from clusterd.api.repeats import first_answer, pack, remember
from clusterd.api.views import document
from clusterd.api.votes import advice_text, votes_text
from clusterd.database import DatabaseView, Draft
from clusterd.model import keys
from clusterd.model.errors import BadInput, Busy, Conflict, NoQuorum, NotFound, NotLeader, Refused, UnknownOutcome
from clusterd.wire.records_pb2 import Transaction

ATTEMPTS_MAX = 8
PAUSE_MAX_S = 0.05
WITHOUT_QUORUM_MAX_MS = 1000


async def carry_out(desk: Desk, planner: Planner, change: ChangeAsked, *, is_heavy: bool = False) -> dict[str, Any]:
    """Plan and commit a change; a request that was carried out before gets its first answer, `repeated`.

    `is_heavy`: to plan it takes long in a small cluster too. Raises what the planner raises, Conflict, NoQuorum,
    UnknownOutcome or Busy.
    """
    port, key = desk.port, ""
    if not is_heavy and (told := await _as_leader(desk, planner, change)) is not None:
        return told
    for attempt in range(1, ATTEMPTS_MAX + 1):
        await freshen(port, change.timeout_ms)
        if first := first_answer(port.view(), change):
            return document(port.view(), port.status(), **first)
        made = await _made(desk, planner, change, is_heavy=is_heavy)
        if not made["transaction"]:
            return _outcome(port, made, change, made["revision"], has_changed=False)
        transaction = _with_answer(port.view(), made, change, f"{change.request_id}.{attempt}")
        result = await port.commit(transaction, change.timeout_ms)
        if result.succeeded and not result.is_repeat:
            return _outcome(port, made, change, result.revision, has_changed=True)
        key = result.conflict_key
        if not result.is_repeat:
            await asyncio.sleep(random.uniform(0, PAUSE_MAX_S))
    raise Conflict(f"{key} changed {ATTEMPTS_MAX} times while this change was being made", key=key)


async def _as_leader(desk: Desk, planner: Planner, change: ChangeAsked) -> dict[str, Any] | None:
    """The leader needs no round of messages before it plans: that it commits in the term in which it planned proves that
    nobody else led, so that its copy held everything that was acknowledged. None: to be done the long way, as every refusal,
    which no commit would prove."""
    port, status = desk.port, desk.port.status()
    if not status.is_quorate or status.leader != status.node:
        return None
    if first_answer(port.view(), change):
        return None
    try:
        made = await _made(desk, planner, change, is_heavy=False)
        if not made["transaction"]:
            return None
        transaction = _with_answer(port.view(), made, change, f"{change.request_id}.0")
        result = await port.commit(transaction, change.timeout_ms, status.term)
    except UnknownOutcome:
        if port.status().term == status.term:
            raise
        return None  # the next leader knows whether it was committed, and then has its answer
    except (BadInput, Busy, Conflict, NotFound, NotLeader, Refused):
        return None
    if not result.succeeded or result.is_repeat:
        return None
    return _outcome(port, made, change, result.revision, has_changed=True)


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
        remember(draft, port.view(), change, pack(answer))
        result = await port.commit(draft.build(f"{change.request_id}.{attempt}"), change.timeout_ms)
        if result.succeeded and not result.is_repeat:
            return None
    raise Conflict(f"request {change.request_id} was made several times at once")


async def freshen(port: ClusterPort, timeout_ms: int) -> None:
    """A linearizable read. A node that reaches too few voters says so soon, and says what to do."""
    before = port.status()
    try:
        await port.linearizable(timeout_ms if before.is_quorate else min(timeout_ms, WITHOUT_QUORUM_MAX_MS))
    except NoQuorum as error:
        status = port.status()
        if status.is_quorate:
            raise
        raise NoQuorum(f"{votes_text(status)}: nothing was changed", hint=advice_text(status)) from error


async def make_plan(desk: Desk, plans: KeptPlans, planner: Planner, change: ChangeAsked) -> dict[str, Any]:
    """Say what a change would change and what would follow, and keep it under its request id. Commits nothing."""
    port = desk.port
    await freshen(port, change.timeout_ms)
    first_answer(port.view(), change)  # the id of what was carried out stands for nothing else
    plans.refuse_other(change)
    made = await _made(desk, planner, change, is_heavy=True, looks_ahead=True)
    outcome = _outcome(port, made, change, made["revision"], has_changed=False, is_plan_only=True)
    if not made["transaction"]:
        return {**outcome, "plan_id": None, "foresight": None}
    plans.keep(KeptPlan(change, made, port.status().cluster_ms))
    return {**outcome, "plan_id": change.request_id, "foresight": msgspec.Raw(made["foresight"])}


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
    transaction = _with_answer(view, kept.made, change, f"{plan_id}.plan")
    # What the foreseen decisions rest on most may still change until the commit; then it must not go through.
    expected = Draft(view)
    for group in kept.made["foreseen"]:
        expected.expect(keys.assignment(group))
    transaction.MergeFrom(expected.build(""))
    result = await port.commit(transaction, change.timeout_ms)
    if not result.succeeded:
        raise Conflict(
            f"plan {plan_id} was made at revision {kept.revision}; {result.conflict_key} has changed since",
            key=result.conflict_key,
            revision=result.conflict_revision,
            hint="make the plan again and look at what it says now",
        )
    kept.outcome = _outcome(port, kept.made, kept.change, result.revision, has_changed=True)
    return kept.outcome


def changes_of(outcome: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The changes that an outcome tells of."""
    found = outcome["changes"]
    return list(json.loads(bytes(found)) if isinstance(found, msgspec.Raw) else found)


# ---- building blocks ----


async def _made(
    desk: Desk, planner: Planner, change: ChangeAsked, *, is_heavy: bool, looks_ahead: bool = False
) -> dict[str, Any]:
    asked = Asked(change.request_id, change.by, desk.port.status())
    made: dict[str, Any] = await desk.work(jobs.make, planner, asked, change.expected, looks_ahead, is_heavy=is_heavy)
    return made


def _with_answer(view: DatabaseView, made: Mapping[str, Any], change: ChangeAsked, request_id: str) -> Transaction:
    """The transaction, with the answer to the request in it."""
    transaction = Transaction.FromString(made["transaction"])
    draft = Draft(view)
    remember(draft, view, change, made["packed"])
    transaction.MergeFrom(draft.build(request_id))
    return transaction


def _outcome(
    port: ClusterPort,
    made: Mapping[str, Any],
    change: ChangeAsked,
    revision: int,
    *,
    has_changed: bool,
    is_plan_only: bool = False,
) -> dict[str, Any]:
    return document(
        port.view(),
        port.status(),
        request_id=change.request_id,
        revision=revision,
        changed=has_changed,
        plan_only=is_plan_only,
        repeated=False,
        **{key: msgspec.Raw(value) for key, value in made["told"].items()},
    )
