"""Real processes whose data is gone: no quorum with what they do not know, and they come back by themselves."""

import json
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.labs import Lab, lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

WITHIN_S = 30.0
ALL = ("n1", "n2", "n3")


class Nodes:
    """The nodes of a lab, each asked for itself."""

    def __init__(self, running: Lab) -> None:
        self.running, self.token = running, running.token()
        self.api = {each["name"]: each["api"] for each in running.nodes()}
        self.data = {each["name"]: Path(each["data_dir"]) for each in running.nodes()}

    def ask(self, name: str, path: str) -> dict[str, Any] | None:
        request = urllib.request.Request(f"{self.api[name]}{path}", headers={"Authorization": f"Bearer {self.token}"})
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return dict(json.load(answer))
        except (OSError, urllib.error.HTTPError):
            return None

    def is_quorate(self, name: str) -> bool:
        seen = self.ask(name, "/v1/status")
        return seen is not None and bool(seen["as_of"]["quorate"])

    def groups(self, name: str) -> list[str]:
        seen = self.ask(name, "/v1/groups") or {"groups": []}
        return [each["name"] for each in seen["groups"]]

    def votes(self, name: str) -> list[int]:
        seen = self.ask(name, "/v1/nodes") or {"nodes": []}
        return [each["vote"] for each in seen["nodes"]]


def test_a_node_without_its_data_makes_no_quorum() -> None:
    """The nodes that know of a change are away, or forgot it: what was acknowledged is not taken back."""
    with lab(profile="fast") as running:
        nodes = Nodes(running)
        running.ctl("lab", "stop", "n1")
        running.ctl("group", "create", "kept")
        for name in ("n2", "n3"):
            running.ctl("lab", "kill", name)
        shutil.rmtree(nodes.data["n3"])
        for name in ("n1", "n3"):
            running.ctl("lab", "start", name)
        _wait_for(lambda: nodes.ask("n1", "/v1/status") and nodes.ask("n3", "/v1/status"), "their API")
        _stays(lambda: not any(nodes.is_quorate(name) for name in ("n1", "n3")), 5.0)
        running.ctl("lab", "start", "n2")
        _wait_for(lambda: all(nodes.is_quorate(name) for name in ALL), "a quorum with n2")
        _wait_for(lambda: all(nodes.votes(name) == [1, 1, 1] for name in ALL), "n3 to vote again")
        _wait_for(lambda: all(nodes.groups(name) == ["kept"] for name in ALL), "the change everywhere")


def test_a_majority_that_went_back_is_told() -> None:
    """Two of three are restored to copies from before changes that they acknowledged; only the third knows of these."""
    with lab(profile="fast") as running:
        nodes = Nodes(running)
        copies = {name: nodes.data[name].with_name("copy") for name in ("n2", "n3")}
        for name, copy in copies.items():
            shutil.copytree(nodes.data[name], copy)
        for number in range(5):
            running.ctl("group", "create", f"kept{number}")
        for name in ALL:
            running.ctl("lab", "stop", name)
        for name, copy in copies.items():
            shutil.rmtree(nodes.data[name])
            copy.rename(nodes.data[name])
            running.ctl("lab", "start", name)
        _wait_for(lambda: nodes.is_quorate("n2"), "those who went back to go on")
        running.ctl("lab", "start", "n1")
        _wait_for(lambda: _says_lost(nodes, "n2"), "the loss to be told")
        _stays(lambda: not nodes.is_quorate("n1"), 3.0)
        assert [each["node"] for each in running.ctl("events")["events"] if each["name"] == "data.went-back"] == ["n1"]
        assert [each["member_state"] for each in (nodes.ask("n2", "/v1/nodes") or {})["nodes"]] == [
            "held",
            "voter",
            "voter",
        ]


def _says_lost(nodes: Nodes, name: str) -> bool:
    seen = nodes.ask(name, "/v1/status")
    return seen is not None and any("n1 holds the changes" in each for each in seen["problems"])


def test_a_lone_voter_knows_the_time() -> None:
    """It leads at once, and what it decides first bears the time of day."""
    with lab(nodes=1, profile="fast") as running:
        times = [each["time"] for each in running.ctl("events")["events"]]
        assert times and min(times) > "2020"


def _stays(is_true: Callable[[], bool], duration_s: float) -> None:
    until = time.monotonic() + duration_s
    while time.monotonic() < until:
        assert is_true()
        time.sleep(0.2)


def _wait_for(is_true: Callable[[], object], what: str) -> None:
    until = time.monotonic() + WITHIN_S
    while not is_true():
        assert time.monotonic() < until, f"waited {WITHIN_S} s for {what}"
        time.sleep(0.1)
