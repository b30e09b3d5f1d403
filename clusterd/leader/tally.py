"""How much does each node carry? Pure. Sums over seats, kept up to date seat by seat."""

from bisect import bisect_left, insort
from collections.abc import Mapping
from dataclasses import dataclass

from clusterd.leader.rooms import Room
from clusterd.leader.seats import Seat

_Rank = tuple[int, int, int, int, str]


@dataclass(slots=True)
class Load:
    """What one node carries: groups that belong to it, and what those that run there demand together."""

    groups: int = 0
    memory_mib: int = 0
    cores: int = 0
    starting: int = 0


class Tally:
    """Sums over every seat. Nodes and groups are known by their keys."""

    def __init__(self) -> None:
        self.loads: dict[str, Load] = {}
        self.holds: dict[str, set[str]] = {}
        """Groups that belong to a node or weigh on it."""
        self._classes: dict[str, dict[str, set[str]]] = {}
        self._order: list[_Rank] = []
        self._rank: dict[str, _Rank] = {}
        self._rooms: Mapping[str, Room] = {}
        self._is_reserving = False
        self.changed: set[str] = set()
        """Nodes whose load changed since somebody last cleared this."""

    def add(self, key: str, seat: Seat) -> None:
        self._count(key, seat, 1)

    def remove(self, key: str, seat: Seat) -> None:
        self._count(key, seat, -1)

    def load(self, node: str) -> Load:
        found = self.loads.get(node)
        if found is None:
            found = self.loads[node] = Load()
        return found

    def classmates(self, name: str) -> Mapping[str, set[str]]:
        """By node: the groups of an anti-affinity class that weigh there."""
        return self._classes.get(name, {})

    def order(self) -> list[str]:
        """Nodes as the placement policy ranks them, best first."""
        return [rank[-1] for rank in self._order]

    def rank(self, rooms: Mapping[str, Room], *, is_reserving: bool) -> None:
        """Rank these nodes from now on: the emptiest first, or (`is_reserving`) the fullest."""
        self._rooms, self._is_reserving = rooms, is_reserving
        self._rank = {key: self._rank_of(key) for key in rooms}
        self._order = sorted(self._rank.values())

    def _count(self, key: str, seat: Seat, sign: int) -> None:
        if seat.home:
            load = self.load(seat.home)
            load.groups += sign
            self._moved(seat.home)
        for node in seat.starts:
            self.load(node).starting += sign
        for node in {seat.owner, seat.home, *seat.places} - {""}:
            _note(self.holds, node, key, sign)
        needs = seat.needs
        for place in seat.places:
            load = self.load(place)
            load.memory_mib += sign * needs.memory_mib
            load.cores += sign * needs.cores
            for name in needs.classes:
                _note(self._classes.setdefault(name, {}), place, key, sign)
            if needs.memory_mib or place != seat.home:
                self._moved(place)

    def _moved(self, node: str) -> None:
        self.changed.add(node)
        before = self._rank.get(node)
        if before is None:
            return
        after = self._rank_of(node)
        if after != before:
            del self._order[bisect_left(self._order, before)]
            insort(self._order, after)
            self._rank[node] = after

    def _rank_of(self, node: str) -> _Rank:
        room, load = self._rooms[node], self.load(node)
        if not self._is_reserving:
            return (load.groups, load.memory_mib, 0, room.index, node)
        capacity_mib = room.settings.memory_mib
        share = load.memory_mib * 1000 // capacity_mib if capacity_mib else 0
        return (-share, -load.memory_mib, -load.groups, room.index, node)


def _note(found: dict[str, set[str]], place: str, key: str, sign: int) -> None:
    if sign > 0:
        found.setdefault(place, set()).add(key)
        return
    there = found.get(place)
    if there is not None:
        there.discard(key)
        if not there:
            del found[place]
