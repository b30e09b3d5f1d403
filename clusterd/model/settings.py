"""Which values of the common properties are in force? Pure.

Deciding code asks here and gets plain numbers in milliseconds, with defaults filled in and special values resolved.
`settings_catalogue` says what each property means; `settings_check` is the only way in for an operator's values.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from clusterd.model.records import (
    ClusterRecord,
    GroupRecord,
    GroupSetRecord,
    Json,
    NodeFactsRecord,
    NodeRecord,
    Properties,
    ResourceRecord,
    TypeSettingsRecord,
)
from clusterd.model.settings_catalogue import ALL_ONES, Scope, settings_of
from clusterd.model.states import EmbeddedFailureAction, RestartAction

CLOCK_RATE_ERROR = 0.01
MARGIN_MS = 100
SECOND_MS = 1000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
_BALANCER_PERCENT = {"low": 80, "medium": 70, "high": 60}

PROFILES: Mapping[str, Properties] = {
    "default": {"same_subnet_delay": 250, "same_subnet_threshold": 8, "run_lease": 2000, "stop_budget": 500},
    "fast": {"same_subnet_delay": 100, "same_subnet_threshold": 5, "run_lease": 500, "stop_budget": 250},
}


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """Times of the failure detector and of the run leases, and the policies that hold for every group."""

    same_subnet_delay_ms: int
    same_subnet_threshold: int
    run_lease_ms: int
    stop_budget_ms: int
    auto_balancer_mode: str = "always"
    auto_balancer_percent: int = 80
    """A node is too loaded above this share of its memory or processors."""
    has_hard_anti_affinity: bool = False
    group_wait_delay_ms: int = 120_000
    drain_on_shutdown: bool = True
    stream_loss_limit_ms: int = 60_000
    core_overcommit: int = 4
    shutdown_timeout_ms: int = 20 * MINUTE_MS
    group_dependency_timeout_ms: int = 600_000
    ignore_persistent_state_on_startup: bool = False
    minimum_preemptor_priority: int = 1
    minimum_never_preempt_priority: int = 3000
    preferred_site: str = ""
    quarantine_threshold: int = 3
    quarantine_duration_ms: int = 7_200_000
    maximum_parallel_starts: int = 32
    placement_policy: str = "spread"
    maximum_parallel_migrations: int = 1
    move_type_threshold: int = 2000

    @property
    def silence_max_ms(self) -> int:
        """A node silent for longer than this on every network is suspected."""
        return self.same_subnet_delay_ms * self.same_subnet_threshold

    @property
    def stream_silence_max_ms(self) -> int:
        """A stream that brought nothing for longer than this carries nothing. Heartbeats travel beside it: the limit is
        longer than theirs, so that an idle stream need not be used all the time."""
        return 3 * self.silence_max_ms

    @property
    def expiry_ms(self) -> int:
        """Time after the last acknowledgement at which an expelled node provably runs nothing: (L + K)(1 + ε) + margin."""
        return math.ceil((self.run_lease_ms + self.stop_budget_ms) * (1 + CLOCK_RATE_ERROR)) + MARGIN_MS


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """How often a group may fail over, where it would rather be, and when it may start and go back."""

    failover_threshold: int
    failover_period_ms: int
    priority: int = 2000
    may_fail_back: bool = False
    failback_window: tuple[int, int] | None = None
    """From one hour until the other, local time; None: at any time. It passes midnight when the first is later, and is a
    whole day when they are the same."""
    anti_affinity_class_names: tuple[str, ...] = ()
    cold_start_setting: str = "always-start"
    group_start_delay_ms: int = 0
    preferred_site: str = ""
    is_locked: bool = False
    balancing: str = "live"
    storage_is_sole_effect: bool = False


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """Where a node stands and how much it can carry; None: not limited."""

    fault_domain: tuple[tuple[str, str], ...] = ()
    """From the outside in, as in (("site", "east"), ("rack", "r1"))."""
    avoid_placement: bool = False
    memory_mib: int | None = None
    cores: int | None = None

    @property
    def site(self) -> str:
        return dict(self.fault_domain).get("site", "")


@dataclass(frozen=True, slots=True)
class GroupSetSettings:
    """When a set is ready."""

    startup_setting: str
    startup_count: int | None  # None: all
    startup_delay_ms: int
    is_global: bool


@dataclass(frozen=True, slots=True)
class TypeSettings:
    """What holds for a resource where it says nothing itself."""

    looks_alive_poll_interval_ms: int = 5000
    is_alive_poll_interval_ms: int = 60_000
    pending_timeout_ms: int = 180_000
    deadlock_timeout_ms: int = 300_000


@dataclass(frozen=True, slots=True)
class ResourceSettings:
    """How a resource is watched, restarted and retried."""

    restart_action: RestartAction
    restart_threshold: int
    restart_period_ms: int
    restart_delay_ms: int
    retry_period_on_failure_ms: int | None  # None: never
    pending_timeout_ms: int
    deadlock_timeout_ms: int
    looks_alive_poll_interval_ms: int
    is_alive_poll_interval_ms: int
    separate_monitor: bool
    embedded_failure_action: EmbeddedFailureAction = EmbeddedFailureAction.RECOVER
    health_unknown_timeout_ms: int | None = 300_000  # None: never
    memory_demand_mib: int = 0
    core_demand: int = 0


def cluster_settings(record: ClusterRecord) -> ClusterSettings:
    values = _in_force(Scope.CLUSTER, record.properties)
    return ClusterSettings(
        same_subnet_delay_ms=_number(values, "same_subnet_delay"),
        same_subnet_threshold=_number(values, "same_subnet_threshold"),
        run_lease_ms=_number(values, "run_lease"),
        stop_budget_ms=_number(values, "stop_budget"),
        auto_balancer_mode=str(values["auto_balancer_mode"]),
        auto_balancer_percent=_BALANCER_PERCENT[str(values["auto_balancer_level"])],
        has_hard_anti_affinity=bool(values["cluster_enforced_anti_affinity"]),
        group_wait_delay_ms=_number(values, "cluster_group_wait_delay") * SECOND_MS,
        drain_on_shutdown=bool(values["drain_on_shutdown"]),
        shutdown_timeout_ms=_number(values, "shutdown_timeout_in_minutes") * MINUTE_MS,
        group_dependency_timeout_ms=_number(values, "group_dependency_timeout") * SECOND_MS,
        ignore_persistent_state_on_startup=bool(values["ignore_persistent_state_on_startup"]),
        minimum_preemptor_priority=_number(values, "minimum_preemptor_priority"),
        minimum_never_preempt_priority=_number(values, "minimum_never_preempt_priority"),
        preferred_site=str(values["preferred_site"]),
        quarantine_threshold=_number(values, "quarantine_threshold"),
        quarantine_duration_ms=_number(values, "quarantine_duration") * SECOND_MS,
        maximum_parallel_starts=_number(values, "maximum_parallel_starts"),
        placement_policy=str(values["placement_policy"]),
        maximum_parallel_migrations=_number(values, "maximum_parallel_migrations"),
        move_type_threshold=_number(values, "move_type_threshold"),
        stream_loss_limit_ms=_number(values, "stream_loss_limit") * SECOND_MS,
        core_overcommit=_number(values, "core_overcommit"),
    )


def group_settings(record: GroupRecord, node_count: int) -> GroupSettings:
    return _group_settings(record.properties, node_count) if record.properties else _plain_group(node_count)


@cache
def _plain_group(node_count: int) -> GroupSettings:
    """Most groups have no properties of their own."""
    return _group_settings({}, node_count)


def _group_settings(properties: Properties, node_count: int) -> GroupSettings:
    values = _in_force(Scope.GROUP, properties)
    threshold = _number(values, "failover_threshold")
    return GroupSettings(
        failover_threshold=max(node_count - 1, 0) if threshold == ALL_ONES else threshold,
        failover_period_ms=_number(values, "failover_period") * HOUR_MS,
        priority=_number(values, "priority"),
        may_fail_back=values["auto_failback_type"] == "allow",
        failback_window=_window(values),
        anti_affinity_class_names=_names(values["anti_affinity_class_names"]),
        cold_start_setting=str(values["cold_start_setting"]),
        group_start_delay_ms=_number(values, "group_start_delay"),
        preferred_site=str(values["preferred_site"]),
        is_locked=bool(values["locked_from_moving"]),
        balancing=str(values["balancing"]),
        storage_is_sole_effect=bool(values["storage_is_sole_effect"]),
    )


def node_settings(
    record: NodeRecord, facts: NodeFactsRecord | None = None, *, core_overcommit: int = 1
) -> NodeSettings:
    """What is known of a node's place and size; a machine that has not said what it has is not limited. Cores that it has
    count `core_overcommit` times; a capacity that an operator gave is what was given."""
    values = _in_force(Scope.NODE, record.properties)
    memory = _number(values, "memory_capacity")
    cores = _number(values, "core_capacity")
    memory_mib = (facts.memory_mib or None) if facts and memory == ALL_ONES else memory
    core_count = (facts.cores * core_overcommit or None) if facts and cores == ALL_ONES else cores
    return NodeSettings(
        fault_domain=parse_fault_domain(str(values["fault_domain"])),
        avoid_placement=bool(values["avoid_placement"]),
        memory_mib=None if memory_mib in (None, ALL_ONES) else max(0, memory_mib - _number(values, "memory_reserve")),
        cores=None if core_count == ALL_ONES else core_count,
    )


def group_set_settings(record: GroupSetRecord) -> GroupSetSettings:
    values = _in_force(Scope.GROUP_SET, record.properties)
    count = _number(values, "startup_count")
    return GroupSetSettings(
        startup_setting=str(values["startup_setting"]),
        startup_count=None if count == ALL_ONES else count,
        startup_delay_ms=_number(values, "startup_delay") * SECOND_MS,
        is_global=bool(values["is_global"]),
    )


def type_settings(record: TypeSettingsRecord, own: TypeSettings = TypeSettings()) -> TypeSettings:
    """What operators set for a type over what the type says itself."""
    values = _in_force(Scope.RESOURCE_TYPE, record.properties)
    looks_alive = _number(values, "looks_alive_poll_interval")
    is_alive = _number(values, "is_alive_poll_interval")
    return TypeSettings(
        looks_alive_poll_interval_ms=own.looks_alive_poll_interval_ms if looks_alive == ALL_ONES else looks_alive,
        is_alive_poll_interval_ms=own.is_alive_poll_interval_ms if is_alive == ALL_ONES else is_alive,
        pending_timeout_ms=_number(values, "pending_timeout"),
        deadlock_timeout_ms=_number(values, "deadlock_timeout"),
    )


def parse_fault_domain(text: str) -> tuple[tuple[str, str], ...]:
    """'site:east/rack:r1' as pairs; parts without a kind are left out (`fault_domain_problem` refuses them on entry)."""
    parts = (part.partition(":") for part in text.split("/") if part)
    return tuple((kind.strip().lower(), name.strip()) for kind, colon, name in parts if colon and name.strip())


def resource_settings(record: ResourceRecord, of_type: TypeSettings = TypeSettings()) -> ResourceSettings:
    values = _in_force(Scope.RESOURCE, record.properties)
    retry, unknown = _number(values, "retry_period_on_failure"), _number(values, "health_unknown_timeout")
    pending, deadlock = _number(values, "pending_timeout"), _number(values, "deadlock_timeout")
    looks_alive = _number(values, "looks_alive_poll_interval")
    is_alive = _number(values, "is_alive_poll_interval")
    return ResourceSettings(
        restart_action=RestartAction(str(values["restart_action"])),
        restart_threshold=_number(values, "restart_threshold"),
        restart_period_ms=_number(values, "restart_period"),
        restart_delay_ms=_number(values, "restart_delay"),
        retry_period_on_failure_ms=None if retry == ALL_ONES else retry,
        pending_timeout_ms=of_type.pending_timeout_ms if pending == ALL_ONES else pending,
        deadlock_timeout_ms=of_type.deadlock_timeout_ms if deadlock == ALL_ONES else deadlock,
        looks_alive_poll_interval_ms=of_type.looks_alive_poll_interval_ms if looks_alive == ALL_ONES else looks_alive,
        is_alive_poll_interval_ms=of_type.is_alive_poll_interval_ms if is_alive == ALL_ONES else is_alive,
        separate_monitor=bool(values["separate_monitor"]),
        embedded_failure_action=EmbeddedFailureAction(str(values["embedded_failure_action"])),
        health_unknown_timeout_ms=None if unknown == ALL_ONES else unknown,
        memory_demand_mib=_number(values, "memory_demand"),
        core_demand=_number(values, "core_demand"),
    )


def _in_force(scope: Scope, given: Properties) -> dict[str, Json]:
    """Given values over defaults. A stored value of another kind (a newer version's) gives way to the default."""
    values = dict(_defaults(scope))
    for name, value in given.items():
        if name in values and type(value) is type(values[name]):
            values[name] = value
    return values


@cache
def _defaults(scope: Scope) -> dict[str, Json]:
    """Worked out once: this is asked thousands of times in a pass. Lists in it are never changed."""
    found = settings_of(scope).items()
    return {name: list(each.default) if isinstance(each.default, tuple) else each.default for name, each in found}


def _number(values: Mapping[str, Json], name: str) -> int:
    value = values[name]
    return value if isinstance(value, int) else 0


def _names(value: Json) -> tuple[str, ...]:
    return tuple(str(each) for each in value) if isinstance(value, list) else ()


def _window(values: Mapping[str, Json]) -> tuple[int, int] | None:
    start, end = _number(values, "failback_window_start"), _number(values, "failback_window_end")
    return None if ALL_ONES in (start, end) else (start, end)
