"""Storms in which somebody drains, pauses, moves, maintains and makes rules while everything goes wrong.

Every wish races with the leader's decisions. No promise is broken, and once all is put right, every group comes online and
nobody decides anything more.
"""

import pytest

from clusterd.sim.storm import Storm, Weather

MEDDLED = Weather(duration_ms=40_000, operators=True, between_ms=(50, 1500))


def complaints(seed: int, weather: Weather) -> str:
    storm = Storm(seed, weather)
    broken = storm.run()
    if not broken:
        return ""
    return "\n".join([f"Storm({seed}, {weather}).run() breaks:", *broken, "after:", *storm.did])


@pytest.mark.parametrize("seed", range(100, 112))
def test_storm(seed: int) -> None:
    assert complaints(seed, MEDDLED) == ""


@pytest.mark.parametrize("seed", range(400, 408))
def test_storm_in_which_things_live(seed: int) -> None:
    weather = Weather(duration_ms=40_000, operators=True, between_ms=(50, 1500), mending=5)
    assert complaints(seed, weather) == ""


def test_wishes_come_through() -> None:
    """The operator is heard at all: of each kind of wish some are."""
    storm = Storm(401, Weather(duration_ms=60_000, operators=True, between_ms=(20, 300), mending=6))
    storm.prepare()
    storm.blow()
    said = " ".join(storm.did)
    for word in ("drain", "resume", "maintain", "end maintenance", "move to", "cancel", "rule", "end the run of"):
        assert word in said, word
    decided = {each.name for _, each in storm.cluster.view().events()}
    assert {"drain.begun", "group.release-ordered"} <= decided
