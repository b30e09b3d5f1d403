"""Would every group still find a node if some were lost? Pure. Works from any node's view of the database.

Each loss is played through with the leader's own placement: the groups of the lost nodes, most important first, go where
they would go, and what then finds no room may take the place of others. The quorum is counted in `foresight.votes`.
"""

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from math import comb

from clusterd.database import DatabaseView
from clusterd.leader.crowd import Crowd
from clusterd.leader.placement import PlacementCause, Request
from clusterd.leader.preempt import victims
from clusterd.leader.sight import Sight
from clusterd.model.ids import GroupId, NodeId, key_of
from clusterd.model.maintenance import group_hands_off
from clusterd.model.records import GroupRecord
from clusterd.model.states import GroupStatus

LOSSES_MAX = 128
STEPS_MAX = 20_000


@dataclass(frozen=True, slots=True)
class NodeCapacity:
    """What a node has and what its groups demand; None: not limited. `refusal`: why it takes no group now."""

    node: NodeId
    groups: int
    memory_mib: int | None
    memory_used_mib: int
    cores: int | None
    cores_used: int
    refusal: str

    @property
    def memory_free_mib(self) -> int | None:
        return None if self.memory_mib is None else max(0, self.memory_mib - self.memory_used_mib)

    @property
    def cores_free(self) -> int | None:
        return None if self.cores is None else max(0, self.cores - self.cores_used)


@dataclass(frozen=True, slots=True)
class Stranded:
    """A group that would have no node, and why."""

    group: GroupId
    status: GroupStatus
    reason: str


@dataclass(frozen=True, slots=True)
class Loss:
    """What would become of the groups of these nodes."""

    nodes: tuple[NodeId, ...]
    placed: tuple[tuple[GroupId, NodeId], ...]
    stranded: tuple[Stranded, ...]


@dataclass(frozen=True, slots=True)
class CapacityAnswer:
    """Whether the loss of any `failures` nodes leaves every group a node, as far as was looked."""

    failures: int
    looked_at: int
    """Combinations that were played through, the ones with most on them first."""
    possible: int
    homeless: tuple[Stranded, ...]
    """Groups that have no node as it is."""
    losses: tuple[Loss, ...]
    """Those that strand a group."""
    nodes: tuple[NodeCapacity, ...]

    @property
    def is_complete(self) -> bool:
        return self.looked_at == self.possible

    @property
    def is_enough(self) -> bool:
        return not self.losses and not self.homeless

    @property
    def sentence(self) -> str:
        what = "the loss of any one node" if self.failures == 1 else f"the loss of any {self.failures} nodes"
        bound = (
            ""
            if self.is_complete
            else f" (the {self.looked_at} fullest of {self.possible} combinations were looked at)"
        )
        if not self.failures or self.homeless:
            count = len(self.homeless)
            if count:
                return f"{count} {'group has' if count == 1 else 'groups have'} no node now"
            return "every group has a node"
        if not self.losses:
            return f"every group would find a node after {what}{bound}"
        worst = max(self.losses, key=lambda each: len(each.stranded))
        count, lost = len(worst.stranded), " and ".join(worst.nodes)
        return (
            f"not after {what}: without {lost} {count} {'group' if count == 1 else 'groups'} would have no node{bound}"
        )


def survives(view: DatabaseView, sight: Sight, failures: int) -> CapacityAnswer:
    """Play through the loss of every combination of `failures` nodes that carry something, the fullest first."""
    crowd = Crowd()
    crowd.refresh(view, sight)
    able = [room.name for room in crowd.rooms.values() if not room.refusal]
    wanted = min(max(failures, 0), len(able))
    possible = comb(len(able), wanted) if wanted else 0
    sets = islice(_fullest(crowd, able, wanted), LOSSES_MAX) if wanted else iter(())
    looked_at, losses = 0, []
    for nodes in sets:
        looked_at += 1
        loss = _play(crowd, view, nodes)
        if loss.stranded:
            losses.append(loss)
    return CapacityAnswer(
        wanted,
        looked_at,
        possible,
        tuple(_homeless(crowd, view)),
        tuple(losses),
        node_capacities(crowd),
    )


def loss_of(view: DatabaseView, sight: Sight, nodes: Collection[NodeId]) -> Loss:
    """What would become of every group if these nodes were lost together."""
    crowd = Crowd()
    crowd.refresh(view, sight)
    return _play(
        crowd, view, tuple(room.name for key, room in crowd.rooms.items() if key in {key_of(n) for n in nodes})
    )


def node_capacities(crowd: Crowd) -> tuple[NodeCapacity, ...]:
    """What each node has and carries, in join order."""
    found = []
    for room in crowd.rooms.values():
        load, has = crowd.load(room.name), room.settings
        found.append(
            NodeCapacity(room.name, load.groups, has.memory_mib, load.memory_mib, has.cores, load.cores, room.refusal)
        )
    return tuple(found)


def _fullest(crowd: Crowd, able: Sequence[NodeId], size: int) -> Iterator[tuple[NodeId, ...]]:
    """Combinations of nodes, those that carry most first; of very many only those of the fullest nodes."""
    order = sorted(able, key=lambda node: (-crowd.load(node).memory_mib, -crowd.load(node).groups, able.index(node)))
    while len(order) > size and comb(len(order), size) > STEPS_MAX:
        order.pop()

    def carried(nodes: tuple[NodeId, ...]) -> tuple[int, int]:
        loads = [crowd.load(node) for node in nodes]
        return (-sum(load.memory_mib for load in loads), -sum(load.groups for load in loads))

    found = sorted(combinations(order, size), key=carried)
    yield from (tuple(sorted(nodes, key=able.index)) for nodes in found)


def _play(crowd: Crowd, view: DatabaseView, nodes: tuple[NodeId, ...]) -> Loss:
    lost = {key_of(node) for node in nodes}
    crowd.suppose_lost(nodes)
    waiting = [
        key
        for node in nodes
        for key in crowd.held_by(node)
        if crowd.seats[key].home in lost and crowd.seats[key].places
    ]
    waiting = [key for key in dict.fromkeys(waiting) if crowd.seats[key].needs.is_wanted]
    waiting.sort(key=lambda key: (-crowd.seats[key].needs.priority, key))
    play = _Play(crowd, view, waiting)
    play.run()
    crowd.forget()
    return Loss(
        nodes,
        tuple((GroupId(crowd.seats[key].name), play.placed[key]) for key in sorted(play.placed)),
        tuple(play.stranded[key] for key in sorted(play.stranded)),
    )


class _Play:
    """One loss: who waits for a node, who found one, and who did not."""

    def __init__(self, crowd: Crowd, view: DatabaseView, waiting: Sequence[str]) -> None:
        self._crowd = crowd
        self._view = view
        self._waiting = deque(waiting)
        self._gave_way: dict[str, str] = {}
        self.placed: dict[str, NodeId] = {}
        self.stranded: dict[str, Stranded] = {}

    def run(self) -> None:
        while self._waiting:
            key = self._waiting.popleft()
            record = self._view.group(key)
            if record is not None:
                self._find_node(key, record)

    def _find_node(self, key: str, record: GroupRecord) -> None:
        crowd = self._crowd
        home = crowd.rooms.get(crowd.seats[key].home)
        owner = self._view.node(home.name) if home else None
        if group_hands_off(self._view.cluster(), owner, record) is not None:
            reason = "it is in maintenance: nobody takes it over before that ends"
            self.stranded[key] = Stranded(record.name, GroupStatus.HANDS_OFF, reason)
            return
        cause = PlacementCause.RETRY if key in self._gave_way else PlacementCause.NODE_LOST
        placement = crowd.place(Request(record, cause, current=home.name if home else None))
        node = placement.chosen
        if node is None and placement.status is GroupStatus.PHYSICAL_RESOURCES_LACKING:
            node = self._make_room(record)
        if node is not None:
            crowd.placed(record.name, node)
            self.placed[key] = node
        elif key in self._gave_way:
            self.stranded[key] = Stranded(record.name, GroupStatus.PREEMPTED, self._gave_way[key])
        else:
            self.stranded[key] = Stranded(record.name, placement.status, placement.refusal)

    def _make_room(self, record: GroupRecord) -> NodeId | None:
        """The node where others give way to it. Those wait for another one then, each once."""
        found = victims(self._crowd, self._view, record)
        if found is None or any(key_of(group) in self._gave_way for group in found.groups):
            return None
        for group in found.groups:
            self._crowd.placed(group, None)
            self.placed.pop(key_of(group), None)
            self._gave_way[key_of(group)] = found.reason
            self._waiting.append(key_of(group))
        return found.node


def _homeless(crowd: Crowd, view: DatabaseView) -> Iterator[Stranded]:
    """Groups that are to be online and weigh on no node, or on none that is there."""
    for key in sorted(crowd.seats):
        seat = crowd.seats[key]
        room = crowd.rooms.get(seat.home)
        if not seat.needs.is_wanted or (seat.places and room is not None):
            continue
        record = view.group(key)
        if record is None:
            continue
        assignment = view.assignment_of(record)
        if assignment is None:
            yield Stranded(record.name, GroupStatus.NO_NODE, "it was not placed yet")
            continue
        status = GroupStatus(assignment.status[0]) if assignment.status else GroupStatus.NO_NODE
        yield Stranded(record.name, status, assignment.because.text)
