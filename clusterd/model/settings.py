"""Which values of the common properties are in force? Pure.

Deciding code asks here and gets plain numbers in milliseconds, with defaults filled in and special values resolved.
`settings_catalogue` says what each property means; `settings_check` is the only way in for an operator's values.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from clusterd.model.records import ClusterRecord, GroupRecord, Properties, ResourceRecord
from clusterd.model.settings_catalogue import ALL_ONES, Scope, settings_of
from clusterd.model.states import RestartAction

CLOCK_RATE_ERROR = 0.01
MARGIN_MS = 100
SILENCE_LEAST_MS = 300
HOUR_MS = 3_600_000

PROFILES: Mapping[str, Properties] = {
    "default": {"same_subnet_delay": 250, "same_subnet_threshold": 8, "run_lease": 2000, "stop_budget": 500},
    "fast": {"same_subnet_delay": 100, "same_subnet_threshold": 5, "run_lease": 500, "stop_budget": 250},
}


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """Times of the failure detector and of the run leases."""

    same_subnet_delay_ms: int
    same_subnet_threshold: int
    run_lease_ms: int
    stop_budget_ms: int

    @property
    def silence_max_ms(self) -> int:
        """A node silent for longer than this on every network is suspected."""
        return self.same_subnet_delay_ms * self.same_subnet_threshold

    @property
    def expiry_ms(self) -> int:
        """Time after the last acknowledgement at which an expelled node provably runs nothing: (L + K)(1 + ε) + margin."""
        return math.ceil((self.run_lease_ms + self.stop_budget_ms) * (1 + CLOCK_RATE_ERROR)) + MARGIN_MS


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """How often a group may fail over."""

    failover_threshold: int
    failover_period_ms: int


@dataclass(frozen=True, slots=True)
class TypeIntervals:
    """What a resource type says where a resource does not."""

    looks_alive_poll_interval_ms: int = 5000
    is_alive_poll_interval_ms: int = 60_000


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


def cluster_settings(record: ClusterRecord) -> ClusterSettings:
    values = _in_force(Scope.CLUSTER, record.properties)
    return ClusterSettings(
        same_subnet_delay_ms=_number(values, "same_subnet_delay"),
        same_subnet_threshold=_number(values, "same_subnet_threshold"),
        run_lease_ms=_number(values, "run_lease"),
        stop_budget_ms=_number(values, "stop_budget"),
    )


def group_settings(record: GroupRecord, node_count: int) -> GroupSettings:
    values = _in_force(Scope.GROUP, record.properties)
    threshold = _number(values, "failover_threshold")
    return GroupSettings(
        failover_threshold=max(node_count - 1, 0) if threshold == ALL_ONES else threshold,
        failover_period_ms=_number(values, "failover_period") * HOUR_MS,
    )


def resource_settings(record: ResourceRecord, of_type: TypeIntervals = TypeIntervals()) -> ResourceSettings:
    values = _in_force(Scope.RESOURCE, record.properties)
    retry = _number(values, "retry_period_on_failure")
    looks_alive = _number(values, "looks_alive_poll_interval")
    is_alive = _number(values, "is_alive_poll_interval")
    return ResourceSettings(
        restart_action=RestartAction(str(values["restart_action"])),
        restart_threshold=_number(values, "restart_threshold"),
        restart_period_ms=_number(values, "restart_period"),
        restart_delay_ms=_number(values, "restart_delay"),
        retry_period_on_failure_ms=None if retry == ALL_ONES else retry,
        pending_timeout_ms=_number(values, "pending_timeout"),
        deadlock_timeout_ms=_number(values, "deadlock_timeout"),
        looks_alive_poll_interval_ms=of_type.looks_alive_poll_interval_ms if looks_alive == ALL_ONES else looks_alive,
        is_alive_poll_interval_ms=of_type.is_alive_poll_interval_ms if is_alive == ALL_ONES else is_alive,
        separate_monitor=bool(values["separate_monitor"]),
    )


def cluster_problems(settings: ClusterSettings) -> list[str]:
    """Relations between the cluster's times that do not hold; checked whenever one of them changes.

    * run_lease ≥ 2 · same_subnet_delay + 100 ms: one lost heartbeat must not cost a healthy node its workloads.
    * silence limit ≥ 300 ms: a busy processor or a slow disk alone delays a heartbeat by as much.

    The relation that keeps two copies from running, takeover ≥ (L + K)(1 + ε) + margin, needs no check: the waiting time
    is computed from L and K (`ClusterSettings.expiry_ms`). The silence limit may be on either side of the lease: when it is
    shorter a node is expelled earlier, and its successor still waits for the lease.
    """
    problems: list[str] = []
    lease_least_ms = 2 * settings.same_subnet_delay_ms + MARGIN_MS
    if settings.run_lease_ms < lease_least_ms:
        problems.append(
            f"run_lease is {settings.run_lease_ms} ms; with same_subnet_delay {settings.same_subnet_delay_ms} ms it must "
            f"be at least {lease_least_ms} ms, or one lost heartbeat stops a healthy node's workloads"
        )
    if settings.silence_max_ms < SILENCE_LEAST_MS:
        problems.append(
            f"same_subnet_delay × same_subnet_threshold is {settings.silence_max_ms} ms; the silence limit must be at least "
            f"{SILENCE_LEAST_MS} ms, or a busy processor costs a healthy node its workloads"
        )
    return problems


def resource_problems(settings: ResourceSettings) -> list[str]:
    """Relations between a resource's times that do not hold."""
    retry_ms = settings.retry_period_on_failure_ms
    if retry_ms is not None and retry_ms < settings.restart_period_ms:
        return [
            f"retry_period_on_failure is {retry_ms} ms; it must be at least restart_period "
            f"({settings.restart_period_ms} ms), or a failed resource is retried before its restarts are forgotten"
        ]
    return []


def _in_force(scope: Scope, given: Properties) -> dict[str, int | bool | str]:
    """Given values over defaults. A stored value of another kind (a newer version's) gives way to the default."""
    values: dict[str, int | bool | str] = {}
    for name, setting in settings_of(scope).items():
        value = given.get(name)
        if isinstance(value, (int, str)) and type(value) is type(setting.default):
            values[name] = value
        else:
            values[name] = setting.default
    return values


def _number(values: Mapping[str, int | bool | str], name: str) -> int:
    return int(values[name])
