"""Which common properties can an operator set, and which values are sensible? Pure.

One table: every property with its scope, both spellings, unit, default, range and what happens when it is too small or too
large. Only what this version acts on is here: a property that is accepted and does nothing would be a lie. Values are
stored as whole numbers in the property's unit (choices as their word, switches as true and false).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from clusterd.model.errors import invariant
from clusterd.model.states import RestartAction

ALL_ONES = 0xFFFFFFFF  # the reference's "not limited", "never" or "as the type says"


class Scope(StrEnum):
    CLUSTER = "cluster"
    NODE = "node"
    GROUP = "group"
    RESOURCE = "resource"
    RESOURCE_TYPE = "resource type"


class Kind(StrEnum):
    COUNT = "count"
    DURATION = "duration"
    CHOICE = "choice"
    SWITCH = "switch"


@dataclass(frozen=True, slots=True)
class Setting:
    """One property. `words` are values that have a name; `least` and `most` bound every other number."""

    scope: Scope
    name: str
    reference_name: str
    kind: Kind
    default: int | bool | str
    says: str
    unit: str = ""
    least: int = 0
    most: int = ALL_ONES
    choices: tuple[str, ...] = ()
    words: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    too_small: str = ""
    too_large: str = ""
    is_only_raised: bool = False  # a running cluster may raise it, never lower it


_NEVER = MappingProxyType({"never": ALL_ONES})
_AS_TYPE = MappingProxyType({"type": ALL_ONES})

SETTINGS: tuple[Setting, ...] = (
    Setting(
        Scope.CLUSTER, "same_subnet_delay", "SameSubnetDelay", Kind.DURATION, 250,
        "Time between two heartbeats of a node.",
        unit="ms", least=50, most=2000,
        too_small="Heartbeats cost processor time on every node.",
        too_large="A lost node is noticed later.",
    ),
    Setting(
        Scope.CLUSTER, "same_subnet_threshold", "SameSubnetThreshold", Kind.COUNT, 8,
        "Heartbeats in a row that may be missed; times same_subnet_delay it is the silence limit.",
        least=3, most=120,
        too_small="A short hiccup of the network or of a processor costs a node its workloads.",
        too_large="A lost node is noticed later.",
    ),
    Setting(
        Scope.CLUSTER, "run_lease", "RunLease", Kind.DURATION, 2000,
        "How long a node may run workloads after a heartbeat that a majority of the voters acknowledged.",
        unit="ms", least=200, most=60_000, is_only_raised=True,
        too_small="A node stops its workloads after a short loss of contact.",
        too_large="Takeover without a fence agent waits for the whole lease to run out.",
    ),
    Setting(
        Scope.CLUSTER, "stop_budget", "StopBudget", Kind.DURATION, 500,
        "How long a node may take to kill everything once its run lease is over.",
        unit="ms", least=100, most=60_000, is_only_raised=True,
        too_small="A busy node cannot prove in time that its workloads are gone, and has to fence itself.",
        too_large="Takeover without a fence agent waits longer.",
    ),
    Setting(
        Scope.GROUP, "failover_threshold", "FailoverThreshold", Kind.COUNT, ALL_ONES,
        "Failovers allowed within failover_period; nodes-1 stands for one less than there are nodes.",
        words=MappingProxyType({"nodes-1": ALL_ONES}),
        too_small="The group gives up although another node could run it.",
        too_large="A group that can run nowhere wanders from node to node.",
    ),
    Setting(
        Scope.GROUP, "failover_period", "FailoverPeriod", Kind.DURATION, 6,
        "Window in which failovers count against failover_threshold.",
        unit="h", most=1193,
        too_small="Failovers are forgotten before the limit is reached.",
        too_large="Old failovers count against a group that has been well since.",
    ),
    Setting(
        Scope.RESOURCE, "restart_action", "RestartAction", Kind.CHOICE, RestartAction.RESTART_THEN_FAIL_OVER.value,
        "What follows a failure: nothing, a restart in place, or restarts and then a failover of the group.",
        choices=tuple(each.value for each in RestartAction),
    ),
    Setting(
        Scope.RESOURCE, "restart_threshold", "RestartThreshold", Kind.COUNT, 1,
        "Restarts in place allowed on one node within restart_period.",
        too_small="The first failure already moves the group.",
        too_large="A resource that cannot run here is restarted for a long time before another node is tried.",
    ),
    Setting(
        Scope.RESOURCE, "restart_period", "RestartPeriod", Kind.DURATION, 900_000,
        "Window in which restarts count against restart_threshold.",
        unit="ms",
        too_small="A resource that fails slowly is restarted for ever.",
        too_large="Old failures count against a resource that has been well since.",
    ),
    Setting(
        Scope.RESOURCE, "restart_delay", "RestartDelay", Kind.DURATION, 500,
        "Pause before a failed resource is restarted in place.",
        unit="ms",
        too_large="The workload is away for that much longer.",
    ),
    Setting(
        Scope.RESOURCE, "retry_period_on_failure", "RetryPeriodOnFailure", Kind.DURATION, 3_600_000,
        "How long a resource stays failed before the cluster tries again by itself.",
        unit="ms", words=_NEVER,
        too_small="A broken resource is tried again and again.",
        too_large="A workload stays away although what broke it is mended.",
    ),
    Setting(
        Scope.RESOURCE, "pending_timeout", "PendingTimeout", Kind.DURATION, 180_000,
        "Longest time between two signs of progress while a resource comes online or goes offline.",
        unit="ms", least=10,
        too_small="A slow start is taken for a failure.",
        too_large="A start that hangs is noticed late.",
    ),
    Setting(
        Scope.RESOURCE, "deadlock_timeout", "DeadlockTimeout", Kind.DURATION, 300_000,
        "Longest time that one call into the resource type may take before its resource host is killed.",
        unit="ms", least=1000,
        too_small="A slow call costs every resource in that host a restart.",
        too_large="A resource type that hangs is noticed late.",
    ),
    Setting(
        Scope.RESOURCE, "looks_alive_poll_interval", "LooksAlivePollInterval", Kind.DURATION, ALL_ONES,
        "Time between two quick health checks; type stands for the resource type's own (5 s unless it says otherwise).",
        unit="ms", least=10, words=_AS_TYPE,
        too_small="Checks cost processor time.",
        too_large="A failure is noticed late.",
    ),
    Setting(
        Scope.RESOURCE, "is_alive_poll_interval", "IsAlivePollInterval", Kind.DURATION, ALL_ONES,
        "Time between two thorough health checks; type stands for the resource type's own (60 s unless it says otherwise).",
        unit="ms", least=10, words=_AS_TYPE,
        too_small="Checks cost processor time.",
        too_large="A failure that the quick check overlooks is noticed late.",
    ),
    Setting(
        Scope.RESOURCE, "separate_monitor", "SeparateMonitor", Kind.SWITCH, False,
        "Whether the resource gets a resource host of its own; takes effect at its next online.",
    ),
)  # fmt: skip

_BY_SCOPE: Mapping[Scope, Mapping[str, Setting]] = MappingProxyType(
    {scope: MappingProxyType({each.name: each for each in SETTINGS if each.scope is scope}) for scope in Scope}
)

# Properties of the reference that this version does not act on, so that the refusal can say so.
NOT_YET: Mapping[Scope, frozenset[str]] = MappingProxyType(
    {
        Scope.CLUSTER: frozenset(
            {"cross_subnet_delay", "cross_subnet_threshold", "dynamic_quorum", "quarantine_threshold", "quarantine_duration",
             "resiliency_level", "resiliency_default_period", "cluster_enforced_anti_affinity", "auto_balancer_mode",
             "auto_balancer_level", "drain_on_shutdown", "add_evict_delay", "preferred_site", "description"}
        ),
        Scope.GROUP: frozenset(
            {"auto_failback_type", "failback_window_start", "failback_window_end", "priority", "anti_affinity_class_names",
             "cold_start_setting", "group_start_delay", "resiliency_period", "preferred_site", "locked_from_moving",
             "default_owner", "description", "persistent_state", "group_type"}
        ),
        Scope.RESOURCE: frozenset({"embedded_failure_action", "description", "persistent_state"}),
    }
)  # fmt: skip


def settings_of(scope: Scope) -> Mapping[str, Setting]:
    """The properties of one scope by their snake-case name, in the order of the table."""
    return _BY_SCOPE[scope]


def setting(scope: Scope, name: str) -> Setting:
    """The property of that exact snake-case name; it must exist."""
    settings = settings_of(scope)
    invariant(name in settings, f"there is no {scope} property {name}")
    return settings[name]
