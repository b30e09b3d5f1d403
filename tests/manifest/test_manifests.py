"""Is a good manifest read as meant, a bad one refused with every line, and an exported one the same again?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterd.model.ids import GroupId, ResourceId
from clusterd.model.manifest import BadManifest, GroupSpec, Manifest, ResourceSpec, parse_manifest, render_manifest
from clusterd.model.manifest.source import SIZE_MAX_BYTES, read_yaml
from clusterd.model.manifest.specs import ALIASES, Places
from clusterd.model.settings_catalogue import settings_of
from clusterd.model.states import Wanted

GOOD = """\
cluster:
  properties: {same_subnet_threshold: 8}
groups:
  - name: web
    preferred_owners: [n1, n2]
    wanted: offline
    properties: {failover_threshold: 2, FailoverPeriod: 2h}
    resources:
      - name: web-data
        type: generic_script
        properties: {script_filepath: /srv/web/prepare}
      - name: web-server
        type: generic_service
        depends_on: "([web-data])"
        possible_owners: [n1]
        restart: {action: restart-then-fail-over, threshold: 1, period: 15min, delay: 500ms, retry: never}
        properties:
          command: [python3, -m, http.server, "8081"]
          ready: {tcp: 8081}
          DeadlockTimeout: 60s
"""


def problems_of(text: str) -> list[str]:
    with pytest.raises(BadManifest) as caught:
        parse_manifest(text)
    return [str(each) for each in caught.value.problems]


def test_a_good_manifest() -> None:
    found = parse_manifest(GOOD)
    assert found.cluster_properties == {"same_subnet_threshold": 8}
    [group] = found.groups
    assert (group.name, group.preferred_owners, group.wanted) == ("web", ("n1", "n2"), Wanted.OFFLINE)
    assert group.properties == {"failover_threshold": 2, "failover_period": 2}
    server = group.resources[1]
    assert server.depends_on == "[web-data]"
    assert server.properties == {
        "deadlock_timeout": 60_000,
        "restart_action": "restart-then-fail-over",
        "restart_threshold": 1,
        "restart_period": 900_000,
        "restart_delay": 500,
        "retry_period_on_failure": 0xFFFFFFFF,
    }
    assert server.private == {"command": ["python3", "-m", "http.server", "8081"], "ready": {"tcp": 8081}}


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}", "groups:", "groups: []", "cluster:\ngroups:\n"])
def test_manifests_of_nothing(text: str) -> None:
    found = parse_manifest(text)
    assert (found.groups, found.cluster_properties) == ((), {})


BAD = """\
clusters: {}
cluster:
  properties: {same_subnet_treshold: 8, same_subnet_delay: 1ms}
groups:
  - name: web
    prefered_owners: [n1]
    preferred_owners: [n1, N1, 3]
    wanted: maybe
    properties: {persistent_state: 1, failover_threshold: many}
    resources:
      - name: a
        type: generic_script
        depends_on: b
      - name: A
        restart: {treshold: 1, threshold: 1}
        properties: {restart_threshold: 2, restart_period: [1]}
      - type: x
        restart_delay: 3
      - seven
      - name: "<script>"
        type: [x]
        properties: 7
  - name: WEB
    resources: {}
  - {}
"""


def test_every_problem_at_once_with_line_path_and_nearest_name() -> None:
    assert problems_of(BAD) == [
        "line 1, clusters: a manifest has no key clusters: did you mean cluster?",
        "line 3, cluster.properties.same_subnet_delay: same_subnet_delay is between 50ms and 2s, not '1ms' "
        "(heartbeats cost processor time on every node)",
        "line 3, cluster.properties.same_subnet_treshold: there is no cluster property same_subnet_treshold: "
        "did you mean same_subnet_threshold?",
        "line 6, groups[0].prefered_owners: a group has no key prefered_owners: did you mean preferred_owners?",
        "line 7, groups[0].preferred_owners[1]: N1 is named twice",
        "line 7, groups[0].preferred_owners[2]: a name is text, not int",
        "line 8, groups[0].wanted: wanted is online or offline, not 'maybe'",
        "line 9, groups[0].properties.failover_threshold: failover_threshold is a whole number or nodes-1, not 'many'",
        "line 9, groups[0].properties.persistent_state: persistent_state cannot be set: what is wanted survives every "
        "restart already: use 'online' and 'offline'; leave it out",
        "line 13, groups[0].resources[0].depends_on: 'b' at character 1: names stand in brackets, as in [b]; "
        "write it like ([a] or [b]) and ([c])",
        "line 14, groups[0].resources[1]: a resource needs a type, as in type: generic_service",
        "line 14, groups[0].resources[1].name: there is a resource A on line 11 already: names are unique without regard "
        "to case",
        "line 15, groups[0].resources[1].restart.treshold: a restart has no key treshold: did you mean threshold?",
        "line 16, groups[0].resources[1].properties.restart_period: restart_period is a duration, not [1]",
        "line 16, groups[0].resources[1].properties.restart_threshold: restart_threshold stands in its short form "
        "already: give it once",
        "line 17, groups[0].resources[2]: a resource needs a name",
        "line 18, groups[0].resources[2].restart_delay: restart_delay is a property: put it under properties",
        "line 19, groups[0].resources[3]: expected keys and values, found 'seven'",
        "line 20, groups[0].resources[4].name: a name has letters, digits, '.', '_' and '-', and begins and ends "
        "with a letter or digit",
        "line 21, groups[0].resources[4].type: expected text, found a list",
        "line 22, groups[0].resources[4].properties: expected keys and values, found 7",
        "line 23, groups[1].name: there is a group WEB on line 5 already: names are unique without regard to case",
        "line 24, groups[1].resources: expected a list, found keys and values",
        "line 25, groups[2]: a group needs a name",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [", "line 2: this is not YAML: while parsing a flow node, did not find expected node content"),
        ("a: b: c", "line 1: this is not YAML: mapping values are not allowed in this context"),
        ("groups:\n\t- name: x", "line 2: this is not YAML: while scanning for the next token, found character that"),
        ("a: 1\n---\nb: 2", "line 2: this is not YAML: expected a single document in the stream"),
        ("x", "line 1: expected keys and values, found 'x'"),
        ("- a", "line 1: expected keys and values, found a list"),
        ("groups: 3", "line 1, groups: expected a list, found 3"),
        ("groups: true", "line 1, groups: expected a list, found true"),
        ("groups:\ngroups:\n", "line 2, groups: this key is given twice"),
        ("groups: [{name: 1}]", "line 1, groups[0].name: a name is text, not int (put it in quotes)"),
        ("groups: !!python/object:os.system x", "line 1, groups: tags are not supported"),
        ("groups: !x []", "line 1, groups: tags are not supported: !x"),
        ("groups: &x [*x]", "line 1, groups[0]: references to an anchor are not supported: write it out"),
        ("? [a]\n: b", "line 1: a key is text"),
        ("<<: {}", "line 1, <<: a manifest has no key <<"),
        ("\x00", "line 1: this is not YAML"),
        ("groups: " + "[" * 100 + "]" * 100, "line 1, groups[0]"),
        ("[" * 20_000, "line"),
        ("{a: " * 20_000, "line"),
        ("# " + "x" * SIZE_MAX_BYTES, "line 1: a manifest has at most 1048576 bytes"),
    ],
)
def test_odd_texts_are_refused_with_a_line(text: str, expected: str) -> None:
    assert any(each.startswith(expected) for each in problems_of(text)), problems_of(text)


def test_a_small_text_cannot_grow_large() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    assert any("references to an anchor" in each for each in problems_of("\n".join(lines)))


def test_relations_are_checked_where_they_stand() -> None:
    text = GOOD.replace("retry: never", "retry: 1min")
    assert problems_of(text) == [
        "line 12, groups[0].resources[1]: retry_period_on_failure is 60000 ms; it must be at least restart_period "
        "(900000 ms), or a failed resource is retried before its restarts are forgotten (rule retry-after-restart-period)"
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"), ("on", "on"), ("no", "no"), ("true", True), ("True", True), ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"), ("010", 10), ("0x10", 16), ("0o17", 15), ("1_000", "1_000"), ("-5", -5),
        ("1.5", 1.5), ("1e3", 1000.0), ("1e999", "1e999"), (".inf", ".inf"),
        ("~", None), ("null", None), ("", None), ("'7'", "7"),
        ('"a\\tb"', "a\tb"), ("9999999999999999999999", "9999999999999999999999"), ("é", "é"),
    ],
)  # fmt: skip
def test_plain_scalars_mean_what_they_look_like(text: str, value: object) -> None:
    found, problems = read_yaml(f"x: {text}")
    assert problems == []
    plain = found.plain()
    assert isinstance(plain, dict)
    assert plain["x"] == value and type(plain["x"]) is type(value)


def test_aliases_name_properties_that_exist() -> None:
    for scope, aliases in ALIASES.items():
        for table in aliases.values():
            assert {name for names in table.values() for name in names} <= set(settings_of(scope))


def test_an_export_reads_back_the_same() -> None:
    text = render_manifest(parse_manifest(GOOD))
    assert render_manifest(parse_manifest(text)) == text
    assert (
        text
        == """\
cluster:
  properties:
    same_subnet_threshold: 8
groups:
  - name: web
    wanted: offline
    preferred_owners: [n1, n2]
    properties:
      failover_threshold: 2
      failover_period: 2h
    resources:
      - name: web-data
        type: generic_script
        properties:
          script_filepath: /srv/web/prepare
      - name: web-server
        type: generic_service
        depends_on: '[web-data]'
        possible_owners: [n1]
        restart: {action: restart-then-fail-over, threshold: 1, period: 15min, delay: 500ms, retry: never}
        properties:
          deadlock_timeout: 1min
          command:
            - python3
            - -m
            - http.server
            - '8081'
          ready:
            tcp: 8081
"""
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(-1e6, 1e6) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abcxyz", min_size=1), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["command", "ready", "p", "q"]), json_values, min_size=1, max_size=4))
def test_private_values_survive_an_export(private: dict[str, object]) -> None:
    nowhere = Places(0, "")
    spec = ResourceSpec(ResourceId("r"), "t", nowhere, private=private)  # type: ignore[arg-type]  # any JSON
    text = render_manifest(Manifest(nowhere, {}, (GroupSpec(GroupId("g"), nowhere, resources=(spec,)),)))
    assert parse_manifest(text).groups[0].resources[0].private == private


@given(st.text(max_size=200))
def test_any_text_is_a_manifest_or_refused(text: str) -> None:
    try:
        parse_manifest(text)
    except BadManifest as error:
        assert error.problems
