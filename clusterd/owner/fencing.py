"""How does a node take a group's storage from an owner that nobody can reach? Pure. It carries out the leader's order.

Every disk of the group is asked, side by side, to make its storage refuse whoever is older than the order's number. Nothing
is started, and nothing of it is left in the hosts afterwards: what keeps the old owner out is at the storage. What came of
it is said once, for the group exactly as it was when the disks were asked; if that changes, it is done again.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from clusterd.database import DatabaseView, Draft
from clusterd.model import keys
from clusterd.model.counts import times
from clusterd.model.events import STORAGE_FENCE_FAILED, STORAGE_FENCED
from clusterd.model.ids import GroupId, key_of
from clusterd.model.records import EventRecord, ResourceTypeRecord
from clusterd.model.sole_effect import sole_effect
from clusterd.model.states import StorageFenceState
from clusterd.model.storage_fences import FencedDisk, StorageFenceRecord, StorageFenceReport
from clusterd.owner.adoption import settings_on
from clusterd.owner.bounds import shortened
from clusterd.owner.calling import host_for, raw_call
from clusterd.owner.commands import CallAnswer, CallOutcome, CallReason, HostCall, HostEnd, Verb
from clusterd.owner.desk import Desk
from clusterd.owner.fence_order import FenceOrder
from clusterd.owner.now import Now
from clusterd.owner.plan import OwnerPlan

_TEXT_LENGTH_MAX = 300
FENCE_WITHIN_MS = 10_000
HOST_ENDS_MAX = 2
"""The first end of its host may have been another's doing: from then on the disk is asked in a host of its own."""


@dataclass(frozen=True, slots=True)
class FenceProposal:
    """What this node says of an order. It holds only while the order and the group stand as they were."""

    group: GroupId
    report: StorageFenceReport
    draft: Draft
    about: FenceOrder


def expect(desk: Desk, view: DatabaseView, key: str) -> None:
    """Bring in what the leader ordered about a group, and what it is about."""
    order, known = view.storage_fence(key), desk.fences.get(key)
    if order is None or view.group(key) is None or not _is_for_me(desk, order):
        if known is not None and known.asked:
            known.is_over = True
            desk.dirty.add(key)
        else:
            desk.fences.pop(key, None)
        return
    revisions = _revisions(view, order)
    if known is not None and not known.is_over and known.order == order and known.revisions == revisions:
        return
    fence = desk.fences[key] = _new(desk, view, order, revisions)
    fence.asked = known.asked if known is not None else {}
    said = view.storage_fenced(key)
    if (
        said is not None
        and _is_about(said, order)
        and view.revision_of(keys.storage_fenced(key)) > max(revisions.values())
    ):
        fence.said = said  # an earlier daemon of this run did it
    desk.dirty.add(key)


def _is_for_me(desk: Desk, order: StorageFenceRecord) -> bool:
    return bool(desk.incarnation) and (key_of(order.node), order.node_incarnation) == (
        key_of(desk.node),
        desk.incarnation,
    )


def _is_about(said: StorageFenceReport, order: StorageFenceRecord) -> bool:
    return (key_of(said.node), said.incarnation, said.number) == (
        key_of(order.node),
        order.node_incarnation,
        order.number,
    )


def _revisions(view: DatabaseView, order: StorageFenceRecord) -> dict[str, int]:
    resources = (keys.resource(each.name) for each in view.resources_of(order.group))
    return {
        key: view.revision_of(key) for key in (keys.storage_fence(order.group), keys.group(order.group), *resources)
    }


def _new(desk: Desk, view: DatabaseView, order: StorageFenceRecord, revisions: dict[str, int]) -> FenceOrder:
    def abilities_of(type_name: str) -> tuple[str, ...]:
        known = view.get(ResourceTypeRecord, keys.resource_type(type_name, desk.node))
        return known.abilities if known is not None else ()

    found = sole_effect(view.resources_of(order.group), lambda each: abilities_of(each.type))
    disks = {key_of(each.name): each for each in found.disks}
    settings = {name: settings_on(view, desk.node, each) for name, each in disks.items()}
    return FenceOrder(order, revisions, disks, settings, failed=found.obstacle)


# ---- what to do ----


def plan_fence(desk: Desk, view: DatabaseView, key: str, now: Now, plan: OwnerPlan) -> None:
    """Ask every disk that was not asked yet; say what came of it."""
    fence = desk.fences[key]
    if fence.said is not None or fence.is_reporting or fence.is_over:
        return
    if not fence.failed and (key in desk.groups or key in desk.arrivals):
        return  # what is left of the group here ends first, and looks here again
    if not fence.failed:
        for name in fence.disks:
            if name not in fence.texts:
                _ask(desk, fence, name, now, plan)
    if fence.is_done or fence.failed:
        _say(desk, view, fence, now, plan)


def _ask(desk: Desk, fence: FenceOrder, name: str, now: Now, plan: OwnerPlan) -> None:
    record, settings = fence.disks[name], fence.settings[name]
    settings = replace(settings, pending_timeout_ms=min(settings.pending_timeout_ms, FENCE_WITHIN_MS))
    if desk.hosts.is_busy(name, is_terminating=False):
        return
    host = host_for(desk, record.name, settings)
    if host is None:
        return
    group, number = fence.order.group, fence.order.number
    call = raw_call(desk, host, Verb.FENCE, record, record.name, group, number, settings, CallReason.FENCING)
    fence.asked[name] = host
    desk.hosts.began(call, now.now_ms)
    plan.calls.append(call)


def has_ended(desk: Desk, key: str, now: Now, plan: OwnerPlan) -> bool:
    """Whether an order that stands no more is forgotten now. Until then, what is under way for it is ended."""
    fence = desk.fences.get(key)
    if fence is None or not fence.is_over:
        return False
    for name in sorted(fence.asked):
        record, settings = fence.disks.get(name), fence.settings.get(name)
        if record is None or settings is None:
            del fence.asked[name]
            continue
        host = host_for(desk, record.name, settings)
        if host is not None and not desk.hosts.is_busy(name, is_terminating=True):
            order = fence.order
            call = raw_call(
                desk,
                host,
                Verb.TERMINATE,
                record,
                record.name,
                order.group,
                order.number,
                settings,
                CallReason.ABANDONED,
            )
            desk.hosts.began(call, now.now_ms)
            plan.calls.append(call)
    if fence.asked or any(desk.hosts.is_busy(name, is_terminating=True) for name in fence.disks):
        return False
    del desk.fences[key]
    return True


def _say(desk: Desk, view: DatabaseView, fence: FenceOrder, now: Now, plan: OwnerPlan) -> None:
    order = fence.order
    if _revisions(view, order) != fence.revisions:
        return  # the group changed meanwhile: `expect` begins anew
    disks = tuple(
        FencedDisk(record.name, fence.texts[name]) for name, record in fence.disks.items() if name in fence.texts
    )
    state = StorageFenceState.FAILED if fence.failed else StorageFenceState.DONE
    report = StorageFenceReport(
        order.group, desk.node, desk.incarnation, order.number, state, disks, fence.failed, now.wall_ms
    )
    draft = Draft(view).replace(report)
    for key in fence.revisions:
        draft.expect(key)
    kind = STORAGE_FENCE_FAILED if fence.failed else STORAGE_FENCED
    told = f"the storage of {order.group} refuses {order.owner}"
    message = f"{desk.node} could not see to it that {told}" if fence.failed else told
    because = fence.failed or "; ".join(f"{each.name}: {each.text}" for each in disks)
    draft.event(
        EventRecord(
            now.wall_ms, kind.name, kind.level, node=desk.node, group=order.group, message=message, because=because
        )
    )
    fence.is_reporting = True
    plan.fences.append(FenceProposal(order.group, report, draft, fence))


# ---- what hosts and the cluster say ----


def answered(desk: Desk, call: HostCall, answer: CallAnswer) -> None:
    """A disk was fenced or not. An answer to an earlier order only lets the next call begin."""
    key, name = key_of(call.group), key_of(call.resource)
    desk.dirty.add(key)
    fence = desk.fences.get(key)
    if fence is not None:
        fence.asked.pop(name, None)
    if fence is None or call.generation != fence.order.number or name not in fence.disks:
        return
    if answer.outcome is CallOutcome.DONE and call.private == fence.disks[name].private:
        fence.texts[name] = answer.prepared[:_TEXT_LENGTH_MAX] or "done"
    elif answer.outcome is not CallOutcome.DONE:
        fence.failed = f"{call.resource}: {answer.message or answer.outcome}"[:_TEXT_LENGTH_MAX]
    if answer.outcome is CallOutcome.HUNG:
        _kill_host(desk, call)


def _kill_host(desk: Desk, call: HostCall) -> None:
    kill = desk.hosts.kill(call.host, f"hung call {call.verb} of {call.resource}", blamed=call.resource)
    desk.kills.extend([kill] if kill is not None else [])


def ended(desk: Desk, call: HostCall, answer: CallAnswer) -> bool:
    """Take the answer to a call that ended what was under way for an order. False: it is about something else."""
    fence = desk.fences.get(key_of(call.group))
    is_ours = fence is not None and call.verb is Verb.TERMINATE and call.generation == fence.order.number
    if fence is None or not is_ours:
        return False
    desk.dirty.add(key_of(call.group))
    if answer.outcome in (CallOutcome.DONE, CallOutcome.STALE):
        fence.asked.pop(key_of(call.resource), None)
        desk.hosts.forget_calls(call.resource)
    else:
        _kill_host(desk, call)
    return True


def host_ended(desk: Desk, end: HostEnd, lost: Iterable[HostCall]) -> None:
    """What it was asked to do is asked again, of the next host; a disk that ends its hosts has failed."""
    for key, each in desk.fences.items():
        for name in [name for name, host in each.asked.items() if host == end.host]:
            del each.asked[name]  # what was under way there has ended with it
            desk.dirty.add(key)
    in_midst = {key_of(each.resource) for each in end.calls} if end.calls is not None else None
    for call in lost:
        name, fence = key_of(call.resource), desk.fences.get(key_of(call.group))
        is_ours = fence is not None and call.generation == fence.order.number and name in fence.disks
        if (
            fence is None
            or not is_ours
            or call.verb is not Verb.FENCE
            or (in_midst is not None and name not in in_midst)
        ):
            continue
        fence.host_ends[name] = fence.host_ends.get(name, 0) + 1
        if fence.host_ends[name] >= HOST_ENDS_MAX:
            ends = times(fence.host_ends[name])
            told = f"{call.resource}: its host ended {ends} while it was to refuse {fence.order.owner}: {end.because}"
            fence.failed = shortened(told, _TEXT_LENGTH_MAX)


def said(desk: Desk, proposal: FenceProposal, *, has_succeeded: bool, refused: str = "") -> None:
    """The outcome of what this node wanted to say is known."""
    fence = desk.fences.get(key_of(proposal.group))
    if fence is None or fence is not proposal.about:
        return  # said of the group as it was: it is said anew
    fence.is_reporting = False
    if has_succeeded:
        fence.said = proposal.report
    elif refused:
        fence.failed = fence.failed or f"what was fenced cannot be told: {refused}"[:_TEXT_LENGTH_MAX]
    desk.dirty.add(key_of(proposal.group))
