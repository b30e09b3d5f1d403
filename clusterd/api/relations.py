"""Does a change of one object contradict another: rules, group sets, sites? Pure.

The lists given are those after the change, so that one object and a whole manifest are judged alike. Whoever plans a change
of rules, sets or of what they name puts the cluster's record too (`guard`): two changes that exclude each other cannot both
commit.
"""

from collections.abc import Iterable, Sequence

from clusterd.api.plans import Plan
from clusterd.database import DatabaseView
from clusterd.model import keys
from clusterd.model.group_sets import GroupSetProblem, group_set_problems
from clusterd.model.ids import key_of
from clusterd.model.owner_notes import class_notes
from clusterd.model.records import ClusterRecord, GroupRecord, GroupSetRecord, NodeRecord, RuleRecord
from clusterd.model.rules import RuleProblem, rule_notes, rule_problems
from clusterd.model.settings import cluster_settings, node_settings


def guard(view: DatabaseView, plan: Plan) -> None:
    """Make every other change across groups look again."""
    if not plan.draft.puts(keys.CLUSTER):
        plan.draft.replace(view.cluster())


def expect_groups(plan: Plan, names: Iterable[str]) -> None:
    """These groups must still be there at commit."""
    for each in names:
        plan.draft.expect(keys.group(each))


def new_set_problems(
    view: DatabaseView, sets: Sequence[GroupSetRecord], cluster: ClusterRecord
) -> list[GroupSetProblem]:
    """What is wrong with these sets that is not wrong with the present ones already: nobody answers for old mistakes."""
    old = set(_set_problems(view, view.group_sets(), view.cluster()))
    return [each for each in _set_problems(view, sets, cluster) if each not in old]


def _set_problems(view: DatabaseView, sets: Sequence[GroupSetRecord], cluster: ClusterRecord) -> list[GroupSetProblem]:
    abilities = {ability for each in view.resource_types() for ability in each.abilities}
    return group_set_problems(sets, cluster=cluster_settings(cluster), abilities=abilities)


def new_rule_problems(view: DatabaseView, rules: Sequence[RuleRecord]) -> list[RuleProblem]:
    """What is wrong with these rules that is not wrong with the present ones already."""
    old = set(rule_problems(view.rules()))
    return [each for each in rule_problems(rules) if each not in old]


def notes_on_rule(
    rule: RuleRecord, nodes: Iterable[NodeRecord], groups: Sequence[GroupRecord], cluster: ClusterRecord
) -> list[str]:
    """What a rule means with the nodes and groups that there are."""
    domains = [node_settings(each).fault_domain for each in nodes]
    notes = rule_notes(rule, node_count=len(domains), domain_count=len({each for each in domains if each}))
    return notes + class_notes(rule, groups, is_hard=cluster_settings(cluster).has_hard_anti_affinity)


def with_rule(rules: Iterable[RuleRecord], rule: RuleRecord) -> list[RuleRecord]:
    """The rules with this one in place of the one of its name, and last."""
    return [*(each for each in rules if key_of(each.name) != key_of(rule.name)), rule]


def with_set(sets: Iterable[GroupSetRecord], group_set: GroupSetRecord) -> list[GroupSetRecord]:
    return [*(each for each in sets if key_of(each.name) != key_of(group_set.name)), group_set]
