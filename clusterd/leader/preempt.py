"""Who is taken offline to make room for a group of higher priority? Pure.

Only on a node that the group could run on but for lack of room, and only groups that rank strictly lower, are below the
priority that is never preempted, and that nobody locked or took in hand. As few as possible, and of those the least
important; between nodes the same, then the order in which they joined.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from clusterd.database import DatabaseView
from clusterd.leader.crowd import Crowd
from clusterd.leader.placement import named
from clusterd.leader.rooms import Room
from clusterd.leader.seats import Seat, settings_of
from clusterd.model.ids import GroupId, NodeId, key_of
from clusterd.model.maintenance import group_hands_off
from clusterd.model.records import GroupRecord
from clusterd.model.states import GroupStatus


@dataclass(frozen=True, slots=True)
class Victims:
    """The groups to take offline on one node, and the sentence that explains it."""

    node: NodeId
    groups: tuple[GroupId, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class _Victim:
    group: GroupId
    priority: int
    memory_mib: int
    cores: int


def victims(crowd: Crowd, view: DatabaseView, group: GroupRecord) -> Victims | None:
    """How room could be made for `group`; None: there is room, its priority does not allow it, or it would not help."""
    key = key_of(group.name)
    seat = crowd.seats.get(key)
    if seat is None or seat.needs.priority < crowd.settings.minimum_preemptor_priority:
        return None
    found: list[tuple[tuple[int, int, int], Room, tuple[_Victim, ...]]] = []
    barred = crowd.exclusions(group)
    for room in crowd.rooms.values():
        excluded = barred.get(room.key)
        if excluded is None:
            return None
        if excluded.status is not GroupStatus.PHYSICAL_RESOURCES_LACKING:
            continue
        chosen = _fewest(_eligible(crowd, view, seat, room), *_deficit(crowd, seat, room))
        if chosen:
            found.append(((len(chosen), max(each.priority for each in chosen), room.index), room, chosen))
    if not found:
        return None
    _, room, chosen = min(found, key=lambda each: each[0])
    return Victims(room.name, tuple(each.group for each in chosen), _told(crowd, seat, room, chosen))


def _deficit(crowd: Crowd, seat: Seat, room: Room) -> tuple[int, int]:
    """Memory and cores that are missing there."""
    load, capacity, needs = crowd.load(room.name), room.settings, seat.needs
    is_there = room.key in seat.places
    memory = 0 if capacity.memory_mib is None or not needs.memory_mib else load.memory_mib - capacity.memory_mib
    cores = 0 if capacity.cores is None or not needs.cores else load.cores - capacity.cores
    return (
        max(0, memory + needs.memory_mib * (not is_there)) if capacity.memory_mib is not None else 0,
        max(0, cores + needs.cores * (not is_there)) if capacity.cores is not None else 0,
    )


def _eligible(crowd: Crowd, view: DatabaseView, seat: Seat, room: Room) -> list[_Victim]:
    """Groups on that node that may be taken offline for it, the least important first."""
    never = crowd.settings.minimum_never_preempt_priority
    cluster, node = view.cluster(), view.node(room.name)
    found = []
    for key in crowd.held_by(room.name):
        other = crowd.seats[key]
        needs = other.needs
        if not (needs.memory_mib or needs.cores) or needs.priority >= min(never, seat.needs.priority):
            continue
        record = view.group(key)
        if record is None or other.places != (room.key,) or settings_of(record).is_locked:
            continue
        if group_hands_off(cluster, node, record) is None:
            found.append(_Victim(record.name, needs.priority, needs.memory_mib, needs.cores))
    return sorted(found, key=lambda each: (each.priority, key_of(each.group)))


def _fewest(eligible: Sequence[_Victim], memory_mib: int, cores: int) -> tuple[_Victim, ...]:
    """As few as possible that free this much, then the least important; none when all together do not.

    Exact where one kind of room is missing. Where both are, the one that covers most of what is missing goes first.
    """
    if not _frees(eligible, memory_mib, cores):
        return ()
    chosen: list[_Victim] = []
    while not _frees(chosen, memory_mib, cores):
        short_mib = memory_mib - sum(each.memory_mib for each in chosen)
        short_cores = cores - sum(each.cores for each in chosen)
        left = [each for each in eligible if each not in chosen]
        chosen.append(max(left, key=lambda each: _share(each.memory_mib, short_mib) + _share(each.cores, short_cores)))
    return _least_important(chosen, eligible, memory_mib, cores)


def _least_important(
    chosen: list[_Victim], eligible: Sequence[_Victim], memory_mib: int, cores: int
) -> tuple[_Victim, ...]:
    """The same number of victims, each of them exchanged for the least important that will do."""
    kept = sorted(chosen, key=lambda each: (-each.priority, key_of(each.group)))
    for at in range(len(kept)):
        for other in eligible:
            if other.priority >= kept[at].priority:
                break
            if other not in kept and _frees([*kept[:at], other, *kept[at + 1 :]], memory_mib, cores):
                kept[at] = other
                break
    needed = list(kept)
    for each in kept:
        rest = [other for other in needed if other is not each]
        if _frees(rest, memory_mib, cores):
            needed = rest
    return tuple(sorted(needed, key=lambda each: (each.priority, key_of(each.group))))


def _frees(some: Iterable[_Victim], memory_mib: int, cores: int) -> bool:
    found = list(some)
    return sum(each.memory_mib for each in found) >= memory_mib and sum(each.cores for each in found) >= cores


def _share(offered: int, missing: int) -> int:
    """How much of what is missing this covers, in thousandths."""
    return min(offered, missing) * 1000 // missing if missing > 0 else 0


def _told(crowd: Crowd, seat: Seat, room: Room, chosen: Sequence[_Victim]) -> str:
    record_needs = seat.needs
    memory_mib, cores = _deficit(crowd, seat, room)
    lacks = [f"{memory_mib} MiB"] if memory_mib else []
    lacks += [f"{cores} cores"] if cores else []
    makers = named([f"{each.group} (priority {each.priority})" for each in chosen])
    verb = "makes" if len(chosen) == 1 else "make"
    return f"{seat.name} (priority {record_needs.priority}) lacks {' and '.join(lacks)} on {room.name}; {makers} {verb} room"
