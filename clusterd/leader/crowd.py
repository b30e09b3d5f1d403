"""Who is where, how much does each node carry, and so: where can a group go? Pure.

A leader keeps one crowd and refreshes it before every pass with what changed since; one made anew gives the same answers
(a property test compares them). Facts that hold for many groups are worked out once, so that thousands of groups can be
placed in a pass.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from clusterd.database import Database, DatabaseView
from clusterd.leader.choice import Choice, choose, count_text
from clusterd.leader.in_flight import InFlight
from clusterd.leader.placement import Exclusion, Placement, Request
from clusterd.leader.rooms import Room, Rooms
from clusterd.leader.rules import awaited, rule_exclusions, rules_by_group, sets_by_group
from clusterd.leader.seats import Needs, Seat, needs_of, seat_of
from clusterd.leader.sight import Sight
from clusterd.leader.standing import is_over
from clusterd.leader.tally import Load, Tally
from clusterd.leader.type_versions import TypeVersions
from clusterd.model import keys
from clusterd.model.ids import GroupId, NodeId, key_of
from clusterd.model.records import (
    AssignmentRecord,
    Candidate,
    ClusterRecord,
    GroupRecord,
    ReportRecord,
    ResourceRecord,
    RuleRecord,
)
from clusterd.model.settings import cluster_settings
from clusterd.model.states import GroupStatus

_SEATED = (keys.GROUP, keys.ASSIGNMENT, keys.REPORT)
_NOTHING = InFlight()
_SHARED_MAX = 1024
_UNLIMITED = 1 << 62
_NO_NODE = GroupStatus.NO_NODE
_CONFLICT = GroupStatus.ANTI_AFFINITY_CONFLICT
_LACKING = GroupStatus.PHYSICAL_RESOURCES_LACKING


class Crowd:
    """Every group's seat and every node's load, as of the last refresh and what was placed since."""

    def __init__(self) -> None:
        self.rooms: dict[str, Room] = {}
        self.seats: dict[str, Seat] = {}
        self.settings = cluster_settings(ClusterRecord("", ""))
        self._database: Database | None = None
        self._revision = 0
        self._read_rooms = Rooms()
        self._before_supposed: dict[str, Room] | None = None
        self._tally = Tally()
        self._resources: dict[str, dict[str, ResourceRecord]] = {}
        self._group_of: dict[str, str] = {}
        self._rules: Mapping[str, tuple[RuleRecord, ...]] = {}
        self._sets: Mapping[str, frozenset[str]] = {}
        self._installed: dict[str, set[str]] = {}
        self._versions = TypeVersions()
        self._shared: dict[object, dict[str, Exclusion]] = {}
        self._avoided: set[str] = set()
        self._limits: list[tuple[str, int, int, Load]] = []
        self._sites: dict[str, str] = {}
        self._also: dict[str, Candidate] = {}
        self._before_placed: dict[str, Seat] = {}

    # ---- following the database ----

    def refresh(self, view: DatabaseView, sight: Sight, in_flight: InFlight = _NOTHING) -> None:
        """See what the view shows now and what is in flight; forget what was only `placed` or supposed."""
        self.forget()
        database = view.database
        changes = database.changes_since(self._revision) if database is self._database else None
        if changes is None:
            self._begin_again(view)
        else:
            self._follow(view, {key for _, key in changes})
        self._database, self._revision, self.settings = database, database.revision, sight.settings
        self._open(self._read_rooms.read(view, sight))
        for key, after in in_flight.assignments():
            self._expect(view, key, after)

    def _expect(self, view: DatabaseView, key: str, after: AssignmentRecord) -> None:
        """Count a group as it is, and as it will be when `after` is committed."""
        before = self.seats.get(key)
        if before is None:
            return
        self._before_placed.setdefault(key, before)
        member = view.membership(after.owner) if after.owner else None
        size = len(self._resources.get(key, {}))
        report = view.get(ReportRecord, keys.REPORT + key)
        will_be = seat_of(before.name, before.needs, after, report, size, is_over=is_over(after, member))
        self._reseat(key, before.together_with(will_be))

    def _begin_again(self, view: DatabaseView) -> None:
        self.seats, self._tally = {}, Tally()
        self._resources, self._group_of = {}, {}
        self._shared.clear()
        self._also.clear()
        for key, resource in view.items(ResourceRecord):
            self._keep_resource(key, resource)
        self._take_rules(view)
        self._installed, self._versions = _installed(view), TypeVersions(view.resource_types())
        self._tally.rank({}, is_reserving=False)
        for key, _ in view.items(GroupRecord):
            self._seat(view, key.removeprefix(keys.GROUP), is_changed=True)

    def _follow(self, view: DatabaseView, changed: Iterable[str]) -> None:
        seated, reshaped, prefixes = set(), set(), set()
        for key in changed:
            prefix = keys.prefix_of(key)
            prefixes.add(prefix)
            if prefix in _SEATED:
                seated.add(key.removeprefix(prefix))
                if prefix == keys.GROUP:
                    reshaped.add(key.removeprefix(prefix))
            elif prefix == keys.MEMBERSHIP:
                seated |= self._tally.holds.get(key.removeprefix(prefix), set())
            elif prefix == keys.RESOURCE:
                reshaped |= self._keep_resource(key, view.get(ResourceRecord, key))
        if keys.RULE in prefixes:
            self._take_rules(view)
        if keys.RESOURCE_TYPE in prefixes:
            self._installed, self._versions = _installed(view), TypeVersions(view.resource_types())
            self._shared.clear()
        for group in sorted(seated | reshaped):
            self._seat(view, group, is_changed=group in reshaped)

    def _take_rules(self, view: DatabaseView) -> None:
        self._rules = rules_by_group(view.rules())
        self._sets = sets_by_group(self._rules)

    def _keep_resource(self, key: str, record: ResourceRecord | None) -> set[str]:
        """Groups whose resources changed by this: it may have gone from one to another."""
        touched = set()
        before = self._group_of.pop(key, None)
        if before is not None:
            touched.add(before)
            del self._resources[before][key]
        if record is not None:
            group = self._group_of[key] = key_of(record.group)
            self._resources.setdefault(group, {})[key] = record
            touched.add(group)
        return touched

    def _seat(self, view: DatabaseView, key: str, *, is_changed: bool) -> None:
        """Seat the group of this key as the view shows it. A deleted group keeps its generation, and weighs nothing."""
        before = self.seats.get(key)
        record = view.get(GroupRecord, keys.GROUP + key)
        if record is None:
            self._reseat(key, None)
            return
        resources = self._resources.get(key, {})
        if before is None or is_changed:
            needs = needs_of(record, (resources[each] for each in sorted(resources)))
        else:
            needs = before.needs
        assignment = view.assignment_of(record)
        report = view.get(ReportRecord, keys.REPORT + key)
        member = view.membership(assignment.owner) if assignment is not None and assignment.owner else None
        has_ended = assignment is not None and is_over(assignment, member)
        self._reseat(key, seat_of(record.name, needs, assignment, report, len(resources), is_over=has_ended))

    def _reseat(self, key: str, seat: Seat | None) -> None:
        before = self.seats.pop(key, None)
        if before is not None:
            self._tally.remove(key, before)
        if seat is not None:
            self.seats[key] = seat
            self._tally.add(key, seat)

    def _open(self, rooms: dict[str, Room]) -> None:
        if rooms != self.rooms:
            self.rooms = rooms
            self._sites = {key: room.settings.site for key, room in rooms.items() if room.settings.site}
            self._avoided = {key for key, room in rooms.items() if room.settings.avoid_placement}
            self._shared.clear()
        self._limits = [
            (key, _limit(room.settings.memory_mib), _limit(room.settings.cores), self._tally.load(key))
            for key, room in rooms.items()
            if room.settings.memory_mib is not None or room.settings.cores is not None
        ]
        self._tally.rank(rooms, is_reserving=self.settings.placement_policy == "reserve")

    # ---- within a pass ----

    def placed(self, group: GroupId, node: NodeId | None, *, is_starting: bool = False) -> None:
        """Count a decision that is not committed yet; None: it left. Forgotten at the next refresh.

        Where it was it weighs on, for it may still run there.
        """
        key = key_of(group)
        before = self.seats.get(key)
        if before is None:
            return
        self._before_placed.setdefault(key, before)
        if node is None:
            self._reseat(key, Seat(before.name, before.needs))
            return
        home = key_of(node)
        places = tuple(dict.fromkeys((*before.places, home)))
        starts = tuple(dict.fromkeys((*before.starts, home))) if is_starting else ()
        self._reseat(key, Seat(before.name, before.needs, before.owner, home, places, starts))

    def suppose_lost(self, nodes: Collection[NodeId]) -> None:
        """Answer from now on as if these nodes were lost, until the next refresh or `forget`."""
        if self._before_supposed is None:
            self._before_supposed = self.rooms
        lost = {key_of(each) for each in nodes}
        rooms = dict(self._before_supposed)
        for key in lost & rooms.keys():
            rooms[key] = replace(rooms[key], refusal="it would be lost", runs_nothing=True)
        self._open(rooms)

    def forget(self) -> None:
        """Forget what was only `placed` or supposed."""
        for key, seat in self._before_placed.items():
            self._reseat(key, seat)
        self._before_placed.clear()
        if self._before_supposed is not None:
            self._open(self._before_supposed)
            self._before_supposed = None

    def starting(self, node: NodeId) -> int:
        """Groups that are coming online there now."""
        return self.load(node).starting

    def load(self, node: NodeId) -> Load:
        return self._tally.load(key_of(node))

    def held_by(self, node: NodeId) -> list[str]:
        """Keys of the groups that belong to a node or weigh on it, in order."""
        return sorted(self._tally.holds.get(key_of(node), ()))

    # ---- answers ----

    def place(self, request: Request) -> Placement:
        """The node for a group that needs one, and what there is to say about each of the others."""
        key = key_of(request.group.name)
        needs = self._needs(key, request.group)
        barred = self.exclusions(request.group, ignores_rules=request.ignores_rules, together=request.together)
        choice = Choice(
            request,
            needs,
            rooms=self.rooms,
            by_policy=self._tally.order,
            barred=barred,
            rivals=self._rivals(key, needs),
            avoided=self._avoided,
            sites=self._sites,
            cluster_site=self.settings.preferred_site,
            is_reserving=self.settings.placement_policy == "reserve",
        )
        self._forget_told()
        return choose(choice, self._groups_at, self._also_able)

    def why_not(
        self,
        group: GroupRecord,
        node: NodeId,
        *,
        ignores_rules: bool = False,
        together: Collection[str] = (),
    ) -> Exclusion | None:
        """Why `node` cannot take `group` now, with all that goes `together` with it; None when it can."""
        if key_of(node) not in self.rooms:
            return Exclusion(_NO_NODE, "there is no such node")
        return self.exclusions(group, ignores_rules=ignores_rules, together=together).get(key_of(node))

    def exclusions(
        self, group: GroupRecord, *, ignores_rules: bool = False, together: Collection[str] = ()
    ) -> Mapping[str, Exclusion]:
        """By key of each node that cannot take `group` now, with all that goes `together` with it: why."""
        key = key_of(group.name)
        needs = self._needs(key, group)
        if not together:
            return self._barred(key, needs, ignores_rules=ignores_rules)
        barred = dict(self._barred(key, needs, ignores_rules=ignores_rules, together=together))
        others = [self.seats[each] for each in sorted(together) if each in self.seats]
        for seat in others:
            mates = {key, *together} - {key_of(seat.name)}
            found = self._barred(key_of(seat.name), seat.needs, ignores_rules=ignores_rules, together=mates)
            for node, exclusion in found.items():
                reason = f"{seat.name}, which goes with it: {exclusion.reason}"
                barred.setdefault(node, Exclusion(exclusion.status, reason))
        memory_mib = needs.memory_mib + sum(seat.needs.memory_mib for seat in others)
        cores = needs.cores + sum(seat.needs.cores for seat in others)
        self._bar_by_capacity(barred, key, replace(needs, memory_mib=memory_mib, cores=cores))
        return barred

    def is_constrained(self, group: str) -> bool:
        """Whether the group of this key shares a rule or a limit with others, so that where it goes bars them."""
        seat = self.seats.get(group)
        if seat is None or group in self._rules:
            return True
        needs = seat.needs
        has_classes = bool(needs.classes) and self.settings.has_hard_anti_affinity
        return has_classes or (bool(self._limits) and bool(needs.memory_mib or needs.cores))

    def weighs_more(self, view: DatabaseView, after: AssignmentRecord) -> bool:
        """Whether a group takes a place, or begins to start, by what is to be assigned."""
        key = key_of(after.group)
        before = self._before_placed.get(key) or self.seats.get(key)
        if before is None:
            return True
        size = len(self._resources.get(key, {}))
        seat = seat_of(before.name, before.needs, after, view.get(ReportRecord, keys.REPORT + key), size)
        return not (set(seat.places) <= set(before.places) and set(seat.starts) <= set(before.starts))

    def belonging(self, group: GroupRecord) -> frozenset[str]:
        """Keys of the groups that rules want on the same node as this one."""
        return self._sets.get(key_of(group.name), frozenset())

    def staying_with(self, group: GroupRecord) -> list[str]:
        """Of those that belong with it: the ones that are on its node, and are not bound for another."""
        seat = self.seats.get(key_of(group.name))
        mates = ((key, self.seats[key]) for key in sorted(self.belonging(group)) if key in self.seats)
        home = seat.owner if seat is not None else ""
        return [
            key for key, each in mates if home and each.owner == home == each.home and each.places and not each.is_over
        ]

    def homeless_with(self, group: GroupRecord) -> list[str]:
        """Of those that belong with it: the ones that are to run, and are nowhere."""
        mates = ((key, self.seats[key]) for key in sorted(self.belonging(group)) if key in self.seats)
        return [key for key, each in mates if each.needs.is_wanted and (not each.places or each.is_over)]

    def awaited(self, group: GroupRecord, node: NodeId) -> str:
        """Who belongs with the group and is still elsewhere, on its way to `node`; empty: nobody."""
        key = key_of(group.name)
        rules = self._rules.get(key, ())
        return awaited(key, key_of(node), rules, self.seats, self.rooms) if rules else ""

    def rule_conflict(self, group: GroupRecord) -> Exclusion | None:
        """Whether it is where a hard rule forbids it. Such a change acts only when the group is moved or started again."""
        key = key_of(group.name)
        seat = self.seats.get(key)
        if seat is None or not seat.places:
            return None
        found: dict[str, Exclusion] = {}
        self._bar_by_rules(found, key, seat.needs)
        return found.get(seat.home)

    def conflicts(self, group: GroupRecord) -> Mapping[str, str]:
        """By key of each node: what there should be kept apart from `group` by an anti-affinity class, if anything."""
        key = key_of(group.name)
        return self._conflicts(key, self._needs(key, group))

    def _needs(self, key: str, group: GroupRecord) -> Needs:
        seat = self.seats.get(key)
        return seat.needs if seat is not None else needs_of(group, self._resources.get(key, {}).values())

    def _barred(
        self, key: str, needs: Needs, *, ignores_rules: bool, together: Collection[str] = ()
    ) -> dict[str, Exclusion]:
        """Nodes that cannot take the group, by key; the first reason in the order of the filters."""
        barred = self._barred_for_all_like(needs)
        refusals = self._versions.refusals(self._resources.get(key, {}).values())
        if not (needs.classes or needs.memory_mib or needs.cores or key in self._rules or refusals):
            return barred
        barred = dict(barred)
        for node, reason in refusals.items():
            barred.setdefault(node, Exclusion(_NO_NODE, reason))
        self._bar_by_rules(barred, key, needs, ignores_rules=ignores_rules, together=together)
        if needs.memory_mib or needs.cores:
            self._bar_by_capacity(barred, key, needs)
        return barred

    def _barred_for_all_like(self, needs: Needs) -> dict[str, Exclusion]:
        """What bars nodes to every group with the same types and possible owners."""
        like = (needs.types, needs.owners)
        found = self._shared.get(like)
        if found is None:
            if len(self._shared) >= _SHARED_MAX:
                self._shared.clear()
            owners = [(resource, {key_of(each) for each in names}, names) for resource, names in needs.owners]
            reasons = ((key, self._bar_by_itself(room, needs, owners)) for key, room in self.rooms.items())
            found = self._shared[like] = {key: Exclusion(_NO_NODE, reason) for key, reason in reasons if reason}
        return found

    def _bar_by_itself(self, room: Room, needs: Needs, owners: Iterable[tuple[str, set[str], tuple[str, ...]]]) -> str:
        if room.refusal:
            return room.refusal
        for resource, possible, names in owners:
            if room.key not in possible:
                return f"{resource} may not run there (possible owners: {', '.join(names)})"
        installed = self._installed.get(room.key)
        missing = [each for each in needs.types if installed and each not in installed]
        return f"resource type {missing[0]} is not installed there" if missing else ""

    def _bar_by_rules(
        self,
        barred: dict[str, Exclusion],
        key: str,
        needs: Needs,
        *,
        ignores_rules: bool = False,
        together: Collection[str] = (),
    ) -> None:
        rules = () if ignores_rules else self._rules.get(key, ())
        if rules:
            for node, exclusion in rule_exclusions(key, rules, self.seats, self.rooms, together).items():
                barred.setdefault(node, exclusion)
        if self.settings.has_hard_anti_affinity:
            for node, reason in self._conflicts(key, needs).items():
                barred.setdefault(node, Exclusion(_CONFLICT, reason))

    def _bar_by_capacity(self, barred: dict[str, Exclusion], key: str, needs: Needs) -> None:
        seat = self.seats.get(key)
        own = seat.places if seat is not None else ()
        memory_mib, cores = needs.memory_mib, needs.cores
        for node, capacity_mib, capacity_cores, load in self._limits:
            if load.memory_mib + memory_mib <= capacity_mib and load.cores + cores <= capacity_cores:
                continue  # nearly always; what follows is for the few
            is_there = node in own
            lacks = _lacks("MiB", memory_mib, load.memory_mib - memory_mib * is_there, capacity_mib)
            lacks = lacks or _lacks("cores", cores, load.cores - cores * is_there, capacity_cores)
            if lacks and node not in barred:
                barred[node] = Exclusion(_LACKING, lacks)

    def _rivals(self, key: str, needs: Needs) -> Mapping[str, str]:
        """Nodes that are taken only when there is no other, for groups that should be kept apart are there."""
        if self.settings.has_hard_anti_affinity:
            return {}
        return self._conflicts(key, needs)

    def _conflicts(self, key: str, needs: Needs) -> dict[str, str]:
        found: dict[str, str] = {}
        for name in needs.classes:
            for node, groups in self._tally.classmates(name).items():
                others = groups - {key}
                if others and node not in found:
                    rival = self.seats[min(others)].name
                    found[node] = f"{rival} is there, of the same anti-affinity class {name}"
        return found

    def _groups_at(self, node: str) -> int:
        return self._tally.load(node).groups

    def _forget_told(self) -> None:
        for node in self._tally.changed:
            self._also.pop(node, None)
        self._tally.changed.clear()

    def _also_able(self, node: str) -> Candidate:
        """What is said about a node that is merely not the best; the same for every group until its load changes."""
        found = self._also.get(node)
        if found is None:
            reason = f"it can take it too; it has {count_text(self._groups_at(node))}"
            found = self._also[node] = Candidate(self.rooms[node].name, False, reason)
        return found


def _lacks(unit: str, needed: int, used: int, capacity: int) -> str:
    if not needed or used + needed <= capacity:
        return ""
    return f"needs {needed} {unit}, {max(0, capacity - used)} of {capacity} {unit} free"


def _limit(capacity: int | None) -> int:
    return _UNLIMITED if capacity is None else capacity


def _installed(view: DatabaseView) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for record in view.resource_types():
        found.setdefault(key_of(record.node), set()).add(record.name)
    return found
