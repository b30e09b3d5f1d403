"""Hard rules and cold starts with real processes: nodes are killed together, and come back together."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from bench.labs import Lab, lab

pytestmark = [pytest.mark.lab]

NAMES = ("n1", "n2", "n3")


def _group(name: str, **properties: object) -> dict[str, object]:
    resource = {"name": f"{name}-a", "type": "generic_service", "properties": {"command": ["sleep", "100000"]}}
    return {"name": name, "resources": [resource], "properties": properties}


def _owners(running: Lab, *groups: str) -> dict[str, str]:
    return {name: running.group(name)["owner"] for name in groups}


def _all_at_once(running: Lab, verb: str) -> None:
    with ThreadPoolExecutor(len(NAMES)) as pool:
        list(pool.map(lambda name: running.ctl("lab", verb, name), NAMES))


def _last_before_the_start(running: Lab, names: list[str]) -> dict[str, str]:
    """Where each was online last. Three commands do not run in the same millisecond: some may have moved on the way down."""
    found: dict[str, str] = {}
    last: dict[str, str] = {}
    for event in running.ctl("events", "--last", "500")["events"]:
        if event["name"] == "cluster.formed":
            last = dict(found)
        if event["name"] == "group.state-changed" and " is online on " in event["message"]:
            found[event["group"]] = event["message"].split()[-1]
    return {name: last[name] for name in names}


def test_two_that_are_kept_apart_never_share_a_node_when_the_others_are_gone() -> None:
    """Enforced anti-affinity on three nodes: two are killed one after the other, and one of them comes back."""
    groups = [_group(name, anti_affinity_class_names=["x"]) for name in ("a", "b")]
    with lab() as running:
        running.apply({"cluster": {"properties": {"cluster_enforced_anti_affinity": True}}, "groups": groups})
        before = _owners(running, "a", "b")
        spare = next(name for name in NAMES if name not in before.values())
        running.ctl("lab", "kill", spare)
        running.ctl("lab", "kill", before["a"])
        running.ctl("lab", "start", spare)
        running.ctl("wait", "--for", "group a online", "--for", "group b online", "--timeout", "30s")
        after = _owners(running, "a", "b")
        assert after["a"] != after["b"]


def test_after_a_stop_of_all_nodes_everything_starts_where_it_was() -> None:
    names = [f"g{number}" for number in range(6)]
    with lab() as running:
        quiet = _group("quiet", cold_start_setting="do-not-start")
        running.apply({"groups": [*(_group(name) for name in names), quiet]})
        before = _owners(running, *names)
        assert len(set(before.values())) == len(NAMES)
        _all_at_once(running, "stop")
        _all_at_once(running, "start")
        running.ctl("wait", *(word for name in names for word in ("--for", f"group {name} online")), "--timeout", "60s")
        assert _owners(running, *names) == _last_before_the_start(running, names)
        assert running.group("quiet")["state"] == "offline"
