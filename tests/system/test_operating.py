"""Real nodes are emptied and taken back, kept hands off, stopped in order and fenced, as an operator would do it."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest

from bench.labs import Lab, lab

pytestmark = [pytest.mark.lab]

WITHIN_S = 20.0


def sleeper(name: str, **properties: Any) -> dict[str, Any]:
    """A group of one process that sleeps, on n1 by preference."""
    resource = {"name": f"{name}-r", "type": "generic_service", "properties": {"command": ["sleep", "100000"]}}
    return {"name": name, "preferred_owners": ["n1"], "properties": properties, "resources": [resource]}


def test_a_node_is_emptied_most_important_first_and_gets_everything_back() -> None:
    with lab() as running:
        running.apply({"groups": [sleeper("low", priority="low"), sleeper("high", priority="high")]})
        assert _owners(running) == {"low": "n1", "high": "n1"}
        drained = running.ctl("node", "drain", "n1")
        assert drained["waited"]["reached"] is True
        assert "n1" not in _owners(running).values()
        shown = running.ctl("node", "show", "n1")["nodes"][0]
        assert (shown["state"], shown["status"], shown["drain"]["groups"]) == (
            "paused",
            ["drain-completed"],
            ["high", "low"],
        )
        running.ctl("node", "resume", "n1", "--failback", "immediate")
        _until(lambda: _owners(running) == {"low": "n1", "high": "n1"}, "everything went back")
        running.ctl("wait", "--for", "cluster healthy")


def test_hands_are_kept_off_a_failure_also_by_a_restarted_daemon() -> None:
    with lab() as running:
        # On a busy machine the start of a daemon alone takes longer than the lease that is usual.
        patient = {"properties": {"same_subnet_threshold": 60, "run_lease": "15s"}}
        running.apply({"cluster": patient, "groups": [sleeper("web")]})
        running.ctl("group", "maintenance", "web", "on", "--reason", "a look at it")
        before = running.group("web")
        os.kill(before["resources"][0]["pid"], signal.SIGKILL)
        _until(lambda: running.group("web")["state"] == "failed", "the failure is reported")
        running.ctl("lab", "kill", "n1", "--what", "daemon")
        running.ctl("lab", "start", "n1")
        time.sleep(3.0)  # longer than a restart would take
        held = running.group("web")
        assert (held["state"], held["owner"], held["generation"]) == ("failed", "n1", before["generation"])
        assert (held["maintenance"]["in_force"], held["maintenance"]["reason"]) == (True, "a look at it")
        running.ctl("group", "maintenance", "web", "off")
        running.ctl("wait", "--for", "group web online")


def test_maintenance_does_not_end_beside_what_somebody_started_by_hand() -> None:
    command = ["sleep", f"100000.{os.getpid()}"]
    group = sleeper("web")
    group["resources"][0]["properties"] = {"command": command}
    with lab() as running:
        running.apply({"groups": [group]})
        running.ctl("group", "maintenance", "web", "on")
        os.kill(running.group("web")["resources"][0]["pid"], signal.SIGKILL)
        _until(lambda: running.group("web")["state"] == "failed", "the failure is reported")
        by_hand = subprocess.Popen(command)
        try:
            assert running.ctl("group", "maintenance", "web", "off", check=False) == {}, "it is refused"
            assert running.group("web")["maintenance"]["in_force"] is True
        finally:
            by_hand.kill()
            by_hand.wait()
        running.ctl("group", "maintenance", "web", "off")
        running.ctl("wait", "--for", "group web online")


def test_a_node_is_stopped_in_order_through_another_one_and_comes_back() -> None:
    with lab() as running:
        running.apply({"groups": [sleeper("web")]})
        running.ctl("node", "stop", "n1")
        assert running.group("web")["owner"] != "n1"
        running.ctl("wait", "--for", "group web online")
        refused = running.ctl("node", "stop", running.group("web")["owner"], check=False)
        assert refused == {}, "the last but one would take the quorum with it"
        running.ctl("lab", "start", "n1")
        running.ctl("wait", "--for", "node n1 up")
        running.ctl("wait", "--for", "cluster healthy")


def test_a_fenced_run_is_over_and_its_groups_run_elsewhere() -> None:
    with lab() as running:
        running.apply({"groups": [sleeper("web")]})
        fenced = running.ctl("node", "fence", "n1")
        assert fenced["waited"]["reached"] is True
        _until(lambda: running.group("web")["owner"] not in ("n1", None), "another node has it")
        running.ctl("wait", "--for", "group web online")


def _owners(running: Lab) -> dict[str, str]:
    return {each["name"]: each["owner"] for each in running.ctl("group", "list")["groups"]}


def _until(is_true: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + WITHIN_S
    while not is_true():
        assert time.monotonic() < until, f"not within {WITHIN_S} s: {what}"
        time.sleep(0.1)
