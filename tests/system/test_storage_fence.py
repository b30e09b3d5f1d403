"""A group that affects nothing but its disks comes back long before the lease of its frozen owner has run out."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.labs import lab
from tests.disk.conftest import tgt
from tests.disk.tgt import Tgt
from tests.system.guests import MISSING, Guests, fresh_name, remove
from tests.system.test_served_disks import on_a_target, on_served_disk

__all__ = ["tgt"]
pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(180),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]
LEASE_S = 30


@pytest.fixture
def guests() -> Iterator[Guests]:
    with tempfile.TemporaryDirectory(prefix="gs-", dir="/tmp") as folder, Guests(Path(folder)) as found:
        yield found


def test_a_frozen_node_is_kept_from_its_disk_and_the_guest_runs_elsewhere(tgt: Tgt, guests: Guests) -> None:
    """No fence agent, no watchdog, and a lease that outlasts the test: the storage is all the evidence there is."""
    name = fresh_name()
    made = on_served_disk(guests, name, preferred_owners=["n1"])
    made["properties"] = {"storage_is_sole_effect": True}
    made["resources"][0]["properties"] = on_a_target(tgt, guests.image(name))
    with lab(profile="fast", has_fence=False) as running:
        running.apply({"cluster": {"properties": {"run_lease": f"{LEASE_S}s"}}, "groups": [made]})
        before = guests.goes_on(name)
        running.ctl("lab", "pause", "n1", "--what", "node")
        began = time.monotonic()
        after = guests.wait(name, "to run elsewhere", lambda line: line.generation > before.generation)
        print(f"the guest runs elsewhere {(time.monotonic() - began) * 1000:.0f} ms after its node froze")
        assert "expelling" in running.ctl("node", "show", "n1")["nodes"][0]["status"]
        chain = [step["text"] for step in running.ctl("explain", "group", name)["chain"]]
        assert any("evidence (fenced)" in text and f"{name}-disk: key 0x" in text for text in chain), chain
        guests.wait(name, "to go on there", lambda line: line.count > after.count + 10)
        running.ctl("lab", "resume", "n1", "--what", "node")
        running.ctl("wait", "--for", "cluster healthy")
        guests.goes_on(name)
        assert time.monotonic() - began < LEASE_S
        late = [line for line in guests.written[name] if line.at > after.at and line.generation == before.generation]
        assert late == []
        assert guests.written[name][-1].generation == after.generation
        remove(running, name)
