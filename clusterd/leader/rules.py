"""Where do the other groups keep a group from going? Pure.

Affinity rules are hard: no automatic placement breaks one, not even for a moment in the middle of a move. Groups that
share an anti-affinity class are kept apart where that is possible, and always when the cluster says so. Only what weighs
on a node counts: a group that is kept offline is in nobody's way.

A group that belongs with others is bound to where they are, also when that node takes no newcomers: it waits, or they go
with it (`together`). It is not bound to a node that is lost, or that everything leaves; and to one where another is only
bound for, no longer than that one is to be had.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping

from clusterd.leader.placement import Exclusion, named
from clusterd.leader.rooms import Domain, Room, domain_text
from clusterd.leader.seats import Seat
from clusterd.model.ids import key_of
from clusterd.model.records import RuleRecord
from clusterd.model.states import GroupStatus, RuleKind

_CONFLICT = GroupStatus.ANTI_AFFINITY_CONFLICT
_APART = (RuleKind.DIFFERENT_NODE, RuleKind.DIFFERENT_FAULT_DOMAIN)
_BY_NODE = (RuleKind.DIFFERENT_NODE, RuleKind.SAME_NODE)


def rules_by_group(rules: Iterable[RuleRecord]) -> dict[str, tuple[RuleRecord, ...]]:
    """The rules that are in force, by the key of each group that they name, in name order."""
    found: dict[str, tuple[RuleRecord, ...]] = {}
    for rule in sorted(rules, key=lambda each: key_of(each.name)):
        if rule.is_enabled:
            for group in dict.fromkeys(key_of(each) for each in rule.groups):
                found[group] = (*found.get(group, ()), rule)
    return found


def sets_by_group(rules: Mapping[str, tuple[RuleRecord, ...]]) -> dict[str, frozenset[str]]:
    """By key of each group: those that belong on the same node, directly or by way of others."""
    found: dict[str, frozenset[str]] = {}
    for group in rules:
        if group in found:
            continue
        members, waiting = {group}, [group]
        while waiting:
            for rule in rules.get(waiting.pop(), ()):
                if rule.kind is RuleKind.SAME_NODE:
                    new = {key_of(each) for each in rule.groups} - members
                    members |= new
                    waiting += sorted(new)
        if len(members) > 1:
            found.update({each: frozenset(members - {each}) for each in members})
    return found


def rule_exclusions(
    group: str,
    rules: Iterable[RuleRecord],
    seats: Mapping[str, Seat],
    rooms: Mapping[str, Room],
    together: Collection[str] = (),
) -> dict[str, Exclusion]:
    """Nodes that a rule forbids to the group of this key, by key; the first rule that does so gives the reason."""
    found: dict[str, Exclusion] = {}
    for rule in rules:
        for node, reason in _forbidden(group, rule, seats, rooms, together):
            found.setdefault(node, Exclusion(_CONFLICT, reason))
    return found


def awaited(
    group: str, node: str, rules: Iterable[RuleRecord], seats: Mapping[str, Seat], rooms: Mapping[str, Room]
) -> str:
    """Who belongs with the group and has not left another node yet, though it is about to; empty: nobody.

    One that goes there while it runs is not waited for: that may take long, and interrupts nothing.
    """
    for rule in rules:
        is_by_node = rule.kind in _BY_NODE
        for member in sorted({key_of(each) for each in rule.groups} - {group}) if rule.kind not in _APART else ():
            seat = seats.get(member)
            if seat is None or seat.is_live or seat.is_over:
                continue
            for here in _taken(seat, rooms):
                is_about_to = here.is_left or seat.reserved not in ("", here.key)
                if is_about_to and _spot(here, is_by_node) != _spot(rooms[node], is_by_node):
                    return f"{seat.name} is still on {here.name} (rule {rule.name} wants them together)"
    return ""


def _forbidden(
    group: str,
    rule: RuleRecord,
    seats: Mapping[str, Seat],
    rooms: Mapping[str, Room],
    together: Collection[str],
) -> Iterator[tuple[str, str]]:
    is_apart, is_by_node = rule.kind in _APART, rule.kind in _BY_NODE
    others: dict[Domain, list[tuple[str, Room]]] = {}
    for member in sorted({key_of(each) for each in rule.groups} - {group, *together}):
        seat = seats.get(member)
        for room in (_taken(seat, rooms) if is_apart else _binding(seat, rooms)) if seat else ():
            others.setdefault(_spot(room, is_by_node), []).append((seat.name if seat else "", room))
    if not others:
        return
    for room in rooms.values():
        there = others.get(_spot(room, is_by_node))
        if is_apart and there:
            yield room.key, _too_near(rule, there, is_by_node)
        elif not is_apart and not there:
            yield room.key, _too_far(rule, [each for found in others.values() for each in found], is_by_node)


def _taken(seat: Seat, rooms: Mapping[str, Room]) -> list[Room]:
    """Where nobody may be who is kept apart from it."""
    found = (rooms.get(place) for place in seat.places)
    return [room for room in found if room is not None and not room.runs_nothing]


def _binding(seat: Seat, rooms: Mapping[str, Room]) -> list[Room]:
    """Where those have to be that belong with it: where it is bound for, else where it is."""
    target = rooms.get(seat.reserved)
    if target is not None and seat.reserved in seat.places and not target.refusal:
        return [target]
    if seat.is_over:
        return []
    return [room for room in _taken(seat, rooms) if room.key != seat.reserved and not room.is_left]


def _spot(room: Room, is_by_node: bool) -> Domain:
    return (("node", room.key),) if is_by_node else room.domain


def _too_near(rule: RuleRecord, there: list[tuple[str, Room]], is_by_node: bool) -> str:
    who = named(sorted({name for name, _ in there}))
    if is_by_node:
        return f"rule {rule.name} keeps it apart from {who}, there already"
    room = there[0][1]
    return f"rule {rule.name} keeps it apart from {who}, in the same fault domain ({domain_text(room.domain)})"


def _too_far(rule: RuleRecord, others: list[tuple[str, Room]], is_by_node: bool) -> str:
    who = named(sorted({name for name, _ in others}))
    where = named([room.name for room in sorted({room for _, room in others}, key=lambda each: each.index)])
    what = "with" if is_by_node else "in the fault domain of"
    return f"rule {rule.name} wants it {what} {who}, on {where}"
