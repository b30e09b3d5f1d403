"""What may each resource of an owned group do next? Pure.

A resource *stays* online when it is wanted, online, and enough of its providers stay. What is online and does not stay goes
offline once nothing that needs it is left; what is wanted comes online once enough of its providers stay. Branches that do
not depend on each other move at the same time. What maintenance is in force for is left out: it stays what it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from clusterd.model.dependencies import Dependency
from clusterd.model.ids import Incarnation, ResourceId, key_of
from clusterd.model.migrations import MigrationReport
from clusterd.model.records import AssignmentRecord, GroupRecord, ReportRecord, ResourceRecord, Step
from clusterd.model.settings import ResourceSettings
from clusterd.model.states import PENDING_STATES, GroupStatus, NextAction, Order, ResourceState, Wanted
from clusterd.owner.bounds import Bounds
from clusterd.owner.commands import CallReason
from clusterd.owner.machine import Held
from clusterd.owner.renewal import is_to_restart


@dataclass(slots=True)
class Departure:
    """A live migration of the group to another node, under the number of its assignment."""

    number: int
    began_ms: int = 0
    under_way: str = ""
    """The resource that is being moved."""
    moved: set[str] = field(default_factory=set)
    percent: int = 0
    text: str = ""
    told_ms: int = 0
    stopping: str = ""
    """Why what is under way was cancelled."""
    failed: str = ""
    is_moved: bool = False
    moved_ms: int = 0
    moved_wall_ms: int = 0
    took_ms: int = 0


@dataclass(frozen=True, slots=True)
class Warned:
    """What a host said last of a resource that a person should read, and when."""

    text: str
    at_ms: int


@dataclass(slots=True)
class OwnedGroup:
    """A group under one assignment of this node's present incarnation. Resources are keyed by folded name."""

    assignment: AssignmentRecord
    record: GroupRecord
    records: dict[str, ResourceRecord] = field(default_factory=dict)
    settings: dict[str, ResourceSettings] = field(default_factory=dict)
    dependencies: dict[str, Dependency] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    held: dict[str, Held] = field(default_factory=dict)
    hands_off: str = ""
    """Who asked to keep hands off all of it; empty: nobody. `Held.is_hands_off` says what that is in force for."""
    hands_off_resources: dict[str, str] = field(default_factory=dict)
    """The same for single resources."""
    is_released: bool = False
    waits_for_node: bool = False
    was_online: bool = False
    steps: tuple[Step, ...] = ()
    failed_over_by: ResourceId = ResourceId("")
    failed_over_because: str = ""
    reset_id: str = ""
    departure: Departure | None = None
    arrived: MigrationReport | None = None
    """How the live migration went by which it came here."""
    went_on_wall_ms: int = 0
    """Since when everything that came runs here."""
    quiet_until_ms: int = 0
    """Until then nothing is reported of a group that arrives but that it goes on, or that something is wrong."""
    idle: frozenset[str] = frozenset()
    """Resources for which nothing runs while they are online: nobody waits for them in a live migration."""
    may_continue: bool = False
    """What this node prepared for it is what arrived: it goes on instead of starting afresh."""
    bounds: Bounds = Bounds()
    """How much its reports say."""
    report_not_before_ms: int = 0
    """The last one was refused, and there is nothing to leave out."""
    warnings: list[tuple[str, str]] = field(default_factory=list)
    """What hosts warned of since the last report: resource and text."""
    warned: dict[str, Warned] = field(default_factory=dict)
    last_report: ReportRecord | None = None
    is_reporting: bool = False
    is_confirmed: bool = True
    """False: an earlier daemon of this incarnation may have a report under way, which may even release the group. Nothing is
    started before a report of this daemon's is committed: from then on no older one can be."""
    is_given_up: bool = False
    """The cluster took it away: stop what is left, say nothing, and forget it."""
    is_deleted: bool = False
    """Nothing of it is wanted any more, wherever: stop what is left, and release it."""

    @property
    def is_wanted_here(self) -> bool:
        """Whether this node should run it at all."""
        return (
            self.assignment.order in (Order.RUN, Order.MIGRATE)
            and not (self.is_released or self.is_given_up or self.has_moved)
            and self.record.wanted is Wanted.ONLINE
        )

    @property
    def has_moved(self) -> bool:
        """Everything that runs has been moved to the destination: what is left here only has to go."""
        leaving = self.departure
        is_ordered = self.assignment.order is Order.MIGRATE
        return leaving is not None and is_ordered and leaving.number == self.assignment.migration and leaving.is_moved

    @property
    def unsettled(self) -> set[str]:
        """What is being moved, or stands still although its migration fell through: it goes on here before it can be taken
        offline in good order. Of a deleted group nobody lets anything go on."""
        leaving = self.departure
        if leaving is None or self.has_moved or self.is_given_up or self.is_deleted:
            return set()
        return {name for name in (leaving.under_way, *leaving.moved) if name in self.held}

    @property
    def is_arriving(self) -> bool:
        """It came by live migration, and not all of it is online yet."""
        return self.arrived is not None and self.arrived.is_moved and not self.arrived.blackout_ms

    @property
    def wanted(self) -> set[str]:
        """What should be online here."""
        if not self.is_wanted_here:
            return set()
        return {name for name, record in self.records.items() if record.wanted is Wanted.ONLINE}

    @property
    def is_hands_off(self) -> bool:
        """Whether maintenance is in force for everything of it."""
        return all(held.is_hands_off for held in self.held.values()) if self.held else bool(self.hands_off)

    @property
    def online(self) -> set[str]:
        return {name for name, held in self.held.items() if held.state is ResourceState.ONLINE}


@dataclass(frozen=True, slots=True)
class Intent:
    """What the dependencies and wishes allow now: folded names, providers first."""

    to_bring_online: tuple[str, ...]
    to_take_offline: Mapping[str, CallReason]
    """With the reason for each."""
    to_cancel: tuple[str, ...]
    """What is coming online although a provider was lost meanwhile."""
    unwanted: frozenset[str]
    waits_for: Mapping[str, str]
    """Resources that are wanted but must wait, with what for."""


def intend(group: OwnedGroup, *, is_node_stopping: bool) -> Intent:
    """Compare what is with what is wanted, for every resource of the group."""
    wanted = set() if is_node_stopping else group.wanted
    untouched = {name for name, held in group.held.items() if held.is_hands_off}
    users, online = users_by_provider(group), group.online
    stays: set[str] = set()
    to_bring: list[str] = []
    to_cancel: list[str] = []
    waits: dict[str, str] = {}
    for name in group.order:
        held = group.held[name]
        if name in untouched:
            if held.state is ResourceState.ONLINE:
                stays.add(name)
        elif name not in wanted:
            continue
        elif is_to_restart(held, group.records.get(name)):
            waits[name] = "it is restarted"
        elif not group.dependencies[name].is_satisfied(stays):
            waits[name] = f"waits for its providers {group.dependencies[name]}"
            if held.state is ResourceState.ONLINE_PENDING:
                to_cancel.append(name)
        elif held.state is ResourceState.ONLINE:
            stays.add(name)
        elif held.state in (ResourceState.OFFLINE, ResourceState.FAILED):
            to_bring.append(name)
            if held.is_prepared and name in group.idle:
                stays.add(name)  # it was proven here: what needs it need not wait
        elif held.state is ResourceState.ONLINE_PENDING and group.is_arriving and name in group.idle:
            stays.add(name)
    to_take = {
        name: _why_offline(group, name, wanted, is_node_stopping)
        for name in reversed(group.order)
        if name in online and name not in stays and not _is_needed(group, name, users, online)
    }
    for name in group.unsettled - wanted:
        to_take.pop(name, None)
    ready = tuple(name for name in to_bring if not _is_needed(group, name, users, online, but_for=untouched))
    return Intent(ready, to_take, tuple(to_cancel), frozenset(group.held) - wanted - untouched, waits)


def under_way(group: OwnedGroup, intent: Intent) -> set[str]:
    """What is moving, or about to: maintenance that is asked for now waits for it."""
    found: set[str] = set()
    for name in group.order:
        held = group.held[name]
        is_started = name in intent.to_bring_online and not _rests(held)
        is_stopped = name in intent.to_take_offline or (held.may_run and _is_down(held) and not held.evidence)
        providers = {key_of(each) for each in group.dependencies[name].providers}
        is_waiting = name in intent.waits_for and bool(providers & found)
        if held.state in PENDING_STATES or is_started or is_stopped or is_waiting:
            found.add(name)
    return found


def _rests(held: Held) -> bool:
    """Whether nothing but time, or a person, brings it back."""
    return held.next_action in (NextAction.RETRY, NextAction.REST) or (
        held.state is ResourceState.FAILED and not held.next_action
    )


def _is_down(held: Held) -> bool:
    return held.state in (ResourceState.OFFLINE, ResourceState.FAILED)


def _is_needed(
    group: OwnedGroup,
    provider: str,
    users: Mapping[str, list[str]],
    online: set[str],
    but_for: set[str] | None = None,
) -> bool:
    """Whether something that cannot do without `provider` still runs (`but_for` what is not looked at). What stands still
    here because it has moved, or what nothing runs for, needs nothing any more of what moved as well, or of what nothing
    runs for."""
    still = group.departure.moved | group.idle if group.has_moved and group.departure is not None else frozenset()
    if provider not in users:
        return False
    without = online - {provider}
    for name in users[provider]:
        held = group.held[name]
        is_running = held.may_run or held.state is not ResourceState.OFFLINE
        is_done = held.state is ResourceState.FAILED and not held.may_run
        is_looked_at = name not in (but_for or ()) and not (name in still and provider in still)
        if is_looked_at and is_running and not is_done and not group.dependencies[name].is_satisfied(without):
            return True
    return False


def users_by_provider(group: OwnedGroup) -> dict[str, list[str]]:
    """Of every provider: what names it in its dependency. Worked out once a pass: a group may have hundreds of resources."""
    found: dict[str, list[str]] = {}
    for name, dependency in group.dependencies.items():
        for provider in {key_of(each) for each in dependency.providers}:
            found.setdefault(provider, []).append(name)
    return found


def _why_offline(group: OwnedGroup, name: str, wanted: set[str], is_node_stopping: bool) -> CallReason:
    if is_node_stopping:
        return CallReason.SHUTTING_DOWN
    if is_to_restart(group.held[name], group.records.get(name)):
        return CallReason.RESTARTING
    if name in wanted:
        return CallReason.PROVIDER_LOST
    if group.has_moved:
        return CallReason.MIGRATED
    if group.assignment.order is Order.RELEASE:
        return CallReason.MOVING
    if name not in group.records:
        return CallReason.DELETING
    is_preempted = GroupStatus.PREEMPTED in group.assignment.status
    return CallReason.PREEMPTED if is_preempted else CallReason.USER_REQUESTED


def is_empty_here(group: OwnedGroup) -> bool:
    """Whether it is certain that nothing of the group runs on this node."""
    return all(not (held.may_run or held.is_prepared) and _is_down(held) for held in group.held.values())


def provider_order(dependencies: Mapping[str, Dependency]) -> tuple[str, ...]:
    """Names with every provider before its dependents; names in a circle (refused on entry) come last, in name order."""
    placed: dict[str, None] = {}
    rest = sorted(dependencies)
    while rest:
        ready = [
            name
            for name in rest
            if all(
                each in placed or each not in dependencies
                for each in (key_of(provider) for provider in dependencies[name].providers)
            )
        ]
        for name in ready or rest:
            placed[name] = None
        rest = [name for name in rest if name not in placed]
    return tuple(placed)


def is_mine(assignment: AssignmentRecord, node: str, incarnation: Incarnation) -> bool:
    return assignment.owner == node and bool(incarnation) and assignment.incarnation == incarnation
