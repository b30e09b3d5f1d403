"""Are nodes, resource types, rules, group sets and short forms of a manifest read as meant, and refused with their place?"""

import pytest

from clusterd.model.manifest import BadManifest, parse_manifest, render_manifest
from clusterd.model.states import RuleKind

WHOLE = """\
cluster:
  properties: {QuarantineDuration: 1h, description: "ours: all of it"}
nodes:
  - name: n1
    properties: {fault_domain: site:east/rack:r1, memory_capacity: detected}
  - name: n2
resource_types:
  - name: generic_service
    properties: {PendingTimeout: 5min}
groups:
  - name: db
  - name: web
    preferred_owners: [n1]
    failback: {type: allow, window: 22-6}
    properties: {priority: high, AntiAffinityClassNames: [sql servers, x]}
group_sets:
  - name: base
    groups: [db]
    properties: {startup_setting: online, startup_delay: 0}
  - {name: top, groups: [web], providers: [base]}
rules:
  - {name: apart, kind: DifferentNode, groups: [db, web]}
  - {name: near, kind: same-fault-domain, groups: [db, web], enabled: false}
"""


def problems_of(text: str) -> list[str]:
    with pytest.raises(BadManifest) as caught:
        parse_manifest(text)
    return [str(each) for each in caught.value.problems]


def test_every_section() -> None:
    found = parse_manifest(WHOLE)
    assert found.cluster_properties == {"quarantine_duration": 3600, "description": "ours: all of it"}
    assert [(each.name, each.properties) for each in found.nodes] == [
        ("n1", {"fault_domain": "site:east/rack:r1", "memory_capacity": 0xFFFFFFFF}),
        ("n2", {}),
    ]
    assert [(each.name, each.properties) for each in found.resource_types] == [
        ("generic_service", {"pending_timeout": 300_000})
    ]
    assert found.groups[1].properties == {
        "auto_failback_type": "allow",
        "failback_window_start": 22,
        "failback_window_end": 6,
        "priority": 3000,
        "anti_affinity_class_names": ["sql servers", "x"],
    }
    [base, top] = found.group_sets
    assert (base.groups, base.properties) == (("db",), {"startup_setting": "online", "startup_delay": 0})
    assert (top.providers, top.properties) == (("base",), {})
    [apart, near] = found.rules
    assert (apart.kind, apart.groups, apart.is_enabled) == (RuleKind.DIFFERENT_NODE, ("db", "web"), True)
    assert (near.kind, near.is_enabled) == (RuleKind.SAME_FAULT_DOMAIN, False)


def test_it_is_written_so_that_it_reads_back() -> None:
    text = render_manifest(parse_manifest(WHOLE))
    assert render_manifest(parse_manifest(text)) == text
    assert "    failback: {type: allow, window: 22-6}\n" in text
    assert "  - name: near\n    kind: same-fault-domain\n    groups: [db, web]\n    enabled: false\n" in text


def test_a_window_with_one_end_is_written_as_a_property_and_refused() -> None:
    text = "groups:\n  - name: g\n    properties: {failback_window_start: 3}\n"
    assert problems_of(text) == [
        "line 2, groups[0]: failback_window_end is not set: a failback window has both ends or none; set it too, or take "
        "the other one away (rule failback-window-both-ends)"
    ]


BAD = """\
nods: []
nodes:
  - name: n1
    properties: {fault_domain: east, node_weight: 1}
  - properties: {}
  - {name: N1, adress: x}
resource_types:
  - {name: t, properties: {restart_delay: 1, pending_timeout: 5ms}, pending_timeout: 1s}
groups:
  - name: g
    failback: {window: 22, typ: allow}
    fallback: {}
  - name: h
    failback: {window: 22-24, type: allow}
    properties: {failback_window_start: 3}
group_sets:
  - {name: s, groups: [g, G], providers: s, startup_count: 1}
  - {name: S, properties: {startup_count: 0}}
rules:
  - {name: r, kind: apart, groups: g}
  - {name: r, kind: 2, enabled: "no"}
  - {groups: [a b]}
  - 7
"""


def test_every_problem_with_line_path_and_nearest_name() -> None:
    assert problems_of(BAD) == [
        "line 1, nods: a manifest has no key nods: did you mean nodes?",
        "line 4, nodes[0].properties.fault_domain: fault_domain: 'east' is no site, rack or chassis with its name: write "
        "it like site:east/rack:r1/chassis:c2",
        "line 4, nodes[0].properties.node_weight: node_weight cannot be set: every node has one vote; leave it out",
        "line 5, nodes[1]: a node needs a name",
        "line 6, nodes[2].adress: a node has no key adress: valid are name, properties",
        "line 6, nodes[2].name: there is a node N1 on line 3 already: names are unique without regard to case",
        "line 8, resource_types[0].pending_timeout: pending_timeout is a property: put it under properties",
        "line 8, resource_types[0].properties.pending_timeout: pending_timeout is between 10ms and 4294967295ms, not "
        "'5ms' (a slow start is taken for a failure)",
        "line 8, resource_types[0].properties.restart_delay: there is no resource type property restart_delay: valid are "
        "deadlock_timeout, is_alive_poll_interval, looks_alive_poll_interval, pending_timeout",
        "line 11, groups[0].failback.typ: a failback has no key typ: did you mean type?",
        "line 11, groups[0].failback.window: expected 2 numbers, as in 22-6, found 22",
        "line 12, groups[0].fallback: a group has no key fallback: did you mean failback?",
        "line 14, groups[1].failback.window: failback_window_end is between 0 and 23, not '24'",
        "line 15, groups[1].properties.failback_window_start: failback_window_start stands in its short form already: "
        "give it once",
        "line 17, group_sets[0].groups[1]: G is named twice",
        "line 17, group_sets[0].providers: expected a list, found 's'",
        "line 17, group_sets[0].startup_count: startup_count is a property: put it under properties",
        "line 18, group_sets[1].name: there is a group set S on line 17 already: names are unique without regard to case",
        "line 18, group_sets[1].properties.startup_count: startup_count is between 1 and all, not 0",
        "line 20, rules[0].groups: expected a list, found 'g'",
        "line 20, rules[0].kind: the kind of a rule is same-node, different-node, same-fault-domain, "
        "different-fault-domain, not 'apart'",
        "line 21, rules[1].enabled: expected true or false, found 'no'",
        "line 22, rules[2]: a rule needs a kind, as in kind: different-node",
        "line 22, rules[2]: a rule needs a name",
        "line 22, rules[2].groups[0]: a name has letters, digits, '.', '_' and '-', and begins and ends with a letter or "
        "digit",
        "line 23, rules[3]: expected keys and values, found 7",
    ]
