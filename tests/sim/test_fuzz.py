"""Storms of random faults: every promise is kept, and the cluster recovers. A failing seed is replayed by its number."""

import pytest

from clusterd.sim.storm import Storm, Weather

QUICK = Weather(duration_ms=30_000)

# Seeds that failed once, with what they found. They stay although the same seed draws other faults after a change.
KEPT = {
    "a_past_deadline_spun_the_loop": (9, QUICK),
    "a_past_deadline_spun_the_reads": (20, QUICK),
    "a_past_deadline_spun_the_leader": (30, QUICK),
    "a_host_was_asked_of_a_frozen_guard": (741, Weather(duration_ms=60_000)),
    "a_proposal_that_never_left_was_applied_in_place_of_its_successor": (811, Weather(duration_ms=60_000)),
    "stopped_in_failure_while_unwanted_and_wanted_again": (207, Weather(duration_ms=45_000)),
}


def complaints(seed: int, weather: Weather) -> str:
    storm = Storm(seed, weather)
    broken = storm.run()
    if not broken:
        return ""
    return "\n".join([f"Storm({seed}, {weather}).run() breaks:", *broken, "after:", *storm.did])


@pytest.mark.parametrize("seed", range(1000, 1022))
def test_storm(seed: int) -> None:
    assert complaints(seed, QUICK) == ""


@pytest.mark.parametrize("seed", range(500, 506))
def test_storm_in_which_things_live(seed: int) -> None:
    assert complaints(seed, Weather(duration_ms=60_000, mending=4)) == ""


@pytest.mark.parametrize("seed", range(4000, 4012))
def test_storm_in_which_everything_migrates_live(seed: int) -> None:
    assert complaints(seed, Weather(duration_ms=30_000, mending=4, live=True)) == ""


@pytest.mark.parametrize("seed", range(5000, 5004))
def test_storm_of_migrations_and_wishes(seed: int) -> None:
    assert complaints(seed, Weather(duration_ms=30_000, mending=4, live=True, operators=True)) == ""


@pytest.mark.parametrize("seed", range(6000, 6008))
def test_storm_of_frozen_machines_over_shared_disks(seed: int) -> None:
    assert complaints(seed, Weather(duration_ms=30_000, mending=3, on_disks=True)) == ""


@pytest.mark.parametrize("seed", range(6100, 6103))
def test_storm_over_shared_disks_with_wishes(seed: int) -> None:
    assert complaints(seed, Weather(duration_ms=30_000, mending=4, on_disks=True, operators=True)) == ""


@pytest.mark.parametrize("seed", range(7000, 7008))
def test_storm_in_which_disks_fill_up(seed: int) -> None:
    assert complaints(seed, Weather(duration_ms=30_000, mending=3, has_full_disks=True)) == ""


@pytest.mark.parametrize("name", sorted(KEPT))
def test_kept(name: str) -> None:
    seed, weather = KEPT[name]
    assert complaints(seed, weather) == ""


def test_a_storm_repeats_exactly() -> None:
    runs = []
    for _ in range(2):
        storm = Storm(77, Weather(duration_ms=15_000))
        storm.run()
        runs.append((storm.did, [(each.at_us, each.node, each.note) for each in storm.cluster.trace]))
    assert runs[0] == runs[1]


def test_nobody_spins() -> None:
    """A node that can do nothing (no quorum, no leader, work waiting) wakes a few times a second, not thousands."""
    storm = Storm(5, QUICK)
    storm.prepare()
    cluster = storm.cluster
    for name in cluster.names[1:]:
        cluster.kill(name)
    machine = cluster.machines[cluster.names[0]]
    cluster.mark_soon(machine.name)
    cluster.run_for(5000)
    steps = 0
    feed = machine.feed

    def counted(event: object) -> None:
        nonlocal steps
        steps += 1
        feed(event)  # type: ignore[arg-type]  # passes on whatever it was given

    machine.feed = counted  # type: ignore[method-assign]
    cluster.run_for(10_000)
    assert steps < 10 * 30
