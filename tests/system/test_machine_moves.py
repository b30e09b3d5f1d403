"""Real guests move live between real nodes: memory goes along, and one copy or none is left whatever dies meanwhile."""

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.labs import Lab, lab
from clusterd.checkers import GuestLine
from tests.system.guests import MISSING, Guests, fresh_name, guest, mend, remove, until

pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(180),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]

SLOW: dict[str, Any] = {"migration_bandwidth_mib": 1, "migration_downtime": "1ms"}
"""With half a MiB dirtied each tick the guest never gets there by itself."""
CHECKED_EVERY_S = 5.0
"""How often a check looks at a machine: what is seen sooner was told."""
BLACKOUT_MAX_S = 0.5
"""Far more than it takes (bench/virtual_machines.py measures it), for machines that do something else too."""


@pytest.fixture
def guests() -> Iterator[Guests]:
    with tempfile.TemporaryDirectory(prefix="gs-", dir="/tmp") as folder, Guests(Path(folder)) as found:
        yield found


@pytest.fixture(scope="module")
def running() -> Iterator[Lab]:
    with lab(profile="fast") as made:
        yield made


@pytest.fixture
def one(running: Lab, guests: Guests, request: pytest.FixtureRequest) -> Iterator[str]:
    """A guest on n1. Afterwards the cluster is whole again, and nobody broke a promise."""
    name = fresh_name()
    properties = getattr(request, "param", {})
    running.apply({"groups": [guests.group(name, memory_mib=64, properties=properties, preferred_owners=["n1"])]})
    guests.goes_on(name)
    assert running.group(name)["owner"] == "n1"
    yield name
    assert guests.breaches() == []
    mend(running)
    remove(running, name)


def test_memory_goes_along(running: Lab, guests: Guests, one: str) -> None:
    before = guests.last(one)
    running.ctl("group", "move", one, "n2", "--kind", "live")
    after = guests.goes_on(one)
    assert (after.nonce, after.boots, after.generation) == (before.nonce, before.boots, before.generation + 1)
    assert running.group(one)["owner"] == "n2"
    last = next(line for line in reversed(guests.said[one]) if line.generation == before.generation)
    first = next(line for line in guests.said[one] if line.generation == after.generation)
    assert (first.at - last.at) / 1e9 < BLACKOUT_MAX_S
    assert 1 <= first.count - last.count < 20


def test_there_and_back_and_drained(running: Lab, guests: Guests, one: str) -> None:
    before = guests.last(one)
    for target in ("n3", "n1"):
        running.ctl("group", "move", one, target, "--kind", "live")
        assert running.group(one)["owner"] == target
    running.ctl("node", "drain", "n1")
    running.ctl("node", "resume", "n1")
    after = guests.goes_on(one)
    assert (after.nonce, after.boots) == (before.nonce, before.boots)


def test_a_guest_that_writes_all_the_time(running: Lab, guests: Guests, one: str) -> None:
    """Each of a thousand lines a second goes to its disk, and half a MiB of full memory is dirtied with it."""
    guests.order(one, "mud")
    for _ in range(3):
        before = guests.goes_on(one)
    for target in ("n2", "n3"):
        running.ctl("group", "move", one, target, "--kind", "live")
        moved = guests.goes_on(one)
        assert (moved.nonce, moved.boots) == (before.nonce, before.boots)
        until(lambda moved=moved: guests.written[one][-1].generation == moved.generation, "it writes from there")
        assert running.group(one)["owner"] == target
    counts = [(line.generation, line.count) for line in guests.written[one]]
    assert counts == sorted(counts), "nothing that was written is older than what was there"


@pytest.mark.parametrize("one", [SLOW], indirect=True, ids=["slow"])
def test_qemu_dies_at_the_source(running: Lab, guests: Guests, one: str) -> None:
    """Checks rest while it moves, but the end of its process is news at once: restarted here, long before a check is due."""
    before = _under_way(running, guests, one)
    begun = time.monotonic()
    os.kill(guest(running, one)["pid"], signal.SIGKILL)
    after = guests.wait(one, "to be restarted", lambda line: line.boots > before.boots)
    assert time.monotonic() - begun < CHECKED_EVERY_S
    assert (after.boots, after.generation) == (before.boots + 1, before.generation)
    assert running.group(one)["owner"] == "n1"
    assert "migrating" not in running.group(one)["status"]


@pytest.mark.parametrize("one", [SLOW], indirect=True, ids=["slow"])
def test_a_cancelled_move_leaves_it_where_it_is(running: Lab, guests: Guests, one: str) -> None:
    before = _under_way(running, guests, one)
    running.ctl("group", "move", one, "--cancel")
    until(lambda: guest(running, one)["migration"] != "active", "the migration ends")
    _still_runs(running, guests, one, before)


@pytest.mark.parametrize("one", [SLOW], indirect=True, ids=["slow"])
def test_the_destination_dies(running: Lab, guests: Guests, one: str) -> None:
    before = _under_way(running, guests, one)
    running.ctl("lab", "kill", "n2")
    until(lambda: guest(running, one)["migration"] != "active", "the migration ends")
    _still_runs(running, guests, one, before)


@pytest.mark.parametrize("one", [SLOW], indirect=True, ids=["slow"])
def test_the_source_dies(running: Lab, guests: Guests, one: str) -> None:
    before = _under_way(running, guests, one)
    running.ctl("lab", "kill", "n1")
    _recovers(guests, one, before)
    assert running.group(one)["owner"] != "n1"


@pytest.mark.parametrize("victim", ["n1", "n2"])
@pytest.mark.parametrize("delay_ms", [20, 60, 120])
def test_one_of_them_dies_at_some_moment(running: Lab, guests: Guests, one: str, victim: str, delay_ms: int) -> None:
    """The whole move takes about as long as the longest of these delays."""
    before = guests.last(one)
    address = next(node["api"] for node in running.nodes() if node["name"] == "n3")
    running.post_with(address, running.token(), f"/v1/groups/{one}/move", {"target": "n2", "kind": "live"})
    time.sleep(delay_ms / 1000)
    running.ctl("lab", "kill", victim)
    until(lambda: guests.last(one).at > time.clock_gettime_ns(time.CLOCK_BOOTTIME) - 100_000_000, "it says something")
    running.ctl("wait", "--for", f"group {one} online")
    assert guests.goes_on(one).boots - before.boots in (0, 1)


def _under_way(running: Lab, guests: Guests, one: str) -> GuestLine:
    """A migration to n2 in its middle."""
    guests.order(one, "d")
    before = guests.goes_on(one)
    running.ctl("group", "move", one, "n2", "--kind", "live", "--no-wait")
    until(lambda: guest(running, one)["migration"] == "active", "the migration is under way")
    return before


def _still_runs(running: Lab, guests: Guests, one: str, before: GuestLine) -> None:
    after = guests.goes_on(one)
    assert (after.nonce, after.boots) == (before.nonce, before.boots)
    assert running.group(one)["owner"] == "n1"


def _recovers(guests: Guests, one: str, before: GuestLine) -> GuestLine:
    until(lambda: guests.last(one).generation > before.generation, "it runs under a new owner")
    after = guests.last(one)
    assert after.boots == before.boots + 1
    return after
