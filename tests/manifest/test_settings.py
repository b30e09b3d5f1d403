"""Are the values of properties read, bounded and in force as the catalogue says?"""

import pytest

from clusterd.model.durations import BadDuration, duration_text, parse_duration, rough_text
from clusterd.model.ids import GroupId, ResourceId
from clusterd.model.records import ClusterRecord, GroupRecord, ResourceRecord
from clusterd.model.settings import (
    PROFILES,
    TypeSettings,
    cluster_settings,
    group_settings,
    resource_settings,
)
from clusterd.model.settings_catalogue import ALL_ONES, NOT_YET, SETTINGS, Kind, Scope, settings_of
from clusterd.model.settings_check import (
    canonical_value,
    check_properties,
    snake_case,
    value_text,
    written_value,
)
from clusterd.model.settings_relations import relation_problems
from clusterd.model.states import RestartAction

# ---- durations ----


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        ("500ms", "ms", 500),
        ("2s", "ms", 2000),
        ("15min", "ms", 900_000),
        ("15m", "ms", 900_000),
        ("6h", "h", 6),
        ("6h", "ms", 21_600_000),
        ("1d", "h", 24),
        ("1.5s", "ms", 1500),
        (" 2 s ", "ms", 2000),
        ("2 Seconds", "ms", 2000),
        (500, "ms", 500),
        ("500", "ms", 500),
        (6, "h", 6),
        (6.0, "h", 6),
        ("120min", "h", 2),
        (0, "ms", 0),
    ],
)
def test_durations(value: str | int | float, unit: str, expected: int) -> None:
    assert parse_duration(value, unit=unit) == expected


@pytest.mark.parametrize(
    ("value", "unit", "says"),
    [
        ("", "ms", "'' is no length of time"),
        ("soon", "ms", "'soon' is no length of time"),
        ("-1s", "ms", "'-1s' is no length of time"),
        ("1 fortnight", "ms", "'fortnight' is no unit of time"),
        ("90min", "h", "90min is not a whole number of h"),
        ("1.5", "ms", "1.5 is not a whole number of ms"),
        ("1s1s", "ms", "'1s1s' is no length of time"),
        ("9" * 40, "ms", f"'{'9' * 40}' is no length of time"),
        (True, "ms", "True is no length of time"),
    ],
)
def test_what_is_no_duration(value: str, unit: str, says: str) -> None:
    with pytest.raises(BadDuration) as caught:
        parse_duration(value, unit=unit)
    assert caught.value.message == says


@pytest.mark.parametrize(
    ("value", "unit", "text"), [(900_000, "ms", "15min"), (500, "ms", "500ms"), (6, "h", "6h"), (0, "ms", "0ms")]
)
def test_durations_are_written_short(value: int, unit: str, text: str) -> None:
    assert duration_text(value, unit=unit) == text
    assert parse_duration(text, unit=unit) == value


def test_rough_durations() -> None:
    assert [rough_text(each) for each in (12, 3200, 240_000, 7_500_000, 7_200_000, 3 * 86_400_000)] == [
        "12 ms", "3.2 s", "4 min", "2 h 5 min", "2 h", "3 d",
    ]  # fmt: skip


# ---- the catalogue ----


def test_every_property_is_whole() -> None:
    for each in SETTINGS:
        assert snake_case(each.reference_name) == each.name
        assert each.says.endswith(".")
        assert each.unit in ("ms", "s", "min", "h") if each.kind is Kind.DURATION else each.unit in ("", "MiB")
        default = list(each.default) if isinstance(each.default, tuple) else each.default
        assert canonical_value(each, default) == default
        assert canonical_value(each, value_text(each, default)) == default
        assert canonical_value(each, written_value(each, default)) == default
        assert each.name not in NOT_YET.get(each.scope, ())
    assert len({(each.scope, each.name) for each in SETTINGS}) == len(SETTINGS)


@pytest.mark.parametrize(
    ("scope", "name", "value", "stored"),
    [
        (Scope.CLUSTER, "same_subnet_delay", "1s", 1000),
        (Scope.CLUSTER, "SameSubnetDelay", 50, 50),
        (Scope.GROUP, "failover_threshold", "nodes-1", ALL_ONES),
        (Scope.GROUP, "failover_threshold", 0, 0),
        (Scope.GROUP, "FailoverPeriod", "2h", 2),
        (Scope.RESOURCE, "restart_action", 2, "restart-then-fail-over"),
        (Scope.RESOURCE, "restart_action", "1", "restart"),
        (Scope.RESOURCE, "RestartAction", "Do-Not-Restart", "do-not-restart"),
        (Scope.RESOURCE, "restart_period", "15min", 900_000),
        (Scope.RESOURCE, "retry_period_on_failure", "never", ALL_ONES),
        (Scope.RESOURCE, "retry_period_on_failure", 0xFFFFFFFF, ALL_ONES),
        (Scope.RESOURCE, "is_alive_poll_interval", 1, ALL_ONES),
        (Scope.RESOURCE, "is_alive_poll_interval", "type", ALL_ONES),
        (Scope.RESOURCE, "separate_monitor", "yes", True),
        (Scope.RESOURCE, "separate_monitor", 0, False),
        (Scope.RESOURCE, "DEADLOCK_TIMEOUT", 1000, 1000),
    ],
)
def test_values_that_are_accepted(scope: Scope, name: str, value: object, stored: object) -> None:
    found = check_properties(scope, {name: value})  # type: ignore[dict-item]  # any JSON
    assert found.problems == []
    assert list(found.values.values()) == [stored]


@pytest.mark.parametrize(
    ("scope", "name", "value", "says"),
    [
        (Scope.CLUSTER, "same_subnet_delay", 49, "same_subnet_delay is between 50ms and 2s, not 49 (heartbeats cost"),
        (
            Scope.CLUSTER,
            "same_subnet_threshold",
            121,
            "same_subnet_threshold is between 3 and 120, not 121 (a lost node",
        ),
        (Scope.CLUSTER, "same_subnet_threshold", "x", "same_subnet_threshold is a whole number, not 'x'"),
        (Scope.CLUSTER, "same_subnet_threshold", 3.5, "same_subnet_threshold is a whole number, not 3.5"),
        (Scope.CLUSTER, "same_subnet_threshold", True, "same_subnet_threshold is a count, not true"),
        (Scope.CLUSTER, "same_subnet_threshold", None, "same_subnet_threshold is a count, not None"),
        (
            Scope.CLUSTER,
            "same_subnet_treshold",
            8,
            "there is no cluster property same_subnet_treshold: did you mean same_",
        ),
        (Scope.GROUP, "persistent_state", 1, "persistent_state cannot be set: what is wanted survives every restart"),
        (
            Scope.GROUP,
            "DefaultOwner",
            1,
            "DefaultOwner cannot be set: it is the last owner, and follows from moves; lea",
        ),
        (
            Scope.GROUP,
            "zzz",
            1,
            "there is no group property zzz: valid are anti_affinity_class_names, auto_failback_type",
        ),
        (
            Scope.GROUP,
            "failover_period",
            1194,
            "failover_period is between 0h and 1193h, not 1194 (old failovers count",
        ),
        (Scope.RESOURCE, "restart_action", 3, "restart_action is one of do-not-restart (0), restart (1), restart-then"),
        (Scope.RESOURCE, "restart_action", "9" * 99, "restart_action is one of"),
        (Scope.RESOURCE, "restart_delay", "-1s", "restart_delay: '-1s' is no length of time; write it like 500ms"),
        (Scope.RESOURCE, "restart_delay", [1], "restart_delay is a duration, not [1]"),
        (Scope.RESOURCE, "is_alive_poll_interval", 0, "is_alive_poll_interval is between 10ms and"),
        (Scope.RESOURCE, "separate_monitor", "maybe", "separate_monitor is true or false, not 'maybe'"),
    ],
)
def test_values_that_are_refused(scope: Scope, name: str, value: object, says: str) -> None:
    found = check_properties(scope, {name: value})  # type: ignore[dict-item]  # any JSON
    assert found.values == {}
    assert found.problems[0].text.startswith(says)


def test_one_property_in_two_spellings_is_given_twice() -> None:
    found = check_properties(Scope.RESOURCE, {"restart_delay": 1, "RestartDelay": 2})
    assert [each.text for each in found.problems] == ["restart_delay is given twice"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("SameSubnetDelay", "same_subnet_delay"),
        ("same_subnet_delay", "same_subnet_delay"),
        ("ScriptFilepath", "script_filepath"),
        ("CsvEnableBlockCache", "csv_enable_block_cache"),
        ("TCPPort", "tcp_port"),
        ("priority", "priority"),
    ],
)
def test_the_references_spelling(name: str, expected: str) -> None:
    assert snake_case(name) == expected


# ---- in force ----


def cluster(**properties: int) -> ClusterRecord:
    return ClusterRecord("", "", properties)


def test_cluster_defaults_and_profiles() -> None:
    times = cluster_settings(cluster())
    assert (times.silence_max_ms, times.run_lease_ms, times.stop_budget_ms) == (2000, 2000, 500)
    assert times.expiry_ms == 2625  # (2000 + 500) · 1.01 + 100
    fast = cluster_settings(ClusterRecord("", "", PROFILES["fast"]))
    assert (fast.silence_max_ms, fast.run_lease_ms, fast.stop_budget_ms, fast.expiry_ms) == (500, 500, 250, 858)
    for profile in PROFILES.values():
        assert relation_problems(Scope.CLUSTER, profile) == []
        assert set(profile) <= set(settings_of(Scope.CLUSTER))


@pytest.mark.parametrize(
    ("properties", "says"),
    [
        (
            {"same_subnet_delay": 1000},
            "run_lease is 2000 ms; with same_subnet_delay 1000 ms it must be at least 2100 ms",
        ),
        ({"run_lease": 599}, "run_lease is 599 ms; with same_subnet_delay 250 ms it must be at least 600 ms"),
        ({"same_subnet_delay": 50, "same_subnet_threshold": 5}, "same_subnet_delay × same_subnet_threshold is 250 ms"),
    ],
)
def test_times_that_do_not_fit_together(properties: dict[str, int], says: str) -> None:
    found = relation_problems(Scope.CLUSTER, properties)
    assert len(found) == 1 and found[0].startswith(says)


@pytest.mark.parametrize(
    "properties",
    [{"same_subnet_delay": 950}, {"run_lease": 600}, {"same_subnet_delay": 50, "same_subnet_threshold": 6}],
)
def test_times_at_the_edge_fit(properties: dict[str, int]) -> None:
    assert relation_problems(Scope.CLUSTER, properties) == []


def test_group_settings() -> None:
    assert group_settings(GroupRecord(GroupId("g")), 3).failover_threshold == 2
    assert group_settings(GroupRecord(GroupId("g")), 0).failover_threshold == 0
    found = group_settings(GroupRecord(GroupId("g"), properties={"failover_threshold": 7, "failover_period": 2}), 3)
    assert (found.failover_threshold, found.failover_period_ms) == (7, 7_200_000)


def resource(**properties: object) -> ResourceRecord:
    return ResourceRecord(ResourceId("r"), GroupId("g"), "t", properties=properties)  # type: ignore[arg-type]  # JSON


def test_resource_settings() -> None:
    found = resource_settings(resource())
    assert found.restart_action is RestartAction.RESTART_THEN_FAIL_OVER
    assert (found.restart_threshold, found.restart_period_ms, found.restart_delay_ms) == (1, 900_000, 500)
    assert found.retry_period_on_failure_ms == 3_600_000
    assert (found.pending_timeout_ms, found.deadlock_timeout_ms) == (180_000, 300_000)
    assert (found.looks_alive_poll_interval_ms, found.is_alive_poll_interval_ms) == (5000, 60_000)
    assert found.separate_monitor is False
    found = resource_settings(
        resource(retry_period_on_failure=ALL_ONES, is_alive_poll_interval=200, separate_monitor=True),
        TypeSettings(looks_alive_poll_interval_ms=70),
    )
    assert found.retry_period_on_failure_ms is None
    assert (found.looks_alive_poll_interval_ms, found.is_alive_poll_interval_ms) == (70, 200)
    assert found.separate_monitor is True


def test_a_newer_versions_value_gives_way_to_the_default() -> None:
    assert resource_settings(resource(restart_threshold={"new": 1}, separate_monitor=3)).restart_threshold == 1


def test_a_retry_before_its_restarts_are_forgotten_is_refused() -> None:
    found = relation_problems(Scope.RESOURCE, {"retry_period_on_failure": 1000})
    assert found[0].startswith("retry_period_on_failure is 1000 ms; it must be at least restart_period (900000 ms)")
    assert relation_problems(Scope.RESOURCE, {"retry_period_on_failure": ALL_ONES}) == []
