"""Which values contradict each other, and which are only without effect?"""

import pytest

from clusterd.model.ids import NodeId
from clusterd.model.records import NodeRecord
from clusterd.model.relations import RELATIONS, rule_in
from clusterd.model.settings import TypeSettings
from clusterd.model.settings_catalogue import ALL_ONES, Scope
from clusterd.model.settings_relations import (
    cluster_notes,
    group_notes,
    node_notes,
    relation_problems,
    resource_notes,
    type_notes,
)


@pytest.mark.parametrize(
    ("scope", "values", "says"),
    [
        (
            Scope.CLUSTER,
            {"run_lease": 599},
            "run_lease is 599 ms; with same_subnet_delay 250 ms it must be at least 600 ms, or one lost heartbeat",
        ),
        (
            Scope.CLUSTER,
            {"same_subnet_delay": 50, "same_subnet_threshold": 5},
            "same_subnet_delay × same_subnet_threshold is 250 ms; the silence limit must be at least 300 ms",
        ),
        (
            Scope.NODE,
            {"memory_capacity": 1000, "memory_reserve": 1001},
            "memory_reserve is 1001 MiB and memory_capacity 1000 MiB: no more can be reserved than there is",
        ),
        (Scope.GROUP, {"failback_window_start": 22}, "failback_window_end is not set: a failback window has both ends"),
        (Scope.GROUP, {"failback_window_end": 0}, "failback_window_start is not set: a failback window has both ends"),
        (
            Scope.GROUP,
            {"failback_window_start": 22, "failback_window_end": ALL_ONES},
            "failback_window_end is not set: a failback window has both ends or none; set it too, or take the other",
        ),
        (
            Scope.RESOURCE,
            {"retry_period_on_failure": 899_999},
            "retry_period_on_failure is 899999 ms; it must be at least restart_period (900000 ms), or a failed resource",
        ),
        (
            Scope.RESOURCE,
            {"restart_period": 3_600_001},
            "retry_period_on_failure is 3600000 ms; it must be at least restart_period (3600001 ms)",
        ),
    ],
)
def test_contradictions(scope: Scope, values: dict[str, int], says: str) -> None:
    found = relation_problems(scope, values)
    assert len(found) == 1 and found[0].startswith(says)
    assert rule_in(found[0]) in RELATIONS


@pytest.mark.parametrize(
    ("scope", "values"),
    [
        (Scope.CLUSTER, {"run_lease": 600}),
        (Scope.CLUSTER, {"same_subnet_delay": 50, "same_subnet_threshold": 6}),
        (Scope.NODE, {"memory_reserve": 99_999}),
        (Scope.NODE, {"memory_capacity": 1000, "memory_reserve": 1000}),
        (Scope.GROUP, {"failback_window_start": 22, "failback_window_end": 6}),
        (Scope.GROUP, {"failback_window_start": ALL_ONES, "failback_window_end": ALL_ONES}),
        (Scope.RESOURCE, {"retry_period_on_failure": 900_000}),
        (Scope.RESOURCE, {"retry_period_on_failure": ALL_ONES, "restart_period": ALL_ONES}),
        (Scope.RESOURCE, {"deadlock_timeout": 1000, "pending_timeout": 600_000}),
        (Scope.RESOURCE_TYPE, {"looks_alive_poll_interval": 60_000, "is_alive_poll_interval": 10}),
        *((scope, {}) for scope in Scope),
    ],
)
def test_what_fits(scope: Scope, values: dict[str, int]) -> None:
    assert relation_problems(scope, values) == []


WINDOW = {"failback_window_start": 22, "failback_window_end": 6}


@pytest.mark.parametrize(
    ("values", "owners", "says"),
    [
        ({}, [], []),
        ({"auto_failback_type": "allow"}, ["n1"], []),
        ({"auto_failback_type": "allow", **WINDOW}, ["n1"], []),
        ({"auto_failback_type": "allow"}, [], ["without preferred owners there is no node to go back to"]),
        (WINDOW, ["n1"], ["has no effect while auto_failback_type is prevent"]),
        (
            {"auto_failback_type": "allow", "failback_window_start": 3, "failback_window_end": 3},
            ["n1"],
            ["is a whole day"],
        ),
        ({"auto_failback_type": "allow", "locked_from_moving": True}, ["n1"], ["keeps the group from failing back"]),
        ({"priority": 0}, [], []),
        ({"priority": 0, "cold_start_setting": "always-start"}, [], ["is started by hand only"]),
        ({"priority": 1, "cold_start_setting": "always-start"}, [], []),
    ],
)
def test_notes_on_a_group(values: dict[str, object], owners: list[str], says: list[str]) -> None:
    found = group_notes(values, owners)  # type: ignore[arg-type]  # JSON
    assert len(found) == len(says)
    assert all(part in text for part, text in zip(says, found, strict=True))


@pytest.mark.parametrize(
    ("values", "of_type", "says"),
    [
        ({}, TypeSettings(), []),
        ({}, TypeSettings(looks_alive_poll_interval_ms=90_000), []),  # the type's affair
        ({"looks_alive_poll_interval": 90_000}, TypeSettings(), ["the quick check finds nothing"]),
        ({"is_alive_poll_interval": 1000}, TypeSettings(), ["the quick check finds nothing"]),
        ({"is_alive_poll_interval": 5000}, TypeSettings(), []),
        ({"deadlock_timeout": 1000}, TypeSettings(), ["a start that does not return costs its resource host"]),
        ({"pending_timeout": 400_000}, TypeSettings(), ["a start that does not return costs its resource host"]),
        ({"pending_timeout": 400_000}, TypeSettings(deadlock_timeout_ms=500_000), []),
        (
            {"restart_threshold": 10, "restart_delay": 100_000},
            TypeSettings(),
            ["restart_threshold is never reached: 10 restarts"],
        ),
        ({"restart_threshold": 10, "restart_delay": 99_999}, TypeSettings(), []),
        ({"restart_threshold": ALL_ONES}, TypeSettings(), []),
        ({"restart_threshold": 10, "restart_delay": 100_000, "restart_action": "do-not-restart"}, TypeSettings(), []),
    ],
)
def test_notes_on_a_resource(values: dict[str, object], of_type: TypeSettings, says: list[str]) -> None:
    found = resource_notes(values, of_type)  # type: ignore[arg-type]  # JSON
    assert len(found) == len(says)
    assert all(part in text for part, text in zip(says, found, strict=True))


def test_notes_on_types_nodes_and_the_cluster() -> None:
    assert type_notes({"pending_timeout": 300_000}, TypeSettings()) == []
    assert "costs its resource host" in type_notes({"pending_timeout": 300_001}, TypeSettings())[0]
    node = NodeRecord(NodeId("n1"), 1, "")
    avoided = NodeRecord(NodeId("n1"), 1, "", properties={"avoid_placement": True})
    assert node_notes(node, avoided) == ["groups that are on the node stay there; to empty it: clusterctl node drain"]
    assert node_notes(avoided, avoided) == node_notes(avoided, node) == []
    assert cluster_notes({"minimum_preemptor_priority": 4000}) == []
    assert "no group is ever taken offline" in cluster_notes({"minimum_never_preempt_priority": 0})[0]
    assert "no group is ever taken offline" in cluster_notes({"minimum_preemptor_priority": 4999})[0]
