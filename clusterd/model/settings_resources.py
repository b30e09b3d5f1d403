"""What can be set about resources and resource types? Pure. A table."""

from types import MappingProxyType

from clusterd.model.setting import ALL_ONES, AS_TYPE, NEVER, Kind, Scope, Setting
from clusterd.model.states import RestartAction

_OWN = MappingProxyType({"own": ALL_ONES})

SETTINGS: tuple[Setting, ...] = (
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
        unit="ms", words=NEVER,
        too_small="A broken resource is tried again and again.",
        too_large="A workload stays away although what broke it is mended.",
    ),
    Setting(
        Scope.RESOURCE, "pending_timeout", "PendingTimeout", Kind.DURATION, ALL_ONES,
        "Longest time between two signs of progress while a resource comes online or goes offline; type stands "
        "for the resource type's own.",
        unit="ms", least=10, words=AS_TYPE,
        too_small="A slow start is taken for a failure.",
        too_large="A start that hangs is noticed late.",
    ),
    Setting(
        Scope.RESOURCE, "deadlock_timeout", "DeadlockTimeout", Kind.DURATION, ALL_ONES,
        "Longest time that one call into the resource type may take before its resource host is killed; type "
        "stands for the resource type's own.",
        unit="ms", least=1000, words=AS_TYPE,
        too_small="A slow call costs every resource in that host a restart.",
        too_large="A resource type that hangs is noticed late.",
    ),
    Setting(
        Scope.RESOURCE, "looks_alive_poll_interval", "LooksAlivePollInterval", Kind.DURATION, ALL_ONES,
        "Time between two quick health checks; type stands for the resource type's own (5 s unless it says "
        "otherwise).",
        unit="ms", least=10, words=AS_TYPE,
        too_small="Checks cost processor time.",
        too_large="A failure is noticed late.",
    ),
    Setting(
        Scope.RESOURCE, "is_alive_poll_interval", "IsAlivePollInterval", Kind.DURATION, ALL_ONES,
        "Time between two thorough health checks; type stands for the resource type's own (60 s unless it says "
        "otherwise).",
        unit="ms", least=10, words=AS_TYPE,
        too_small="Checks cost processor time.",
        too_large="A failure that the quick check overlooks is noticed late.",
    ),
    Setting(
        Scope.RESOURCE, "health_unknown_timeout", "HealthUnknownTimeout", Kind.DURATION, 300_000,
        "How long its health may be unknown (a check that breaks, or cannot tell) before that counts as a failure.",
        unit="ms", words=NEVER,
        too_small="A check that cannot be made for a moment costs the workload a restart.",
        too_large="A workload whose checks are broken is taken for online although it may be gone.",
    ),
    Setting(
        Scope.RESOURCE, "separate_monitor", "SeparateMonitor", Kind.SWITCH, False,
        "Whether the resource gets a resource host of its own; takes effect at its next online.",
    ),
    Setting(
        Scope.RESOURCE, "description", "Description", Kind.TEXT, "",
        "Free text for people.",
        most=1024,
    ),
    Setting(
        Scope.RESOURCE, "embedded_failure_action", "EmbeddedFailureAction", Kind.CHOICE, "recover",
        "What follows when the workload inside the resource complains: nothing, a line in the timeline, or what "
        "follows a failure.",
        choices=("none", "log", "recover"),
    ),
    Setting(
        Scope.RESOURCE, "memory_demand", "MemoryDemand", Kind.COUNT, 0,
        "Memory that the resource needs on the node that runs it.",
        unit="MiB",
        too_small="Its group is placed where its memory is not there.",
        too_large="Its group finds no node although there is room.",
    ),
    Setting(
        Scope.RESOURCE, "core_demand", "CoreDemand", Kind.COUNT, 0,
        "Processor cores that the resource needs on the node that runs it.",
        too_small="Its group is placed where its processors are busy.",
        too_large="Its group finds no node although there is room.",
    ),
    Setting(
        Scope.RESOURCE_TYPE, "looks_alive_poll_interval", "LooksAlivePollInterval", Kind.DURATION, ALL_ONES,
        "Time between two quick health checks of every resource of the type; own stands for what the type itself "
        "says (5 s unless it says otherwise).",
        unit="ms", least=1, words=_OWN,
        too_small="Checks cost processor time.",
        too_large="A failure is noticed late.",
    ),
    Setting(
        Scope.RESOURCE_TYPE, "is_alive_poll_interval", "IsAlivePollInterval", Kind.DURATION, ALL_ONES,
        "Time between two thorough health checks of every resource of the type; own stands for what the type "
        "itself says (60 s unless it says otherwise).",
        unit="ms", least=1, words=_OWN,
        too_small="Checks cost processor time.",
        too_large="A failure that the quick check overlooks is noticed late.",
    ),
    Setting(
        Scope.RESOURCE_TYPE, "pending_timeout", "PendingTimeout", Kind.DURATION, 180_000,
        "Longest time between two signs of progress while a resource of the type comes online or goes offline.",
        unit="ms", least=10,
        too_small="A slow start is taken for a failure.",
        too_large="A start that hangs is noticed late.",
    ),
    Setting(
        Scope.RESOURCE_TYPE, "deadlock_timeout", "DeadlockTimeout", Kind.DURATION, 300_000,
        "Longest time that one call into the resource type may take before its resource host is killed.",
        unit="ms", least=1000,
        too_small="A slow call costs every resource in that host a restart.",
        too_large="A resource type that hangs is noticed late.",
    ),
)  # fmt: skip
