"""what-if, plan, capacity and the timeline on the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from served_cluster import MANIFEST, TOKEN, Result, Served

from clusterd.cli.client import Client
from clusterd.cli.connection import Doors, Endpoint
from clusterd.cli.foresight import plan

Run = Callable[..., Result]


@pytest.fixture
def web(clusterctl: Run, tmp_path: Path) -> Run:
    path = tmp_path / "web.yaml"
    path.write_text(MANIFEST)
    assert clusterctl("apply", "-f", str(path)).code == 0
    return clusterctl


def test_what_if_tells_what_would_move_and_why(web: Run) -> None:
    told = web("what-if", "node", "n1", "down")
    assert told.code == 0
    assert told.out.splitlines()[0] == "1 group moves"
    assert "web moves from n1 to n2" in told.out
    assert "n1 was lost" in told.out
    found = web("what-if", "drain", "n1", "-o", "json").json
    assert (found["schema"], found["happenings"][0]["target"]) == (1, "n2")


def test_what_if_of_nonsense_is_wrong_usage(web: Run) -> None:
    told = web("what-if", "node", "n1", "sideways")
    assert (told.code, "node n2 down" in told.err) == (64, True)
    assert web("what-if", "node", "n9", "down").code == 3


def test_a_plan_is_told_and_then_applied(web: Run) -> None:
    planned = web("group", "move", "web", "n3", "--plan")
    assert planned.code == 0
    assert "would update group web: move: n1 → n3" in planned.out
    assert "web moves from n1 to n3" in planned.out
    plan_id = planned.out.split("clusterctl plan apply ")[1].strip()
    assert "n1" in web("group", "show", "web").out
    shown = web("plan", "show", plan_id)
    assert "not applied" in shown.out and "web moves from n1 to n3" in shown.out
    applied = web("plan", "apply", plan_id)
    assert applied.code == 0
    assert web("group", "show", "web", "-o", "json").json["groups"][0]["owner"] == "n3"


def test_a_plan_that_was_overtaken_ends_with_the_code_of_a_conflict(web: Run, served: Served) -> None:
    plan_id = web("group", "move", "web", "n3", "--plan", "-o", "json").json["plan_id"]
    served.call(lambda cluster: cluster.lose("n2"))
    told = web("plan", "apply", plan_id)
    assert (told.code, "membership/n2 changed at" in told.err) == (5, True)


def test_a_plan_is_found_at_the_node_that_made_it(web: Run, served: Served, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("CLUSTERCTL_ENDPOINT", served.urls[1])
    plan_id = web("group", "offline", "web", "--plan", "-o", "json").json["plan_id"]
    ports = [int(url.rpartition(":")[2]) for url in served.urls]
    doors = Doors(tuple(Endpoint("http", "127.0.0.1", port) for port in ports), TOKEN, "both")
    plan.main(["show", plan_id], obj={"client": Client(doors), "output": "json"}, standalone_mode=False)


def test_an_unknown_plan(web: Run) -> None:
    told = web("plan", "apply", "nothing-like-it")
    assert (told.code, "--plan" in told.err) == (3, True)


def test_capacity_ends_with_0_or_3(web: Run, served: Served) -> None:
    told = web("capacity")
    assert (told.code, "every group would find a node" in told.out) == (0, True)
    web("resource", "set", "web-server", "--possible-owners", "n1")
    told = web("capacity", "--failures", "1")
    assert told.code == 3
    assert "without n1 these would have no node" in told.out
    found = web("capacity", "-o", "json")
    assert (found.code, found.json["enough"], found.json["losses"][0]["nodes"]) == (3, False, ["n1"])


def test_events_are_exported_as_a_page_and_as_json(web: Run, tmp_path: Path) -> None:
    page, data = tmp_path / "timeline.html", tmp_path / "timeline.json"
    assert web("events", "--export", str(page)).code == 0
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert web("events", "--group", "web", "--export", str(data)).code == 0
    found = json.loads(data.read_text())
    assert found["schema"] == 1 and {each["group"] for each in found["events"]} == {"web"}
    assert web("events", "--export", str(tmp_path / "timeline.txt")).code == 64


def test_events_of_a_node_and_around_a_moment(web: Run, served: Served) -> None:
    served.call(lambda cluster: cluster.event("something", group="web"))
    assert "something" in web("events", "--around", "1min").out
    assert web("events", "--around", "last-failover").code == 3
    assert web("events", "--around", "1min", "--follow").code == 64
    assert "something" not in web("events", "--node", "n1").out
