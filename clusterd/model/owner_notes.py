"""Which wishes about owners cannot come true as things are configured? Pure. Notes for people; nothing is refused for them.

A group can run only where every resource of it may run.
"""

from collections.abc import Iterable, Sequence

from clusterd.model.ids import key_of
from clusterd.model.records import GroupRecord, ResourceRecord, RuleRecord
from clusterd.model.states import RuleKind


def owner_notes(group: GroupRecord, resources: Iterable[ResourceRecord]) -> list[str]:
    """Resources that may run nowhere together, and preferred owners that some resource may not run on."""
    restricted = [each for each in resources if each.possible_owners]
    possible = [{key_of(node) for node in each.possible_owners} for each in restricted]
    if possible and not set.intersection(*possible):
        told = "; ".join(f"{each.name}: {', '.join(each.possible_owners)}" for each in restricted)
        return [
            f"no node may run group {group.name}: the possible owners of its resources have none in common ({told})"
        ]
    return [
        f"{node} is a preferred owner of {group.name}, and {each.name} may not run there: it has no effect"
        for node in group.preferred_owners
        for each in restricted
        if key_of(node) not in {key_of(other) for other in each.possible_owners}
    ]


def class_notes(rule: RuleRecord, groups: Sequence[GroupRecord], *, is_hard: bool) -> list[str]:
    """Groups that a rule keeps together and an anti-affinity class name apart."""
    if rule.kind is not RuleKind.SAME_NODE or not rule.is_enabled:
        return []
    members = {key_of(each) for each in rule.groups}
    groups_of: dict[str, list[str]] = {}
    for each in groups:
        names = each.properties.get("anti_affinity_class_names")
        for name in names if isinstance(names, list) and key_of(each.name) in members else []:
            groups_of.setdefault(str(name), []).append(str(each.name))
    meant = "only one of them can run" if is_hard else "the rule wins"
    return [
        f"rule {rule.name} keeps {' and '.join(found)} together, and anti-affinity class {name} keeps them apart: {meant}"
        for name, found in sorted(groups_of.items())
        if len(found) > 1
    ]
