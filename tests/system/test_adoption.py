"""A daemon that is killed and started again within its run lease finds everything as it left it."""

import time
from typing import Any

import pytest

from bench.labs import Lab, lab

pytestmark = [pytest.mark.lab]

HEALTHY_WITHIN_S = 20.0
LEASE_S = 6
PATIENT = {"same_subnet_threshold": 4 * LEASE_S, "run_lease": f"{LEASE_S}s"}
"""On a busy machine the start of a daemon alone takes longer than the lease that is usual."""


def test_a_restarted_daemon_adopts_what_runs() -> None:
    command = ["sleep", "100000"]
    resource = {"name": "sleeper", "type": "generic_service", "properties": {"command": command}}
    with lab() as running:
        running.apply({"cluster": {"properties": PATIENT}, "groups": [{"name": "asleep", "resources": [resource]}]})
        before = running.group("asleep")
        running.ctl("lab", "kill", before["owner"], "--what", "daemon")
        running.ctl("lab", "start", before["owner"])
        _wait_until_heard(running, before["owner"])
        running.ctl("wait", "--for", "cluster healthy")
        assert _identity(running.group("asleep")) == _identity(before)


def _wait_until_heard(running: Lab, owner: str) -> None:
    """Its lease would have run out by then, had the new daemon not renewed it."""
    until = time.monotonic() + HEALTHY_WITHIN_S
    lease_over = time.monotonic() + LEASE_S + 1
    while time.monotonic() < lease_over or any(
        node["name"] == owner and node["state"] != "up" for node in running.ctl("node", "list")["nodes"]
    ):
        assert time.monotonic() < until, f"{owner} did not come back"
        time.sleep(0.1)


def _identity(group: dict[str, Any]) -> tuple[str, int, int]:
    return group["owner"], group["generation"], group["resources"][0]["pid"]
