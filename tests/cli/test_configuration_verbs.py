"""Do the commands for properties, rules and group sets change, show, teach and refuse?"""

from collections.abc import Callable

import pytest
from pretend_cluster import service
from served_cluster import Result, Served

Run = Callable[..., Result]


@pytest.fixture
def groups(served: Served) -> Served:
    def add(cluster: object) -> None:
        for name in ("a", "b"):
            served.cluster.add_group(name, service(f"{name}-server", name))
        served.cluster.act()

    served.call(add)
    return served


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("cluster", "set", "QuarantineThreshold=5"), "update cluster test: quarantine_threshold: 3 by default → 5"),
        (
            ("node", "set", "n1", "fault_domain=site:east/rack:r1"),
            "update node n1: fault_domain: none by default → site:east/rack:r1",
        ),
        (
            ("node", "set", "n1", "MemoryCapacity=detected"),
            "update node n1: memory_capacity: detected by default → detected",
        ),
        (
            ("resource-type", "set", "generic_script", "pending_timeout=2min"),
            "update resource type generic_script: pending_timeout: 3min by default → 2min",
        ),
        (("group", "set", "a", "priority=high"), "update group a: priority: medium by default → high"),
        (("group", "set", "a", "AntiAffinityClassNames=[sql servers, x]"), "update group a: anti_affinity_class_names"),
        (("group", "create", "new", "Priority=0", "--preferred-owners", "n2,n1"), "create group new"),
        (
            ("resource", "set", "a-server", "RestartDelay=2s", "stop_grace=3s"),
            "update resource a-server: restart_delay: 500ms by default → 2s; stop_grace: none → 3s",
        ),
        (("resource", "set", "a-server", "--possible-owners", "n1"), "update resource a-server: possible_owners: none"),
        (("rule", "create", "apart", "different-node", "a,b"), "create rule apart: different-node; a, b"),
        (("rule", "create", "near", "SameNode", "a,b", "--disabled"), "create rule near: same-node; a, b"),
        (("group-set", "create", "s", "--groups", "a", "startup_setting=online"), "create group set s: a"),
    ],
)
def test_each_change(groups: Served, clusterctl: Run, arguments: tuple[str, ...], says: str) -> None:
    planned = clusterctl(*arguments, "--plan")
    assert planned.code == 0 and planned.out.startswith(f"would {says}"), planned
    done = clusterctl(*arguments)
    assert done.code == 0 and done.out.startswith(says), done
    if arguments[1] == "set":
        assert "nothing to change" in clusterctl(*arguments).out


def test_rules_and_sets_from_the_first_to_the_last(groups: Served, clusterctl: Run) -> None:
    assert "no rules yet" in clusterctl("rule", "list").out
    assert "no group sets yet" in clusterctl("group-set", "list").out
    clusterctl("rule", "create", "apart", "different-node", "a,b")
    assert clusterctl("rule", "list").out.splitlines()[1].split() == [
        "apart", "different-node", "yes", "a", "on", "n1,", "b", "on", "n1",
    ]  # fmt: skip
    assert "enabled: true → false" in clusterctl("rule", "set", "apart", "--disable").out
    assert "disabled" in clusterctl("rule", "show", "apart").out
    assert clusterctl("rule", "show", "apart", "-o", "json").json["schema"] == 1
    assert clusterctl("rule", "delete", "apart").out == "delete rule apart\n"
    clusterctl("group-set", "create", "base", "--groups", "a", "startup_delay=5s")
    clusterctl("group-set", "create", "top", "--groups", "b", "--providers", "base")
    assert "all coming online, then 5.0 s" in clusterctl("group-set", "list").out
    shown = clusterctl("group-set", "show", "top").out
    assert "waits for: base" in shown and "startup_count" in shown
    assert "providers: [base] → none" in clusterctl("group-set", "set", "top", "--providers", "").out
    assert clusterctl("group-set", "delete", "base").code == 0
    assert clusterctl("group-set", "list", "-o", "json").json["group_sets"][0]["name"] == "top"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("cluster", "set", "run_lease=1s"), 3, "a running cluster can only raise it"),
        (("cluster", "set", "quorum=1"), 64, "there is no cluster property quorum"),
        (("cluster", "set", "quarantine"), 64, "is no property with a value"),
        (("node", "set", "n1", "fault_domain=east"), 64, "write it like site:east/rack:r1/chassis:c2"),
        (("node", "set", "n9", "description=x"), 3, "there is no node n9"),
        (("resource-type", "set", "generic_servic", "pending_timeout=1s"), 64, "did you mean generic_service?"),
        (("group", "set", "a", "failback_window_start=3"), 64, "failback_window_end is not set"),
        (("group", "set", "a", "priority=5000"), 64, "priority is between no-auto-start and 4999"),
        (("group", "set", "a", "description=x", "--if-revision", "1"), 5, "somebody changed it meanwhile"),
        (("rule", "create", "r", "same-node", "a"), 3, "a rule needs at least 2 groups"),
        (("rule", "create", "r", "sam-node", "a,b"), 64, "the kind of a rule is same-node"),
        (("rule", "set", "r", "--enable"), 3, "there is no rule r"),
        (("rule", "create", "r", "same-node"), 64, "Missing argument 'GROUP,GROUP...'"),
        (("group-set", "create", "s", "--groups", "z"), 64, "there is no group z"),
        (("group-set", "delete", "s"), 3, "there is no group set s"),
        (("group-sets", "list"), 64, "group-set"),
    ],
)
def test_each_refusal(groups: Served, clusterctl: Run, arguments: tuple[str, ...], code: int, says: str) -> None:
    found = clusterctl(*arguments)
    assert (found.code, found.out) == (code, "") and says in found.err, found
    as_json = clusterctl(*arguments, "-o", "json")
    assert as_json.code == code and as_json.error["message"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("cluster", "show"),
        ("node", "show", "n1"),
        ("group", "show", "a"),
        ("resource", "show", "a-server"),
        ("resource-type", "show", "generic_service"),
    ],
)
def test_show_tells_every_property_and_its_default(groups: Served, clusterctl: Run, arguments: tuple[str, ...]) -> None:
    text = clusterctl(*arguments).out
    found = clusterctl(*arguments, "-o", "json").json
    lists = [value for value in found.values() if isinstance(value, list) and value]
    document = next((each[0] for each in lists if "settings" in each[0]), found)
    rows = {line.split()[0] for line in text.splitlines() if line.strip()}
    assert {each["name"] for each in document["settings"]} <= rows
    assert "revision" in text and len(text.splitlines()) <= 40


def test_what_was_set_stands_beside_its_default(groups: Served, clusterctl: Run) -> None:
    clusterctl("resource", "set", "a-server", "restart_threshold=7", "retry_period_on_failure=never")
    lines = clusterctl("resource", "show", "a-server").out.splitlines()
    rows = {line.split()[0]: line.split()[1:3] for line in lines if len(line.split()) > 2}
    assert rows["restart_threshold"] == ["7", "1"]
    assert rows["retry_period_on_failure"] == ["never", "1h"]
    assert rows["pending_timeout"] == ["type", "(3min)"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("cluster",), ("cluster", "set"), ("node",), ("node", "set"), ("resource-type", "set"), ("group", "set"),
        ("group", "create"), ("resource", "set"), ("rule",), ("rule", "create"), ("rule", "set"), ("group-set",),
        ("group-set", "create"), ("group-set", "set"),
    ],
)  # fmt: skip
def test_help_teaches_with_an_example(bare: Run, arguments: tuple[str, ...]) -> None:
    found = bare(*arguments, "--help")
    assert found.code == 0
    assert f"clusterctl {arguments[0]}" in found.out.split("\n", 1)[1]
