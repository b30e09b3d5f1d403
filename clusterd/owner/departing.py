"""How does a group go to another node while it runs? Pure. The source's half of a live migration.

It goes on running here under its generation. When the destination is ready, what can be moved is moved, dependents first;
when all of that is there, the rest is taken offline and the group is released. **This node alone decides whether the
migration came to pass**, and says so once: it failed, and everything runs here still; or it moved, and is released.
The leader asks it to stop (`migration_stop`), and waits for the answer.

1. ready → migrate, migrate …      2. all moved → offline with the reason `migrated` → released
1'. trouble → cancel → failed → the leader orders `run` → what was moved already goes on here
"""

import re
from collections.abc import Collection

from clusterd.database import DatabaseView
from clusterd.model.ids import key_of
from clusterd.model.migrations import MigrationRecord
from clusterd.model.states import MigrationState, Order, ResourceState
from clusterd.owner.calling import ask, tell
from clusterd.owner.commands import CallAnswer, CallOutcome, CallReason, Verb
from clusterd.owner.consequences import apply, kill_host_of
from clusterd.owner.desk import Desk
from clusterd.owner.group import Departure, OwnedGroup, users_by_provider
from clusterd.owner.machine import Happening
from clusterd.owner.now import Now
from clusterd.owner.plan import OwnerPlan
from clusterd.owner.steps import with_step

PROGRESS_EVERY_MS = 1000
QUIET_MS = 1000
"""So long nothing but the release is reported once everything has moved: it would wait for what is said before it."""
_PERCENT = re.compile(r"(\d{1,3}) ?%")
_TEXT_LENGTH_MAX = 300


def depart(desk: Desk, view: DatabaseView, group: OwnedGroup, now: Now, plan: OwnerPlan) -> bool:
    """Take the migration as far as it goes now. True: what was moved must go on here before anything else is done."""
    leaving = group.departure
    if leaving is not None and leaving.under_way and not _is_moving(desk, group, leaving):
        _fall_through(group, leaving, f"{leaving.under_way} was lost while it was moved", now)
    if group.assignment.order is not Order.MIGRATE or group.is_given_up:
        return leaving is not None and _stay(desk, group, leaving, now, plan)
    if leaving is None or leaving.number != group.assignment.migration:
        if leaving is not None and _stay(desk, group, leaving, now, plan):
            return True
        leaving = group.departure = Departure(group.assignment.migration, now.now_ms)
    if leaving.failed or leaving.is_moved:
        return False
    record = _said(view, group)
    trouble = _trouble(desk, group, leaving, record)
    if trouble:
        _stop(desk, group, leaving, trouble, now, plan)
    elif record is not None and not leaving.under_way and group.is_confirmed:
        _move_next(desk, group, leaving, record, now, plan)
    return False


def _is_moving(desk: Desk, group: OwnedGroup, leaving: Departure) -> bool:
    held = group.held.get(leaving.under_way)
    return held is not None and held.may_run and desk.hosts.is_busy(leaving.under_way, is_terminating=False)


def _said(view: DatabaseView, group: OwnedGroup) -> MigrationRecord | None:
    """What the destination of this very migration says."""
    record, assignment = view.migration(group.record.name), group.assignment
    if record is None or record.number != assignment.migration or record.incarnation != assignment.target_incarnation:
        return None
    return record


def _trouble(desk: Desk, group: OwnedGroup, leaving: Departure, record: MigrationRecord | None) -> str:
    """Why it is not to be moved, or not any more; empty: nothing."""
    if group.assignment.migration_stop:
        return group.assignment.migration_stop
    if record is not None and record.state is MigrationState.FAILED:
        return f"{record.node} could not prepare for it: {record.because}"
    if desk.is_node_stopping:
        return "its node is being stopped"
    if group.is_deleted:
        return "it was deleted"
    if not group.is_wanted_here:
        return "it is not wanted online any more"
    for name, held in group.held.items():
        if name in {*leaving.moved, leaving.under_way} - group.wanted:
            return f"{held.name} is not wanted online any more"
        if held.is_hands_off:
            return f"{held.name} is in maintenance"
        if name in group.wanted and held.state is not ResourceState.ONLINE:
            return f"{held.name} is {held.state}"
    return ""


def _stop(desk: Desk, group: OwnedGroup, leaving: Departure, because: str, now: Now, plan: OwnerPlan) -> None:
    """It falls through, unless what is under way turns out to be there already."""
    if not leaving.under_way:
        _fall_through(group, leaving, because, now)
    elif not leaving.stopping and tell(desk, group, leaving.under_way, Verb.CANCEL_MIGRATION, plan):
        leaving.stopping = because


def _fall_through(group: OwnedGroup, leaving: Departure, because: str, now: Now) -> None:
    leaving.under_way, leaving.failed = "", because[:_TEXT_LENGTH_MAX]
    target = group.assignment.target
    text = f"it does not migrate{f' to {target}' if target else ''}: {leaving.failed}"
    group.steps = with_step(group.steps, now, text)


def _move_next(
    desk: Desk, group: OwnedGroup, leaving: Departure, record: MigrationRecord, now: Now, plan: OwnerPlan
) -> None:
    texts = {key_of(each.name): each.text for each in record.prepared if each.text}
    names = _to_move(group, texts)
    if not names:
        rests = next((group.held[name].name for name in group.order if name in texts and name not in group.wanted), "")
        words = f"{rests} is not wanted online any more" if rests else f"{record.node} prepared nothing that runs here"
        _fall_through(group, leaving, words, now)
        return
    name = next((each for each in names if each not in leaving.moved), None)
    if name is None:
        leaving.is_moved, leaving.moved_ms = True, now.now_ms
        leaving.moved_wall_ms = leaving.moved_wall_ms or max(1, now.wall_ms)
        leaving.took_ms = now.now_ms - leaving.began_ms
        leaving.percent, leaving.text = 100, ""
        text = f"everything is at {record.node} after {leaving.took_ms} ms"
        group.steps = with_step(group.steps, now, text)
    elif ask(desk, group, name, Verb.MIGRATE, CallReason.MIGRATING, now, plan, prepared=texts[name]):
        leaving.under_way, leaving.stopping = name, ""
        text = f"{desk.node} moves {group.held[name].name} to {record.node} while it runs"
        group.steps = with_step(group.steps, now, text)


def _to_move(group: OwnedGroup, prepared: Collection[str]) -> list[str]:
    """Dependents first. What is used by something that cannot be moved stays until that has ended in good order."""
    found: list[str] = []
    using = users_by_provider(group)
    for name in reversed(group.order):
        users = (each for each in using.get(name, ()) if group.held[each].may_run and each not in group.idle)
        if name in prepared and name in group.wanted and all(each in found for each in users):
            found.append(name)
    return found


def _stay(desk: Desk, group: OwnedGroup, leaving: Departure, now: Now, plan: OwnerPlan) -> bool:
    """The group does not leave as it runs, not this time. True: something is still to be cancelled or to go on."""
    if leaving.under_way:
        _stop(desk, group, leaving, leaving.failed or "it is not to be moved any more", now, plan)
        return not group.is_given_up
    for name in sorted(leaving.moved):
        held = group.held.get(name)
        if held is None or held.state is not ResourceState.ONLINE or group.is_given_up:
            leaving.moved.discard(name)
    # Providers first: what uses a disk must not go on before the disk takes its writes again.
    first = next((name for name in (*group.order, *sorted(leaving.moved)) if name in leaving.moved), None)
    if first is not None:
        ask(desk, group, first, Verb.RESUME, CallReason.NONE, now, plan)
    return bool(leaving.moved)


def migrate_answered(desk: Desk, group: OwnedGroup, name: str, answer: CallAnswer, now: Now) -> None:
    leaving = group.departure
    if leaving is None or leaving.under_way != name:
        return
    if answer.outcome is CallOutcome.DONE:
        leaving.under_way = ""
        leaving.moved.add(name)
        since_wall_ms = max(1, now.wall_ms - answer.since_ms)
        leaving.moved_wall_ms = min(leaving.moved_wall_ms or since_wall_ms, since_wall_ms)
        return
    because = leaving.stopping or answer.message or "it could not be moved"
    _fall_through(group, leaving, because, now)
    if answer.outcome is CallOutcome.HUNG:
        kill_host_of(desk, name, f"hung call migrate of {group.held[name].name}")


def resume_answered(desk: Desk, group: OwnedGroup, name: str, answer: CallAnswer, now: Now) -> None:
    leaving = group.departure
    if leaving is not None:
        leaving.moved.discard(name)
    if answer.outcome is CallOutcome.HUNG:
        kill_host_of(desk, name, f"hung call resume of {group.held[name].name}")
    elif answer.outcome is not CallOutcome.DONE:
        apply(desk, group, name, Happening.CHECK_FAILED, f"it did not go on: {answer.message}", now)


def progressed(desk: Desk, group: OwnedGroup, message: str, now: Now) -> None:
    """How far a move is, told now and then."""
    leaving = group.departure
    if leaving is None or now.now_ms < leaving.told_ms + PROGRESS_EVERY_MS:
        return
    found = _PERCENT.search(message)
    leaving.percent = min(100, int(found[1])) if found else leaving.percent
    leaving.text, leaving.told_ms = message[:_TEXT_LENGTH_MAX], now.now_ms
    desk.mark(group)


def is_moved(group: OwnedGroup, name: str) -> bool:
    """Whether a resource stands still here and is whole at the destination."""
    return group.departure is not None and name in group.departure.moved


def is_quiet(desk: Desk, group: OwnedGroup, now: Now) -> bool:
    """Whether the next thing to report is the release, which follows at once."""
    leaving = group.departure
    if leaving is None or not group.has_moved or group.is_released:
        return False
    is_smooth = all(
        held.state is not ResourceState.FAILED and not (held.evidence or held.stop_trouble)
        for held in group.held.values()
    )
    until_ms = leaving.moved_ms + QUIET_MS
    if not is_smooth or now.now_ms >= until_ms:
        return False
    desk.look_at(group, until_ms)
    return True
