"""How long was a group online, of the time that it should have been: clocks, cold starts, what counts for nothing."""

from clusterd.model.availability import (
    AvailabilityRecord,
    AvailabilityState,
    ColdStart,
    Figures,
    Moment,
    entered,
    figures,
    first_online,
    over_cold_start,
)
from clusterd.model.ids import GroupId

ONLINE, OUTAGE, NOT_WANTED = AvailabilityState.ONLINE, AvailabilityState.OUTAGE, AvailabilityState.NOT_WANTED
WALL_MS = 1_767_225_600_000
FIRST = ColdStart(1, Moment(0, WALL_MS))


def played(*stretches: tuple[AvailabilityState, int], wall_jump_ms: int = 0) -> tuple[AvailabilityRecord, int]:
    """A group that was first online at 1 s, then this; each with when it began."""
    record = first_online(GroupId("g"), "id", Moment(1000, WALL_MS + 1000), FIRST)
    for state, at_ms in stretches:
        record = entered(record, state, Moment(at_ms, WALL_MS + at_ms + wall_jump_ms))
    return record, record.since_cluster_ms


def test_it_is_measured_from_the_moment_when_it_was_first_online() -> None:
    record, _ = played()
    assert figures(record, 1000) == Figures(0, 0, 0, 0, 0)
    assert figures(record, 61_000) == Figures(60_000, 60_000, 0, 0, 0)
    assert record.began_wall_ms == WALL_MS + 1000


def test_outages_are_counted_and_the_longest_is_told_also_while_it_lasts() -> None:
    record, _ = played((OUTAGE, 11_000), (ONLINE, 13_000), (OUTAGE, 20_000))
    assert figures(record, 21_000) == Figures(17_000, 20_000, 2, 2000, WALL_MS + 11_000)
    assert figures(record, 29_000) == Figures(17_000, 28_000, 2, 9000, WALL_MS + 20_000)


def test_what_nobody_wanted_counts_for_nothing() -> None:
    record, _ = played((NOT_WANTED, 11_000), (OUTAGE, 500_000), (ONLINE, 501_000))
    assert figures(record, 510_000) == Figures(19_000, 20_000, 1, 1000, WALL_MS + 500_000)


def test_wall_clocks_do_not_make_it_longer_or_shorter() -> None:
    told = {figures(played((OUTAGE, 11_000), (ONLINE, 13_000), wall_jump_ms=each)[0], 20_000)[:4] for each in (0, 9**9)}
    told.add(figures(played((OUTAGE, 11_000), (ONLINE, 13_000), wall_jump_ms=-(9**9))[0], 20_000)[:4])
    assert len(told) == 1


def test_a_stretch_never_begins_before_the_one_before_it() -> None:
    record, _ = played((OUTAGE, 11_000), (ONLINE, 13_000), (OUTAGE, 12_000))
    assert figures(record, 14_000) == Figures(10_000, 13_000, 2, 2000, WALL_MS + 11_000)


def test_a_cold_start_ends_what_was_online_and_the_time_without_any_node_counts() -> None:
    # Ten minutes without any node: the cluster's clock goes on at 50 s, the wall clock is ahead of it.
    start = ColdStart(2, Moment(50_000, WALL_MS + 50_000 + 600_000))
    record = over_cold_start(played()[0], start)
    assert over_cold_start(record, start) == record, "it is counted once"
    assert record.state is OUTAGE and record.since_wall_ms == WALL_MS + 50_000
    record = entered(record, ONLINE, Moment(52_000, WALL_MS + 652_000))
    assert figures(record, 60_000) == Figures(49_000 + 8000, 59_000 + 600_000, 1, 602_000, WALL_MS + 50_000)


def test_a_cold_start_within_an_outage_makes_it_longer_and_within_rest_changes_nothing() -> None:
    start = ColdStart(2, Moment(50_000, WALL_MS + 50_000 + 600_000))
    out = over_cold_start(played((OUTAGE, 41_000))[0], start)
    assert figures(out, 51_000) == Figures(40_000, 650_000, 1, 610_000, WALL_MS + 41_000)
    rest = over_cold_start(played((NOT_WANTED, 41_000))[0], start)
    assert figures(rest, 51_000) == Figures(40_000, 40_000, 0, 0, 0)


def test_a_wall_clock_that_was_put_back_meanwhile_takes_nothing_away() -> None:
    record = over_cold_start(played()[0], ColdStart(2, Moment(50_000, WALL_MS - 10**9)))
    assert record.stood_still_ms == 0 and figures(record, 51_000)[:4] == (49_000, 50_000, 1, 1000)
