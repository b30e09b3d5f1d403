"""One end of a live migration loses its power when 10, 50 and 99 percent of the memory are there, to the page.

The memory is full, so percents mean something, and the migration is held at one by its bandwidth, as an operator could: what
the tests wait for is progress and never time.
"""

import json
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.labs import Lab, lab
from clusterd.checkers import GuestLine
from tests.system.guests import MISSING, Guests, fresh_name, mend, remove, until

pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(180),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]

MEMORY_MIB = 64
FLOWS_MIB, HELD_MIB = "4", "0.001"
"""Enough for a percent in about 150 ms; and less than a page in a second."""
SLOW: dict[str, Any] = {"migration_bandwidth_mib": 1, "migration_downtime": "1ms"}
PERCENT_OVER_MAX = 5
"""How far it may come between the look that saw the percent and the order to hold it."""


@pytest.fixture
def guests() -> Iterator[Guests]:
    with tempfile.TemporaryDirectory(prefix="gs-", dir="/tmp") as folder, Guests(Path(folder)) as found:
        yield found


@pytest.fixture(scope="module")
def running() -> Iterator[Lab]:
    with lab(profile="fast") as made:
        yield made


class Held:
    """A guest whose migration from n1 to n2 is held at some percent."""

    def __init__(self, running: Lab, guests: Guests, name: str) -> None:
        self.running, self.guests, self.name = running, guests, name
        self._address = next(str(node["api"]) for node in running.nodes() if node["name"] == "n3")
        self._token = running.token()
        group = guests.group(name, memory_mib=MEMORY_MIB, properties=SLOW, preferred_owners=["n1"])
        running.apply({"groups": [group]})
        guests.goes_on(name)
        guests.order(name, "md")
        for _ in range(3):  # the first may be from before the order; what comes after it comes when the memory is full
            self.before = guests.goes_on(name)

    def hold_at(self, percent: int) -> int:
        self._post("groups", "move", {"target": "n2", "kind": "live"})
        until(lambda: self.guest().get("migration") == "active", "it is under way")
        self._flow(FLOWS_MIB)
        until(lambda: self.percent() >= percent, f"{percent} % are there")
        self._flow(HELD_MIB)
        return self.percent()

    def percent(self) -> int:
        return int(self.guest().get("migration_percent", 0))

    def guest(self) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{self._address}/v1/machines/{self.name}", headers={"Authorization": f"Bearer {self._token}"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return dict(json.load(answer)["machines"][0]["guest"] or {})

    def _flow(self, mib: str) -> None:
        self._post("machines", "order", {"verb": "migration-bandwidth", "action": mib})

    def _post(self, kind: str, verb: str, body: dict[str, Any]) -> None:
        self.running.post_with(self._address, self._token, f"/v1/{kind}/{self.name}/{verb}", body)


@pytest.fixture
def held(running: Lab, guests: Guests) -> Iterator[Held]:
    """Afterwards the cluster is whole again, and nobody broke a promise: the ledger of the image is in order."""
    name = fresh_name()
    yield Held(running, guests, name)
    assert guests.breaches() == []
    mend(running)
    remove(running, name)


@pytest.mark.parametrize("percent", [10, 50, 99])
def test_the_destination_dies(running: Lab, guests: Guests, held: Held, percent: int) -> None:
    assert percent <= held.hold_at(percent) <= percent + PERCENT_OVER_MAX
    running.ctl("lab", "kill", "n2")
    until(lambda: "migrating" not in running.group(held.name)["status"], "the migration ends")
    after = _goes_on(guests, held)
    assert (after.nonce, after.boots, after.generation) == (
        held.before.nonce,
        held.before.boots,
        held.before.generation,
    )
    assert running.group(held.name)["owner"] == "n1"
    running.ctl("lab", "start", "n2")
    running.ctl("wait", "--for", "cluster healthy")
    running.ctl("group", "move", held.name, "n3", "--kind", "quick")
    assert guests.goes_on(held.name).nonce == held.before.nonce, "and it can be moved as before"


@pytest.mark.parametrize("percent", [10, 50, 99])
def test_the_source_dies(running: Lab, guests: Guests, held: Held, percent: int) -> None:
    assert percent <= held.hold_at(percent) <= percent + PERCENT_OVER_MAX
    running.ctl("lab", "kill", "n1")
    until(lambda: guests.last(held.name).generation > held.before.generation, "it runs under a new owner")
    after = _goes_on(guests, held)
    assert after.nonce != held.before.nonce, "what arrived is not whole, and never goes on"
    assert after.boots == held.before.boots + 1
    running.ctl("wait", "--for", f"group {held.name} online")
    assert running.group(held.name)["owner"] != "n1"


def _goes_on(guests: Guests, held: Held) -> GuestLine:
    return guests.goes_on(held.name)
