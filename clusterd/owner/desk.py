"""What does an owner remember between two passes of planning? Pure. Shared by what plans and by what draws consequences."""

from dataclasses import dataclass, field

from clusterd.model.events import STALE_REFUSED, Note, note
from clusterd.model.ids import Incarnation, NodeId, key_of
from clusterd.owner.arrival import Arrival
from clusterd.owner.commands import KillHost
from clusterd.owner.fence_order import FenceOrder
from clusterd.owner.group import OwnedGroup
from clusterd.owner.hosts import Hosts
from clusterd.owner.machine import Held


@dataclass(slots=True)
class Desk:
    """The groups of one node in its present incarnation, their hosts, and what the next plan has to say and to look at."""

    node: NodeId
    incarnation: Incarnation = Incarnation("")
    hosts: Hosts = field(default_factory=Hosts)
    groups: dict[str, OwnedGroup] = field(default_factory=dict)
    group_of: dict[str, OwnedGroup] = field(default_factory=dict)
    """By folded resource name."""
    arrivals: dict[str, Arrival] = field(default_factory=dict)
    """Groups that are to migrate here, by key."""
    fences: dict[str, FenceOrder] = field(default_factory=dict)
    """Groups whose storage is to refuse their owner, by key."""
    dirty: set[str] = field(default_factory=set)
    look_again_ms: dict[str, int] = field(default_factory=dict)
    stop_again_ms: dict[str, int] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    kills: list[KillHost] = field(default_factory=list)
    stale_count: int = 0
    told: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """By which times a host checks what it runs."""
    is_node_stopping: bool = False
    keeps_groups: bool = False
    """A stopping node takes its groups offline and does not give them up: they wait for it."""

    def begin(self, incarnation: Incarnation) -> None:
        """Whatever was known of another incarnation is over."""
        self.incarnation, self.hosts = incarnation, Hosts(self.hosts.last_call)
        self.groups, self.group_of = {}, {}
        self.dirty, self.look_again_ms, self.stop_again_ms = set(), {}, {}
        self.told = {}
        self.arrivals, self.fences = {}, {}

    def find(self, name: str) -> tuple[OwnedGroup | None, Held | None]:
        """The group that holds a resource, and the resource in its hands."""
        group = self.group_of.get(name)
        held = group.held.get(name) if group is not None else None
        return (group, held) if held is not None else (None, None)

    def forget_resource(self, name: str, group: OwnedGroup) -> None:
        """Unless another group has a resource of that name by now."""
        if self.group_of.get(name) is group:
            del self.group_of[name]

    def arrival_of(self, name: str) -> Arrival | None:
        """The arrival that a resource belongs to."""
        return next((each for each in self.arrivals.values() if name in each.records), None)

    def mark(self, group: OwnedGroup) -> None:
        """Look at the group at the next plan."""
        self.dirty.add(key_of(group.record.name))

    def look_at(self, group: OwnedGroup, at_ms: int) -> None:
        key = key_of(group.record.name)
        self.look_again_ms[key] = min(at_ms, self.look_again_ms.get(key, at_ms))

    def due(self, now_ms: int) -> list[str]:
        """The groups to look at now, each once."""
        for name, at_ms in list(self.look_again_ms.items()):
            if at_ms <= now_ms:
                del self.look_again_ms[name]
                self.dirty.add(name)
        due, self.dirty = sorted(self.dirty & (self.groups.keys() | self.arrivals.keys() | self.fences.keys())), set()
        return due

    def count_stale(self, what: str) -> None:
        self.stale_count += 1
        self.notes.append(note(STALE_REFUSED, what=what, count=self.stale_count))
