"""Real processes: a resource type whose check ends its process hurts nobody who shares the resource host."""

import time
from pathlib import Path
from typing import Any

import pytest

from bench.labs import Lab, lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

WITHIN_S = 60.0
PLUGIN = """
import os, signal, time
from clusterd.resource_api import Context, Health, ResourceType

class Crasher(ResourceType):
    name = "crasher"
    is_alive_interval_ms = 1000
    looks_alive_interval_ms = 60_000

    def online(self, context: Context) -> None:
        pass

    def offline(self, context: Context) -> None:
        pass

    def is_alive(self, context: Context) -> Health:
        os.kill(os.getpid(), signal.SIGKILL)
        return Health.YES
"""


def _group(name: str, kind: str, **properties: Any) -> dict[str, Any]:
    resource = {"name": f"{name}-r", "type": kind, "properties": properties, "restart": {"threshold": 1}}
    return {"name": name, "preferred_owners": ["n1"], "resources": [resource]}


def _restarts(running: Lab, name: str) -> int:
    return int(running.group(name)["resources"][0]["restarts"]["used"])


def test_a_crashing_check_hurts_only_its_own_group(tmp_path: Path) -> None:
    (tmp_path / "crasher.py").write_text(PLUGIN)
    innocent = ("a", "b", "c")
    with lab(plugins=str(tmp_path)) as running:
        services = [_group(name, "generic_service", command=["/bin/sleep", "3600"]) for name in innocent]
        running.apply({"groups": services})
        running.apply({"groups": [*services, _group("bad", "crasher")]}, wait=False)
        until = time.monotonic() + WITHIN_S
        while running.group("bad")["owner"] in ("n1", None) and time.monotonic() < until:
            time.sleep(0.2)  # it fails over, and goes round
        for name in innocent:
            while running.group(name)["state"] != "online" and time.monotonic() < until:
                time.sleep(0.2)
            found = running.group(name)
            assert (found["state"], found["owner"]) == ("online", "n1")
            assert _restarts(running, name) == 0, "who only shared the host is counted"
        events = running.ctl("events", "--last", "200")["events"]
        apart = [each["resource"] for each in events if each["name"] == "resource.set-apart"]
        assert apart == ["bad-r"]
        failovers = [
            each["message"] for each in events if each.get("group") in innocent and "fails over" in each["message"]
        ]
        assert failovers == []
