"""What should be committed now? Pure. The whole of a leader's thinking, in one pass."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from clusterd.database import DatabaseView
from clusterd.leader.balance import balancing_moves
from clusterd.leader.crowd import Crowd
from clusterd.leader.disks import decide_disks
from clusterd.leader.drains import decide_drain
from clusterd.leader.formation import is_forming
from clusterd.leader.group_sets import GroupSets
from clusterd.leader.groups import GroupDecisions
from clusterd.leader.in_flight import InFlight
from clusterd.leader.members import decide_members, member_deadlines_ms
from clusterd.leader.pen import Pen
from clusterd.leader.proposal import FenceWish, Proposal, joined
from clusterd.leader.sight import Sight
from clusterd.leader.standing import standing_of
from clusterd.leader.waiting import Waiting
from clusterd.model.ids import GroupId, key_of
from clusterd.model.records import GroupRecord
from clusterd.model.states import ReleaseCause


@dataclass(frozen=True, slots=True)
class Decisions:
    """Transactions to propose, fence agents to ask, and when to look again although nothing happened."""

    proposals: tuple[Proposal, ...]
    fence_wishes: tuple[FenceWish, ...]
    next_look_ms: int | None


@dataclass(frozen=True, slots=True)
class Memory:
    """What a leader keeps from pass to pass. It can be made anew from the database at any time."""

    crowd: Crowd = field(default_factory=Crowd)
    waiting: Waiting = field(default_factory=Waiting)
    in_flight: InFlight = field(default_factory=InFlight)
    deferred: set[GroupId] = field(default_factory=set)
    """Groups that wait until the transaction is settled that is under way about others that bind them."""


def decide(
    view: DatabaseView,
    sight: Sight,
    *,
    groups: Collection[GroupId] | None = None,
    memory: Memory | None = None,
) -> Decisions:
    """Compare what is with what should be. `groups` limits the pass to those that may have changed; None: all.

    The limited pass, which also looks at every group that waits for something, must give what the full one gives for those
    groups; a property test compares the two.
    """
    memory = memory or Memory()
    memory.crowd.refresh(view, sight, memory.in_flight)
    memory.waiting.refresh(view, memory.in_flight)
    sets = GroupSets(view, sight)
    members, wishes = decide_members(view, sight)
    passing = GroupDecisions(view, sight, memory.crowd, memory.waiting, sets, memory.in_flight)
    considered = [] if is_forming(view, sight) else _considered(view, groups, memory)
    proposals = [
        *members,
        *decide_disks(view, sight),
        *sets.decide(),
        *_drains(view, sight, memory.crowd),
        *passing.decide(considered),
        *_balancing(view, sight, memory),
    ]
    memory.deferred.clear()
    memory.deferred.update(passing.deferred)
    waits_ms = (sight.now_ms + at - sight.cluster_ms for at in _cluster_deadlines(passing, sets))
    deadlines = [*member_deadlines_ms(view, sight), *waits_ms]
    found = _bundled(_one_per_subject(proposals, memory.in_flight.subjects))
    return Decisions(found, tuple(wishes), min(deadlines) if deadlines else None)


def _considered(view: DatabaseView, groups: Collection[GroupId] | None, memory: Memory) -> list[GroupRecord]:
    """What is on a node that is being drained waits to leave it. What is in flight is settled first."""
    if groups is None:
        busy = memory.in_flight.groups
        return [each for each in view.groups() if key_of(each.name) not in busy]
    names = {key_of(each) for each in groups} | memory.deferred
    names |= memory.waiting.groups | memory.waiting.bound_home(view)
    for node in view.nodes():
        if node.pause is not None and node.pause.is_drain:
            names.update(memory.crowd.held_by(node.name))
    names -= memory.in_flight.groups
    return [found for each in sorted(names) if (found := view.group(each)) is not None]


def _drains(view: DatabaseView, sight: Sight, crowd: Crowd) -> Iterator[Proposal]:
    nodes = view.nodes()
    for node in nodes:
        is_drain = node.pause is not None and node.pause.is_drain
        held = crowd.held_by(node.name) if is_drain else ()
        owned = [found for each in held if (found := view.group(each)) is not None]
        standings = [standing_of(view, group, len(nodes)) for group in owned]
        here = [each for each in standings if key_of(each.owner) == key_of(node.name)]
        here.sort(key=lambda each: (-each.settings.priority, each.group.name))
        proposal = decide_drain(node, here, view, crowd, sight)
        if proposal is not None:
            yield proposal


def _balancing(view: DatabaseView, sight: Sight, memory: Memory) -> Iterator[Proposal]:
    if not sight.is_balancing_due or memory.in_flight.is_guarded:
        return
    crowd = memory.crowd
    pen = Pen(view, sight, crowd, memory.waiting)
    for name, target, reason in balancing_moves(crowd, view, sight, sight.loads):
        group = view.group(name)
        standing = standing_of(view, group, len(view.nodes())) if group is not None else None
        if standing is None or standing.assignment is None:
            continue
        text = f"{standing.group.name} goes to {target} to even out the load: {reason}"
        proposal = pen.leave(
            standing,
            standing.assignment,
            ReleaseCause.BALANCE,
            rule="balancing",
            text=text,
            message=text,
            target=target,
        )
        if proposal is not None:
            yield proposal


def _cluster_deadlines(passing: GroupDecisions, sets: GroupSets) -> Iterator[int]:
    yield from passing.deadlines_cluster_ms()
    yield from sets.deadlines_cluster_ms()


def _one_per_subject(proposals: Iterable[Proposal], busy: Collection[str]) -> list[Proposal]:
    """The first proposal about each subject: two about one group would only exclude each other at commit."""
    seen = set(busy)
    found = []
    for each in proposals:
        if seen.isdisjoint(each.subjects):
            seen.update(each.subjects)
            found.append(each)
    return found


def _bundled(proposals: Sequence[Proposal]) -> tuple[Proposal, ...]:
    """Those about groups that constrain each other become one transaction, in the place of the first of them."""
    guarded = [each for each in proposals if each.is_guarded]
    if len(guarded) < 2:
        return tuple(proposals)
    first, bundle = guarded[0], joined(guarded)
    return tuple(bundle if each is first else each for each in proposals if each is first or not each.is_guarded)


__all__ = ["Decisions", "FenceWish", "Memory", "Proposal", "decide"]
