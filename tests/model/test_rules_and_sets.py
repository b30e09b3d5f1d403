"""Are rules that contradict each other, and sets that wait for each other, refused with the names of those at fault?"""

import itertools

import pytest

from clusterd.model.errors import BadInput
from clusterd.model.group_sets import group_set_problems, waits_of
from clusterd.model.ids import GroupId
from clusterd.model.records import GroupSetRecord, RuleRecord
from clusterd.model.relations import RELATIONS, rule_in
from clusterd.model.rules import parse_rule_kind, rule_notes, rule_problems
from clusterd.model.settings import ClusterSettings
from clusterd.model.states import RuleKind

SAME, APART = RuleKind.SAME_NODE, RuleKind.DIFFERENT_NODE
NEAR, FAR = RuleKind.SAME_FAULT_DOMAIN, RuleKind.DIFFERENT_FAULT_DOMAIN


def rule(name: str, kind: RuleKind, groups: str, *, is_enabled: bool = True) -> RuleRecord:
    return RuleRecord(name, kind, tuple(GroupId(each) for each in groups.split()), is_enabled)


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ([], []),
        ([rule("r", SAME, "a b"), rule("s", APART, "c d")], []),
        ([rule("r", SAME, "a b"), rule("s", APART, "a c")], []),
        ([rule("r", NEAR, "a b"), rule("s", APART, "a b")], []),
        ([rule("r", NEAR, "a b"), rule("s", SAME, "a b")], []),
        ([rule("r", APART, "a b"), rule("s", FAR, "a b")], []),
        ([rule("r", SAME, "a")], ["a rule needs at least 2 groups, r has 1"]),
        ([rule("r", SAME, "a A")], ["a rule needs at least 2 groups, r has 2"]),
        (
            [rule("r", SAME, "a b"), rule("s", APART, "c b a")],
            [
                "rule s (different-node) keeps b and a apart, and rule r (same-node) keeps them together: "
                "disable or change one of them"
            ],
        ),
        (
            [rule("s", FAR, "a b"), rule("r", SAME, "B A")],
            ["rule s (different-fault-domain) keeps a and b apart, and rule r (same-node) keeps them together"],
        ),
        (
            [rule("s", FAR, "a b"), rule("r", NEAR, "a b")],
            ["rule s (different-fault-domain) keeps a and b apart, and rule r (same-fault-domain) keeps"],
        ),
        (
            [rule("r", SAME, "a b"), rule("q", SAME, "b c"), rule("s", APART, "a c")],
            ["rule s (different-node) keeps a and c apart, and rule r (same-node) and rule q (same-node) keep them"],
        ),
        (
            [rule("r", SAME, "a b"), rule("q", NEAR, "b c"), rule("s", FAR, "a c")],
            [
                "rule s (different-fault-domain) keeps a and c apart, and rule r (same-node) and rule q (same-fault-domain)"
            ],
        ),
        ([rule("r", SAME, "a b", is_enabled=False), rule("s", APART, "a b")], []),
        ([rule("r", SAME, "a b"), rule("s", APART, "a b", is_enabled=False)], []),
    ],
)
def test_rules_that_contradict_each_other(rules: list[RuleRecord], says: list[str]) -> None:
    found = [each.text for each in rule_problems(rules)]
    assert len(found) == len(says), found
    assert all(text.startswith(part) for text, part in zip(found, says, strict=True)), found
    assert all(rule_in(text) in RELATIONS for text in found)


def test_every_pair_of_kinds_against_a_plain_table() -> None:
    """Two groups, two rules: which kinds exclude each other."""
    exclude = {frozenset({SAME, APART}), frozenset({SAME, FAR}), frozenset({NEAR, FAR})}
    for first, second in itertools.product(RuleKind, repeat=2):
        found = rule_problems([rule("r", first, "a b"), rule("s", second, "b a")])
        assert bool(found) == (frozenset({first, second}) in exclude), (first, second)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("same-node", SAME), ("SameNode", SAME), ("SAME_NODE", SAME), (2, SAME), ("2", SAME),
        (1, NEAR), (3, FAR), (4, APART), ("DifferentFaultDomain", FAR),
    ],
)  # fmt: skip
def test_kinds_in_any_spelling(value: object, kind: RuleKind) -> None:
    assert parse_rule_kind(value) is kind


@pytest.mark.parametrize("value", ["together", 0, 5, None, [], True, ""])
def test_what_is_no_kind(value: object) -> None:
    with pytest.raises(BadInput, match="the kind of a rule is same-node, different-node"):
        parse_rule_kind(value)


@pytest.mark.parametrize(
    ("one", "nodes", "domains", "says"),
    [
        (rule("r", APART, "a b"), 2, 0, ""),
        (rule("r", APART, "a b c"), 2, 0, "keeps 3 groups apart and there are 2 nodes"),
        (rule("r", NEAR, "a b"), 3, 0, "no node has one"),
        (rule("r", NEAR, "a b"), 3, 1, ""),
        (rule("r", FAR, "a b c"), 3, 2, "there are 2 fault domains"),
        (rule("r", APART, "a b c", is_enabled=False), 2, 0, "is disabled"),
    ],
)
def test_notes_on_rules(one: RuleRecord, nodes: int, domains: int, says: str) -> None:
    found = rule_notes(one, node_count=nodes, domain_count=domains)
    assert (len(found) == 1 and says in found[0]) if says else not found


# ---- group sets ----


def group_set(name: str, groups: str = "", providers: str = "", **properties: object) -> GroupSetRecord:
    members = tuple(GroupId(each) for each in groups.split())
    return GroupSetRecord(name, members, tuple(providers.split()), properties)  # type: ignore[arg-type]  # JSON


CLUSTER = ClusterSettings(250, 8, 2000, 500)


def problems(*sets: GroupSetRecord, abilities: tuple[str, ...] = ()) -> list[tuple[str, str, str]]:
    found = group_set_problems(sets, cluster=CLUSTER, abilities=set(abilities))
    return [(each.name, each.part, each.text) for each in found]


@pytest.mark.parametrize(
    "sets",
    [
        [],
        [group_set("s")],
        [group_set("s", "a b", startup_count=2), group_set("t", "c", "S")],
        [group_set("s", is_global=True), group_set("t", "c"), group_set("u", "", "t s")],
        [group_set("s", startup_count=5)],  # its groups come later
        [group_set("s", "", "t", is_global=True), group_set("t"), group_set("u")],  # t does not wait for s
        [group_set("s", startup_delay=599)],
    ],
)
def test_sets_that_fit(sets: list[GroupSetRecord]) -> None:
    assert problems(*sets) == []


@pytest.mark.parametrize(
    ("sets", "name", "part", "says"),
    [
        (
            [group_set("s", "a b"), group_set("t", "c B")],
            "t",
            "groups[1]",
            "group B is in set s already: a group is in",
        ),
        ([group_set("s", "", "s")], "s", "providers[0]", "set s cannot depend on itself"),
        (
            [group_set("disks"), group_set("s", "", "diks")],
            "s",
            "providers[0]",
            "there is no group set diks: did you mean d",
        ),
        ([group_set("s", "a", startup_count=2)], "s", "properties.startup_count", "startup_count is 2 and set s has 1"),
        (
            [group_set("s", "a", startup_setting="os-heartbeat")],
            "s",
            "properties.startup_setting",
            "startup_setting os-heartbeat needs a resource type that reports it, and none does",
        ),
        (
            [group_set("s", "a", startup_setting="application-ready")],
            "s",
            "properties.startup_setting",
            "startup_setting application-ready needs a resource type that reports it, and none does",
        ),
        (
            [group_set("s", startup_delay=600)],
            "s",
            "properties.startup_delay",
            "startup_delay of set s is 600 s and group_dependency_timeout of the cluster 600 s",
        ),
        (
            [group_set("s", "", "u"), group_set("t", "", "s"), group_set("u", "", "t"), group_set("v", "", "u")],
            "s",
            "providers",
            "group sets wait for each other in a circle: s → u → t → s",
        ),
        (
            [group_set("s", "", "t", is_global=True), group_set("t", "", "u", is_global=True), group_set("u", "", "s")],
            "s",
            "providers",
            "group sets wait for each other in a circle: s → t → u → s; every group outside a global set waits for it",
        ),
        (
            [group_set("s", is_global=True), group_set("t", is_global=True)],
            "s",
            "providers",
            "group sets wait for each other in a circle: s → t → s; every group outside a global set",
        ),
    ],
)
def test_sets_that_do_not_fit(sets: list[GroupSetRecord], name: str, part: str, says: str) -> None:
    [(found_name, found_part, text)] = problems(*sets)
    assert (found_name, found_part) == (name, part)
    assert text.startswith(says) and rule_in(text) in RELATIONS


def test_readiness_that_a_type_reports_may_be_waited_for() -> None:
    assert problems(group_set("s", "a", startup_setting="os-heartbeat"), abilities=("os-heartbeat",)) == []


def test_what_each_set_waits_for() -> None:
    sets = [
        group_set("all", "", "Disks", is_global=True),
        group_set("disks", "", "power"),
        group_set("power"),
        group_set("shops", "", "gone disks"),
    ]
    assert waits_of(sets) == {"all": {"disks"}, "disks": {"power"}, "power": set(), "shops": {"disks", "all"}}
