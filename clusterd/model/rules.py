"""Do affinity rules contradict themselves or each other? Pure.

Groups that share a node share its fault domain too, and being together passes on: a with b and b with c means a with c.
Only rules that are in force are compared. Every problem is told for the rule that comes later.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from clusterd.model.errors import BadInput
from clusterd.model.ids import key_of
from clusterd.model.records import RuleRecord
from clusterd.model.relations import refusal
from clusterd.model.states import RuleKind

GROUPS_LEAST = 2
_TOGETHER: Mapping[RuleKind, tuple[RuleKind, ...]] = {
    RuleKind.DIFFERENT_NODE: (RuleKind.SAME_NODE,),
    RuleKind.DIFFERENT_FAULT_DOMAIN: (RuleKind.SAME_NODE, RuleKind.SAME_FAULT_DOMAIN),
}
"""Which kinds keep together what the kind on the left keeps apart."""


_REFERENCE_NUMBERS = {
    1: RuleKind.SAME_FAULT_DOMAIN,
    2: RuleKind.SAME_NODE,
    3: RuleKind.DIFFERENT_FAULT_DOMAIN,
    4: RuleKind.DIFFERENT_NODE,
}


def parse_rule_kind(value: object) -> RuleKind:
    """The kind that is written as same-node, SameNode or 2. Raises BadInput."""
    text = str(value)
    folded = text.replace("-", "").replace("_", "").lower()
    for number, kind in _REFERENCE_NUMBERS.items():
        if folded == kind.value.replace("-", "") or text == str(number):
            return kind
    raise BadInput(
        f"the kind of a rule is {', '.join(RuleKind)}, not {value!r}", hint="same-node keeps groups together"
    )


class RuleProblem(NamedTuple):
    """Why a rule is refused, and which part of it is at fault; an empty part: the rule as a whole."""

    rule: str
    part: str
    text: str


def rule_problems(rules: Sequence[RuleRecord]) -> list[RuleProblem]:
    """Rules with too few groups, and pairs of groups that are to be both together and apart."""
    problems: list[RuleProblem] = []
    for each in rules:
        if len({key_of(group) for group in each.groups}) < GROUPS_LEAST:
            count = len(each.groups)
            text = f"a rule needs at least {GROUPS_LEAST} groups, {each.name} has {count}: name more, or delete it"
            problems.append(RuleProblem(each.name, "groups", refusal("two-groups-at-least", text)))
    in_force = [each for each in rules if each.is_enabled]
    for apart in in_force:
        kinds = _TOGETHER.get(apart.kind, ())
        together = [each for each in in_force if each.kind in kinds]
        found = _contradiction(apart, together)
        if found is not None:
            problems.append(found)
    return problems


def _contradiction(apart: RuleRecord, together: Sequence[RuleRecord]) -> RuleProblem | None:
    """The first pair of `apart` that other rules keep together, with the rules that do so."""
    groups = list(apart.groups)
    for at, first in enumerate(groups):
        chains = _chains(key_of(first), together)
        for second in groups[at + 1 :]:
            chain = chains.get(key_of(second))
            if chain:
                names = " and ".join(dict.fromkeys(f"rule {each.name} ({each.kind})" for each in chain))
                keep = "keeps" if len(chain) == 1 else "keep"
                text = (
                    f"rule {apart.name} ({apart.kind}) keeps {first} and {second} apart, and {names} {keep} them "
                    "together: disable or change one of them"
                )
                return RuleProblem(apart.name, "groups", refusal("together-or-apart", text))
    return None


def _chains(start: str, rules: Iterable[RuleRecord]) -> dict[str, list[RuleRecord]]:
    """For every group tied to `start`: the shortest chain of rules that ties it."""
    members = [(rule, {key_of(each) for each in rule.groups}) for rule in rules]
    chains: dict[str, list[RuleRecord]] = {start: []}
    waiting = [start]
    while waiting:
        here = waiting.pop(0)
        for rule, keys in members:
            if here in keys:
                for each in sorted(keys - chains.keys()):
                    chains[each] = [*chains[here], rule]
                    waiting.append(each)
    return chains


def rule_notes(rule: RuleRecord, *, node_count: int, domain_count: int) -> list[str]:
    """What a rule means with the nodes that there are."""
    if not rule.is_enabled:
        return [f"rule {rule.name} is disabled: it has no effect"]
    if rule.kind is RuleKind.DIFFERENT_NODE and len(rule.groups) > node_count:
        return [
            f"rule {rule.name} keeps {len(rule.groups)} groups apart and there are {node_count} nodes: not all can run"
        ]
    if rule.kind in (RuleKind.SAME_FAULT_DOMAIN, RuleKind.DIFFERENT_FAULT_DOMAIN) and not domain_count:
        return [
            f"rule {rule.name} speaks of fault domains and no node has one: clusterctl node set NODE fault_domain=…"
        ]
    if rule.kind is RuleKind.DIFFERENT_FAULT_DOMAIN and len(rule.groups) > domain_count:
        return [
            f"rule {rule.name} keeps {len(rule.groups)} groups apart and there are {domain_count} fault domains: "
            "not all can run"
        ]
    return []
