"""What can be set about groups and group sets? Pure. A table."""

from types import MappingProxyType

from clusterd.model.fault_domains import site_problem
from clusterd.model.setting import ALL_ONES, Kind, Scope, Setting

_NONE = MappingProxyType({"none": ALL_ONES})
_ALL = MappingProxyType({"all": ALL_ONES})
_PRIORITIES = MappingProxyType({"no-auto-start": 0, "low": 1000, "medium": 2000, "high": 3000})

SETTINGS: tuple[Setting, ...] = (
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
        Scope.GROUP, "description", "Description", Kind.TEXT, "",
        "Free text for people.",
        most=1024,
    ),
    Setting(
        Scope.GROUP, "auto_failback_type", "AutoFailbackType", Kind.CHOICE, "prevent",
        "Whether the group goes back to a preferred owner when that becomes active; without preferred owners it "
        "never does.",
        choices=("prevent", "allow"),
    ),
    Setting(
        Scope.GROUP, "failback_window_start", "FailbackWindowStart", Kind.COUNT, ALL_ONES,
        "Hour of the day, local time, from which the group may go back; none: at any time. Both ends or none are "
        "set.",
        most=23, words=_NONE,
    ),
    Setting(
        Scope.GROUP, "failback_window_end", "FailbackWindowEnd", Kind.COUNT, ALL_ONES,
        "Hour of the day, local time, until which the group may go back; a window may pass midnight.",
        most=23, words=_NONE,
    ),
    Setting(
        Scope.GROUP, "priority", "Priority", Kind.COUNT, 2000,
        "Who starts, is drained and is failed over first, and who makes room for whom. Groups of priority "
        "no-auto-start are started by hand only.",
        most=4999, words=_PRIORITIES,
    ),
    Setting(
        Scope.GROUP, "anti_affinity_class_names", "AntiAffinityClassNames", Kind.NAMES, (),
        "Groups that share one of these names are kept on different nodes where possible.",
        most=16,
    ),
    Setting(
        Scope.GROUP, "cold_start_setting", "ColdStartSetting", Kind.CHOICE, "always-start",
        "What happens when the whole cluster starts: the group is started, is not started until somebody does so, "
        "or may be started until the next such start.",
        choices=("always-start", "do-not-start", "start-until-next-cold-start"),
    ),
    Setting(
        Scope.GROUP, "group_start_delay", "GroupStartDelay", Kind.DURATION, 0,
        "Pause before the group is started after it was given to a node by the cluster itself.",
        unit="ms", most=1800000,
        too_large="The workload is away for that much longer.",
    ),
    Setting(
        Scope.GROUP, "preferred_site", "PreferredSite", Kind.TEXT, "",
        "Site on which the group is placed first; some node must be there.",
        most=63, problem=site_problem,
    ),
    Setting(
        Scope.GROUP, "locked_from_moving", "LockedFromMoving", Kind.SWITCH, False,
        "Whether asked moves, failback, drain and balancing leave the group where it is; a failover does not.",
    ),
    Setting(
        Scope.GROUP, "storage_is_sole_effect", "StorageIsSoleEffect", Kind.SWITCH, False,
        "Whether the disks of the group are all that it affects the outside by, so that making their storage refuse a "
        "lost owner is as good as ending it: the group then comes back as soon as that is done. For nothing that "
        "answers on a network.",
    ),
    Setting(
        Scope.GROUP, "balancing", "Balancing", Kind.CHOICE, "live",
        "Whether the group may be moved to even out the load: never, only when it can move live, or also with an "
        "interruption.",
        choices=("never", "live", "always"),
    ),
    Setting(
        Scope.GROUP_SET, "startup_setting", "StartupSetting", Kind.CHOICE, "delay",
        "When the set is ready for those that depend on it: when startup_count of its groups are coming online, "
        "are online, have a guest heartbeat, or say that the application is ready; each plus startup_delay.",
        choices=("delay", "online", "os-heartbeat", "application-ready"), first_choice=1,
    ),
    Setting(
        Scope.GROUP_SET, "startup_count", "StartupCount", Kind.COUNT, ALL_ONES,
        "How many groups of the set must have come that far; at most as many as it has.",
        least=1, words=_ALL,
        too_large="The set is never ready, and its dependents wait for group_dependency_timeout.",
    ),
    Setting(
        Scope.GROUP_SET, "startup_delay", "StartupDelay", Kind.DURATION, 20,
        "Extra wait after that.",
        unit="s", most=86400,
        too_large="Groups that depend on the set start that much later.",
    ),
    Setting(
        Scope.GROUP_SET, "is_global", "IsGlobal", Kind.SWITCH, False,
        "Whether every group outside the set depends on it.",
    ),
)  # fmt: skip
