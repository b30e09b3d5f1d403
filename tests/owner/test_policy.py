"""What follows a failure."""

import pytest

from clusterd.model.ids import GroupId, NodeId, ResourceId
from clusterd.model.records import ResourceRecord, RestartStamp
from clusterd.model.settings import HOUR_MS, resource_settings
from clusterd.model.settings_catalogue import ALL_ONES
from clusterd.owner.policy import RESTARTS_KEPT_MAX, after_failure, retry_only, with_restart

NOW = 1_000_000
N1 = NodeId("n1")


def settings(**properties: int | str):  # type: ignore[no-untyped-def]  # the settings' own type, from its builder
    return resource_settings(ResourceRecord(ResourceId("a"), GroupId("g"), "t", properties=properties))


def stamps(*ages_ms: int, node: str = "n1") -> tuple[RestartStamp, ...]:
    return tuple(RestartStamp(NOW - age, NodeId(node)) for age in ages_ms)


PERIOD = 900_000


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
        kept = with_restart(kept, N1, number)
    assert len(kept) == RESTARTS_KEPT_MAX
    assert kept[-1].cluster_ms == RESTARTS_KEPT_MAX + 9
