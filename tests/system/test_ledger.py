"""Real processes, real faults: never two copies of a workload, and it always comes back."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.labs import Lab, lab
from tests.system.ledger import lives, overlaps_in

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

WORKLOAD = Path(__file__).parent / "ledger_workload.py"
BACK_WITHIN_S = 20.0


@pytest.fixture(scope="module", params=[True, False], ids=["fence", "no-fence"])
def running(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with lab(profile="fast", has_fence=request.param) as made:
        made.has_fence = request.param  # type: ignore[attr-defined]
        yield made


@pytest.fixture
def ledger(running: Lab, tmp_path: Path) -> Iterator[Path]:
    """A group whose workload writes a ledger; the cluster is whole before and after."""
    path = tmp_path / "ledger"
    running.apply(_manifest(path))
    _wait_for(lambda: path.exists() and bool(lives(path)), "the ledger to begin")
    yield path
    running.ctl("lab", "heal")
    for node in running.nodes():
        if node["state"] != "running" or node["daemon_state"] != "running" or node["guard_pid"] is None:
            running.ctl("lab", "start", node["name"])
    running.ctl("wait", "--for", "cluster healthy")
    running.ctl("group", "offline", "ledger")
    running.ctl("group", "delete", "ledger")


@pytest.mark.parametrize("what", ["node", "daemon", "guard", "host"])
def test_kill(running: Lab, ledger: Path, what: str) -> None:
    owner = _owner(running)
    running.ctl("lab", "kill", owner, "--what", what)
    _comes_back(ledger, since_ns=_now_ns())
    assert overlaps_in(ledger) == []


@pytest.mark.parametrize("what", ["daemon", "guard", "host"])
def test_pause_and_resume(running: Lab, ledger: Path, what: str) -> None:
    owner = _owner(running)
    running.ctl("lab", "pause", owner, "--what", what)
    if what != "host":
        _comes_back(ledger, since_ns=_now_ns(), elsewhere_than=owner)
    running.ctl("lab", "resume", owner, "--what", what)
    _comes_back(ledger, since_ns=_now_ns())
    assert overlaps_in(ledger) == []


def test_pause_of_a_whole_node(running: Lab, ledger: Path) -> None:
    if not running.has_fence:  # type: ignore[attr-defined]
        pytest.skip("a machine that is frozen as a whole needs a fence agent (docs/INVARIANTS.md, 8)")
    owner = _owner(running)
    running.ctl("lab", "pause", owner, "--what", "node")
    _comes_back(ledger, since_ns=_now_ns(), elsewhere_than=owner)
    running.ctl("lab", "resume", owner, "--what", "node", check=False)
    assert overlaps_in(ledger) == []


@pytest.mark.parametrize("name", ["n1", "n2", "n3"])
def test_isolation_of_every_node_in_turn(running: Lab, ledger: Path, name: str) -> None:
    owner = _owner(running)
    running.ctl("lab", "isolate", name)
    _comes_back(ledger, since_ns=_now_ns(), elsewhere_than=name if owner == name else None)
    running.ctl("lab", "heal")
    _comes_back(ledger, since_ns=_now_ns())
    assert overlaps_in(ledger) == []


def test_a_move_and_a_clean_stop(running: Lab, ledger: Path) -> None:
    owner = _owner(running)
    target = next(node["name"] for node in running.nodes() if node["name"] != owner)
    running.ctl("group", "move", "ledger", target)
    running.ctl("lab", "stop", target)
    _comes_back(ledger, since_ns=_now_ns(), elsewhere_than=target)
    assert overlaps_in(ledger) == []


def _manifest(path: Path) -> dict[str, Any]:
    command = [sys.executable, "-S", "-E", str(WORKLOAD), str(path)]
    resource = {
        "name": "ledger-writer",
        "type": "generic_service",
        "restart": {"delay": "0ms"},
        "properties": {"command": command},
    }
    return json.loads(json.dumps({"groups": [{"name": "ledger", "resources": [resource]}]}))


def _owner(running: Lab) -> str:
    return str(running.group("ledger")["owner"])


def _comes_back(path: Path, *, since_ns: int, elsewhere_than: str | None = None) -> None:
    def is_back() -> bool:
        return any(
            life.ended is not None and life.ended > since_ns + 300_000_000 and life.node != elsewhere_than
            for life in lives(path)
        )

    _wait_for(is_back, f"the workload to run (not on {elsewhere_than})")


def _wait_for(is_true: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + BACK_WITHIN_S
    while not is_true():
        assert time.monotonic() < until, f"waited {BACK_WITHIN_S} s for {what}"
        time.sleep(0.02)


def _now_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
