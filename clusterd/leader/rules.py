"""Where do the other groups keep a group from going? Pure.

Affinity rules are hard: no automatic placement breaks one, not even for a moment in the middle of a move. Groups that
share an anti-affinity class are kept apart where that is possible, and always when the cluster says so. Only what weighs
on a node counts: a group that is kept offline is in nobody's way.

A group that belongs with another follows it; where that other one cannot stay (its node is lost, paused or being stopped)
it is not followed.
"""

from collections.abc import Iterable, Iterator, Mapping

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


def rule_exclusions(
    group: str, rules: Iterable[RuleRecord], seats: Mapping[str, Seat], rooms: Mapping[str, Room]
) -> dict[str, Exclusion]:
    """Nodes that a rule forbids to the group of this key, by key; the first rule that does so gives the reason."""
    found: dict[str, Exclusion] = {}
    for rule in rules:
        for node, reason in _forbidden(group, rule, seats, rooms):
            found.setdefault(node, Exclusion(_CONFLICT, reason))
    return found


def _forbidden(
    group: str, rule: RuleRecord, seats: Mapping[str, Seat], rooms: Mapping[str, Room]
) -> Iterator[tuple[str, str]]:
    is_apart, is_by_node = rule.kind in _APART, rule.kind in _BY_NODE
    others: dict[Domain, list[tuple[str, Room]]] = {}
    for member in sorted({key_of(each) for each in rule.groups} - {group}):
        seat = seats.get(member)
        for place in seat.places if seat else ():
            room = rooms.get(place)
            if seat and room and not room.runs_nothing and (is_apart or not room.refusal):
                others.setdefault(_spot(room, is_by_node), []).append((seat.name, room))
    if not others:
        return
    for room in rooms.values():
        there = others.get(_spot(room, is_by_node))
        if is_apart and there:
            yield room.key, _too_near(rule, there, is_by_node)
        elif not is_apart and not there:
            yield room.key, _too_far(rule, [each for found in others.values() for each in found], is_by_node)


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
