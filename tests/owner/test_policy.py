"""What follows a failure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterd.model.ids import GroupId, NodeId, ResourceId
from clusterd.model.records import ResourceRecord, RestartStamp
from clusterd.model.settings import HOUR_MS, resource_settings
from clusterd.model.settings_catalogue import ALL_ONES
from clusterd.owner.policy import (
    EXPIRED_KEPT_MAX,
    RESTARTS_KEPT_MAX,
    WINDOW_LEAST_MS,
    after_failure,
    counter_text,
    retry_only,
    window_text,
    with_restart,
)

NOW = 1_000_000
N1 = NodeId("n1")


def settings(**properties: int | str):  # type: ignore[no-untyped-def]  # the settings' own type, from its builder
    return resource_settings(ResourceRecord(ResourceId("a"), GroupId("g"), "t", properties=properties))


def stamps(*ages_ms: int, node: str = "n1") -> tuple[RestartStamp, ...]:
    return tuple(RestartStamp(NOW - age, NodeId(node)) for age in ages_ms)


PERIOD = 900_000


@pytest.mark.parametrize(
    ("threshold", "used", "told", "counted"),
    [
        (0, (5,), "no restart is allowed (restart_threshold 0)", "none is allowed"),
        (1, (5,), "1 of 1 restarts on n1 are used up", "1 of 1 in the last 15 min, oldest expires in 15:00"),
        (1, (4, 5), "1 of 1 restarts on n1 are used up", "2 of 1 in the last 15 min, oldest expires in 15:00"),
    ],
    ids=["none is allowed", "all are used up", "fewer are allowed than were used"],
)
def test_the_words_of_a_limit(threshold: int, used: tuple[int, ...], told: str, counted: str) -> None:
    limits = settings(restart_threshold=threshold)
    assert after_failure(limits, stamps(*used), N1, NOW).text == told
    assert counter_text(stamps(*used), N1, limits, NOW) == counted


@pytest.mark.parametrize(
    ("name", "properties", "restarts", "action", "asks_away"),
    [
        ("first failure is restarted", {}, (), "restart", False),
        ("the limit is used up", {}, stamps(5), "retry", True),
        ("a restart at the edge of the window still counts", {}, stamps(PERIOD - 1), "retry", True),
        ("one just outside does not", {}, stamps(PERIOD), "restart", False),
        ("restarts elsewhere do not count", {}, stamps(5, 6, 7, node="n2"), "restart", False),
        ("no restarts allowed", {"restart_threshold": 0}, (), "retry", True),
        ("three allowed", {"restart_threshold": 3}, stamps(1, 2), "restart", False),
        ("three used", {"restart_threshold": 3}, stamps(1, 2, 3), "retry", True),
        ("never restarted", {"restart_action": "do-not-restart"}, (), "", False),
        ("stays here", {"restart_action": "restart"}, stamps(5), "retry", False),
        (
            "stays here for good",
            {"restart_action": "restart", "retry_period_on_failure": ALL_ONES},
            stamps(5),
            "",
            False,
        ),
        ("never tried again", {"retry_period_on_failure": ALL_ONES}, stamps(5), "", True),
    ],
)
def test_after_failure(name, properties, restarts, action, asks_away) -> None:  # type: ignore[no-untyped-def]
    verdict = after_failure(settings(**properties), restarts, N1, NOW)
    assert (verdict.action, verdict.asks_for_other_node) == (action, asks_away), name
    if action == "restart":
        assert verdict.at_cluster_ms == NOW + 500
    if action == "retry":
        assert verdict.at_cluster_ms == NOW + HOUR_MS


def test_what_cannot_run_here_waits_even_without_a_retry_period() -> None:
    assert retry_only(settings(retry_period_on_failure=ALL_ONES), NOW).at_cluster_ms == NOW + HOUR_MS


def test_history_is_bounded() -> None:
    kept: tuple[RestartStamp, ...] = ()
    for number in range(RESTARTS_KEPT_MAX + 10):
        kept = with_restart(kept, N1, number, PERIOD)
    assert len(kept) == RESTARTS_KEPT_MAX
    assert kept[-1].cluster_ms == RESTARTS_KEPT_MAX + 9


def test_history_forgets_what_counts_no_more_but_for_the_last() -> None:
    kept: tuple[RestartStamp, ...] = ()
    for number in range(100):
        kept = with_restart(kept, N1, number * PERIOD, PERIOD)
    assert len(kept) == EXPIRED_KEPT_MAX + 1


def test_a_limit_beyond_what_is_remembered_still_ends() -> None:
    full = stamps(*range(RESTARTS_KEPT_MAX))
    assert after_failure(settings(restart_threshold=ALL_ONES), full, N1, NOW).action == "retry"


@pytest.mark.parametrize(
    ("name", "properties", "restarts", "text"),
    [
        ("none", {}, (), "0 of 1 in the last 15 min"),
        (
            "two of three",
            {"restart_threshold": 3},
            stamps(650_000, 1000),
            "2 of 3 in the last 15 min, oldest expires in 4:10",
        ),
        ("those elsewhere do not count", {}, stamps(5, node="n2"), "0 of 1 in the last 15 min"),
        ("expired ones do not", {}, stamps(PERIOD), "0 of 1 in the last 15 min"),
        ("the last moment", {}, stamps(PERIOD - 1), "1 of 1 in the last 15 min, oldest expires in 0:01"),
        ("hours", {"restart_period": 6 * HOUR_MS}, stamps(0), "1 of 1 in the last 6 h, oldest expires in 6:00:00"),
        ("odd windows", {"restart_period": 1500}, stamps(0), "1 of 1 in the last 1500 ms, oldest expires in 0:02"),
    ],
)
def test_counter_text(name, properties, restarts, text) -> None:  # type: ignore[no-untyped-def]
    assert counter_text(restarts, N1, settings(**properties), NOW) == text, name


def test_failovers_are_counted_in_the_same_words() -> None:
    stamps_ms = [NOW - HOUR_MS, NOW - 7 * HOUR_MS]
    text = window_text(stamps_ms, limit=2, period_ms=6 * HOUR_MS, cluster_ms=NOW)
    assert text == "1 of 2 in the last 6 h, oldest expires in 5:00:00"


@given(
    st.integers(0, 5),
    st.sampled_from((0, 1000, 60_000, PERIOD)),
    st.sampled_from((0, 500, 5000)),
    st.lists(st.integers(0, 120_000), max_size=200),
)
def test_restarts_in_any_window_are_bounded_for_any_pattern_of_failures(
    threshold: int, period_ms: int, delay_ms: int, gaps_ms: list[int]
) -> None:
    """A resource that fails after any time at all; what escalates is brought back at once, as by a person."""
    policy = settings(
        restart_threshold=threshold, restart_period=period_ms, restart_delay=delay_ms, retry_period_on_failure=ALL_ONES
    )
    kept: tuple[RestartStamp, ...] = ()
    made: list[int] = []
    now = NOW
    for gap_ms in gaps_ms:
        now += gap_ms
        verdict = after_failure(policy, kept, N1, now)
        if verdict.action == "restart":
            now = verdict.at_cluster_ms
            kept = with_restart(kept, N1, now, period_ms)
            made.append(now)
    window_ms = max(period_ms, WINDOW_LEAST_MS)
    for at in made:
        assert sum(at <= each < at + window_ms for each in made) <= threshold
