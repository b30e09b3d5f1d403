"""Which groups should move to even out the load? Pure.

A node is too loaded when the memory that its groups demand, or its processors, are used beyond the level that the cluster
allows. From each such node at most one group leaves at a time: the smallest that brings it back to the level, or else the
largest, and only to a node that stays within the level and is not worse off afterwards than the one it came from. So a move
never calls for another one back.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from clusterd.database import DatabaseView
from clusterd.leader.crowd import Crowd
from clusterd.leader.live import live_obstacle
from clusterd.leader.rooms import Room
from clusterd.leader.seats import Seat, settings_of
from clusterd.leader.sight import NodeLoad, Sight
from clusterd.model.ids import GroupId, NodeId, key_of
from clusterd.model.maintenance import group_hands_off
from clusterd.model.records import GroupRecord
from clusterd.model.states import Order, ResourceState, Wanted

MOVES_MAX = 4
SOURCES_MAX = 16


@dataclass(frozen=True, slots=True)
class _Fill:
    """How full a node is, in percent of what it has."""

    memory: float
    processors: float

    @property
    def worst(self) -> float:
        return max(self.memory, self.processors)


@dataclass(frozen=True, slots=True)
class _Move:
    """A group that could leave, and how much of the source it takes along."""

    group: GroupRecord
    target: NodeId
    source_after: _Fill
    target_after: _Fill


def balancing_moves(
    crowd: Crowd, view: DatabaseView, sight: Sight, loads: Mapping[NodeId, NodeLoad]
) -> list[tuple[GroupId, NodeId, str]]:
    """Group, target and reason of each move to order now, the fullest node's first."""
    if sight.settings.auto_balancer_mode == "off":
        return []
    return _Pass(crowd, view, loads, sight.settings.auto_balancer_percent).moves()


class _Pass:
    """One look at all nodes. Each move is counted before the next is sought."""

    def __init__(self, crowd: Crowd, view: DatabaseView, loads: Mapping[NodeId, NodeLoad], limit: int) -> None:
        self._crowd = crowd
        self._view = view
        self._limit = limit
        self._scale = _Scale(crowd, {key_of(node): load for node, load in loads.items()})
        self._fills = {key: self._scale.fill(key) for key, room in crowd.rooms.items() if not room.refusal}

    def moves(self) -> list[tuple[GroupId, NodeId, str]]:
        fills, rooms = self._fills, self._crowd.rooms
        sources = sorted(
            (key for key in fills if fills[key].worst > self._limit), key=lambda key: (-fills[key].worst, key)
        )
        found: list[tuple[GroupId, NodeId, str]] = []
        for source in sources[:SOURCES_MAX]:
            if len(found) >= MOVES_MAX or _is_under_way(self._crowd, self._view, source):
                continue
            move = _best(self._possible(rooms[source]), self._limit)
            if move is None:
                continue
            found.append((move.group.name, move.target, _told(rooms[source], fills[source], move, self._limit)))
            fills[source], fills[key_of(move.target)] = move.source_after, move.target_after
            self._crowd.placed(move.group.name, move.target)
        return found

    def _possible(self, source: Room) -> Iterator[_Move]:
        """Each group that may leave the source, with the best node for it."""
        rooms = [self._crowd.rooms[key] for key, fill in self._fills.items() if fill.worst < self._limit]
        rooms = [room for room in rooms if room.key != source.key and not room.settings.avoid_placement]
        site = source.settings.site
        for key in self._crowd.held_by(source.name) if rooms else ():
            group = self._view.group(key)
            if group is None or not _may_move(self._crowd, self._view, key, group, source):
                continue
            found = [self._move(group, key, source, room) for room in self._able(rooms, group, source)]
            helpful = [each for each in found if self._helps(each, source)]
            if helpful:
                yield min(helpful, key=lambda each: (self._site(each.target) != site, each.target_after.worst))

    def _able(self, rooms: Sequence[Room], group: GroupRecord, source: Room) -> list[Room]:
        """Those that can take it, and that nothing speaks against: with an interruption only if `balancing` says so."""
        barred, rivals = self._crowd.exclusions(group), self._crowd.conflicts(group)
        able = [room for room in rooms if room.key not in barred and room.key not in rivals]
        if settings_of(group).balancing == "always":
            return able
        resources = self._view.resources_of(group.name)
        return [room for room in able if not live_obstacle(self._view, resources, source.name, room.name)]

    def _helps(self, move: _Move, source: Room) -> bool:
        after = move.target_after.worst
        return after <= self._limit and after <= move.source_after.worst < self._fills[source.key].worst

    def _move(self, group: GroupRecord, key: str, source: Room, target: Room) -> _Move:
        here, there = self._scale.share(self._crowd.seats[key], source, target)
        before, after = self._fills[source.key], self._fills[target.key]
        return _Move(
            group,
            target.name,
            _Fill(before.memory - here.memory, before.processors - here.processors),
            _Fill(after.memory + there.memory, after.processors + there.processors),
        )

    def _site(self, node: NodeId) -> str:
        return self._crowd.rooms[key_of(node)].settings.site


class _Scale:
    """Turns demands into shares of a node."""

    def __init__(self, crowd: Crowd, loads: Mapping[str, NodeLoad]) -> None:
        self._crowd = crowd
        self._loads = loads

    def fill(self, node: str) -> _Fill:
        room, reported = self._crowd.rooms[node], self._loads.get(node)
        load = self._crowd.load(room.name)
        if room.settings.memory_mib:
            memory = load.memory_mib * 100 / room.settings.memory_mib
        else:
            memory = float(reported.memory_percent) if reported else 0.0
        return _Fill(memory, float(reported.processor_percent) if reported else 0.0)

    def share(self, seat: Seat, source: Room, target: Room) -> tuple[_Fill, _Fill]:
        """What the group takes of the source, and would take of the target."""
        reported, load = self._loads.get(source.key, NodeLoad(0, 0)), self._crowd.load(source.name)
        memory = reported.memory_percent * _part(seat.needs.memory_mib, load.memory_mib, load.groups)
        processors = reported.processor_percent * _part(seat.needs.cores, load.cores, load.groups)
        has, gets = source.settings.cores, target.settings.cores
        ratio = has / gets if has and gets else 1.0
        return (
            _Fill(_memory(seat, source, measured=memory), processors),
            _Fill(_memory(seat, target, measured=memory), processors * ratio),
        )


def _memory(seat: Seat, room: Room, *, measured: float) -> float:
    return seat.needs.memory_mib * 100 / room.settings.memory_mib if room.settings.memory_mib else measured


def _part(demanded: int, by_all: int, groups: int) -> float:
    """Nobody measures groups: what it demands of what all there demand, or an equal part where nobody demands any."""
    return demanded / by_all if by_all else 1 / max(1, groups)


def _is_under_way(crowd: Crowd, view: DatabaseView, node: str) -> bool:
    """Whether something leaves this node already: one at a time, and what it brings is seen first."""
    for key in crowd.held_by(crowd.rooms[node].name):
        assignment = view.assignment(key)
        if (
            assignment is not None
            and assignment.order in (Order.RELEASE, Order.MIGRATE)
            and key_of(assignment.owner) == node
        ):
            return True
    return False


def _may_move(crowd: Crowd, view: DatabaseView, key: str, group: GroupRecord, source: Room) -> bool:
    """Online, here, not locked, not in maintenance, not asked to be elsewhere, and its settings allow it."""
    settings, seat = settings_of(group), crowd.seats[key]
    assignment, report = view.assignment(key), view.report(key)
    if assignment is None or report is None or seat.places != (source.key,) or assignment.order is not Order.RUN:
        return False
    if settings.balancing == "never" or settings.is_locked or (settings.may_fail_back and group.preferred_owners):
        return False
    if group.move is not None and group.move.id != assignment.move_id:
        return False
    if report.generation != assignment.generation or report.is_hands_off:
        return False
    if group_hands_off(view.cluster(), view.node(source.name), group) is not None:
        return False
    states = {each.name: each.state for each in report.resources}
    wanted = [each.name for each in view.resources_of(key) if each.wanted is Wanted.ONLINE]
    return bool(wanted) and all(states.get(name) is ResourceState.ONLINE for name in wanted)


def _best(moves: Iterator[_Move], limit: int) -> _Move | None:
    """The one that disturbs least: the smallest that brings the source to its level, else the one that brings most."""
    found: Sequence[_Move] = list(moves)
    enough = [each for each in found if each.source_after.worst <= limit]
    if enough:
        return max(enough, key=lambda each: (each.source_after.worst, -each.target_after.worst, str(each.group.name)))
    return min(
        found, key=lambda each: (each.source_after.worst, each.target_after.worst, each.group.name), default=None
    )


def _told(source: Room, before: _Fill, move: _Move, limit: int) -> str:
    what = "memory" if before.memory >= before.processors else "processor time"
    return (
        f"the {what} of {source.name} is used to {before.worst:.0f} % (limit {limit} %); without it "
        f"{move.source_after.worst:.0f} %, and {move.target} then {move.target_after.worst:.0f} %"
    )
