"""What should be committed now? Pure. The whole of a leader's thinking, in one pass."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from clusterd.database import DatabaseView
from clusterd.leader.balance import balancing_moves
from clusterd.leader.crowd import Crowd
from clusterd.leader.disks import decide_disks
from clusterd.leader.drains import decide_drain
from clusterd.leader.group_sets import GroupSets
from clusterd.leader.groups import GroupDecisions
from clusterd.leader.members import decide_members, member_deadlines_ms
from clusterd.leader.pen import Pen
from clusterd.leader.proposal import FenceWish, Proposal
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
    memory.crowd.refresh(view, sight)
    memory.waiting.refresh(view)
    sets = GroupSets(view, sight)
    members, wishes = decide_members(view, sight)
    passing = GroupDecisions(view, sight, memory.crowd, memory.waiting, sets)
    proposals = [
        *members,
        *decide_disks(view, sight),
        *sets.decide(),
        *_drains(view, sight, memory.crowd),
        *passing.decide(_considered(view, groups, memory)),
        *_balancing(view, sight, memory),
    ]
    waits_ms = (sight.now_ms + at - sight.cluster_ms for at in _cluster_deadlines(passing, sets))
    deadlines = [*member_deadlines_ms(view, sight), *waits_ms]
    return Decisions(_one_per_subject(proposals), tuple(wishes), min(deadlines) if deadlines else None)


def _considered(view: DatabaseView, groups: Collection[GroupId] | None, memory: Memory) -> list[GroupRecord]:
    """What is on a node that is being drained waits to leave it."""
    if groups is None:
        return view.groups()
    names = {key_of(each) for each in groups} | memory.waiting.groups | memory.waiting.bound_home(view)
    for node in view.nodes():
        if node.pause is not None and node.pause.is_drain:
            names.update(memory.crowd.held_by(node.name))
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
    if not sight.is_balancing_due:
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


def _one_per_subject(proposals: Iterable[Proposal]) -> tuple[Proposal, ...]:
    """The first proposal about each subject: two about one group would only exclude each other at commit."""
    found: dict[str, Proposal] = {}
    for each in proposals:
        found.setdefault(each.subject, each)
    return tuple(found.values())


__all__ = ["Decisions", "FenceWish", "Memory", "Proposal", "decide"]
