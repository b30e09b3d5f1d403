"""What can be set about the cluster and its nodes? Pure. A table."""

from types import MappingProxyType

from clusterd.model.fault_domains import fault_domain_problem, site_problem
from clusterd.model.setting import ALL_ONES, Kind, Scope, Setting

_DETECTED = MappingProxyType({"detected": ALL_ONES})

FOLDERS_MAX = 16


def _folders_problem(text: str) -> str | None:
    folders = [each for each in text.split(":") if each]
    if len(folders) > FOLDERS_MAX:
        return f"expected at most {FOLDERS_MAX} folders"
    relative = [each for each in folders if not each.startswith("/")]
    return f"expected absolute paths, not {relative[0]!r}" if relative else None


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
        Scope.CLUSTER, "stream_loss_limit", "StreamLossLimit", Kind.DURATION, 60,
        "How long a node may be heard by datagrams alone, so that nobody can command it, before it is expelled.",
        unit="s", least=5, most=3600,
        too_small="A stall of the network costs a node its workloads although it holds its lease.",
        too_large="What cannot be moved, stopped or changed stays so for that much longer.",
    ),
    Setting(
        Scope.CLUSTER, "description", "Description", Kind.TEXT, "",
        "Free text for people.",
        most=1024,
    ),
    Setting(
        Scope.CLUSTER, "definition_folders", "DefinitionFolders", Kind.TEXT, "/etc/clusterd/machines",
        "Folders, separated by a colon, in which every node looks for definitions of machines to protect.",
        most=1024, problem=_folders_problem,
    ),
    Setting(
        Scope.CLUSTER, "auto_balancer_mode", "AutoBalancerMode", Kind.CHOICE, "always",
        "When groups are moved to even out the load: never, when a node joins, or then and every 30 minutes.",
        choices=("off", "on-join", "always"),
    ),
    Setting(
        Scope.CLUSTER, "auto_balancer_level", "AutoBalancerLevel", Kind.CHOICE, "low",
        "How loaded a node must be before groups leave it: low 80 %, medium 70 %, high 60 % of its memory or "
        "processors.",
        choices=("low", "medium", "high"), first_choice=1,
    ),
    Setting(
        Scope.CLUSTER, "cluster_enforced_anti_affinity", "ClusterEnforcedAntiAffinity", Kind.SWITCH, False,
        "Whether groups that share an anti-affinity class name are kept apart even if one of them cannot run then.",
    ),
    Setting(
        Scope.CLUSTER, "cluster_group_wait_delay", "ClusterGroupWaitDelay", Kind.DURATION, 120,
        "How long a group waits at a cold start for its preferred or last owner before it starts elsewhere.",
        unit="s", most=3600,
        too_small="Groups start on the first node that comes up and do not go back by themselves.",
        too_large="The workload of a node that does not come back stays away for that much longer.",
    ),
    Setting(
        Scope.CLUSTER, "drain_on_shutdown", "DrainOnShutdown", Kind.SWITCH, True,
        "Whether a node that is stopped hands each group on as soon as it has let go of it; otherwise others take "
        "its groups over only once it has left.",
    ),
    Setting(
        Scope.CLUSTER, "shutdown_timeout_in_minutes", "ShutdownTimeoutInMinutes", Kind.DURATION, 20,
        "How long a node that is being stopped waits for its groups to leave.",
        unit="min", most=1440,
        too_small="What stops slowly is killed when the node stops.",
        too_large="A stop that hangs is noticed late.",
    ),
    Setting(
        Scope.CLUSTER, "group_dependency_timeout", "GroupDependencyTimeout", Kind.DURATION, 600,
        "How long a group waits for the group sets that it depends on; then it is started anyway.",
        unit="s", most=86400,
        too_small="Groups start before what they need is there.",
        too_large="A set that never becomes ready holds up the others for that long.",
    ),
    Setting(
        Scope.CLUSTER, "ignore_persistent_state_on_startup", "IgnorePersistentStateOnStartup", Kind.SWITCH, False,
        "Whether no group is started by itself at a cold start.",
    ),
    Setting(
        Scope.CLUSTER, "minimum_preemptor_priority", "MinimumPreemptorPriority", Kind.COUNT, 1,
        "Groups of at least this priority may have others taken offline to make room for them.",
        most=4999,
    ),
    Setting(
        Scope.CLUSTER, "minimum_never_preempt_priority", "MinimumNeverPreemptPriority", Kind.COUNT, 3000,
        "Groups of at least this priority are never taken offline to make room.",
        most=4999,
    ),
    Setting(
        Scope.CLUSTER, "preferred_site", "PreferredSite", Kind.TEXT, "",
        "Site on which groups without a preferred site of their own are placed first; some node must be there.",
        most=63, problem=site_problem,
    ),
    Setting(
        Scope.CLUSTER, "quarantine_threshold", "QuarantineThreshold", Kind.COUNT, 3,
        "Unclean losses of a node within one hour after which it is quarantined; at most a quarter of the nodes are.",
        least=1, most=1000,
        too_small="One hiccup keeps a node out for the whole quarantine.",
        too_large="A node that comes and goes takes its groups along each time.",
    ),
    Setting(
        Scope.CLUSTER, "quarantine_duration", "QuarantineDuration", Kind.DURATION, 7200,
        "How long a quarantined node gets no groups.",
        unit="s",
        too_small="A node that comes and goes is trusted again at once.",
        too_large="A node that was mended stays out until somebody clears its quarantine.",
    ),
    Setting(
        Scope.CLUSTER, "maximum_parallel_starts", "MaximumParallelStarts", Kind.COUNT, 32,
        "Groups that may come online at the same time on one node after a failover or a start; the others wait in "
        "order of priority.",
        least=1, most=10000,
        too_small="A node that takes over many groups brings them up one by one.",
        too_large="Many starts at once starve each other and run into their timeouts.",
    ),
    Setting(
        Scope.CLUSTER, "maximum_parallel_migrations", "MaximumParallelMigrations", Kind.COUNT, 1,
        "Live migrations that one node may take part in at the same time, as source or as destination; the others wait.",
        least=1, most=100,
        too_small="Emptying a node takes longer.",
        too_large="Migrations share the network, and each takes longer.",
    ),
    Setting(
        Scope.CLUSTER, "core_overcommit", "CoreOvercommit", Kind.COUNT, 4,
        "How many cores groups may demand for each core that a node has, where its core_capacity is detected: a virtual "
        "processor seldom needs all of a core. Memory is never counted twice.",
        least=1, most=64,
        too_small="Groups find no node although the nodes have little to do.",
        too_large="Groups share processors and slow each other down.",
    ),
    Setting(
        Scope.CLUSTER, "move_type_threshold", "MoveTypeThreshold", Kind.COUNT, 2000,
        "Groups of at least this priority that can migrate live do so when the cluster itself moves them; others are "
        "saved and resumed. 3001: none.",
        most=5000,
        too_small="Less important machines take the network's time, and a drain takes longer.",
        too_large="Important machines stand still while they are moved.",
    ),
    Setting(
        Scope.CLUSTER, "placement_policy", "PlacementPolicy", Kind.CHOICE, "spread",
        "Where a group without preferred owners goes: to the node with the fewest groups, or to the fullest node "
        "that still fits, which keeps others free.",
        choices=("spread", "reserve"),
    ),
    Setting(
        Scope.NODE, "description", "Description", Kind.TEXT, "",
        "Free text for people.",
        most=1024,
    ),
    Setting(
        Scope.NODE, "fault_domain", "FaultDomain", Kind.TEXT, "",
        "Where the machine stands, from the outside in, as in site:east/rack:r1/chassis:c2.",
        most=256, problem=fault_domain_problem,
    ),
    Setting(
        Scope.NODE, "avoid_placement", "AvoidPlacement", Kind.SWITCH, False,
        "Whether the node is given groups only when somebody names it, or when it is the only one left that a "
        "group may run on.",
    ),
    Setting(
        Scope.NODE, "memory_capacity", "MemoryCapacity", Kind.COUNT, ALL_ONES,
        "Memory that groups on this node may demand together; detected stands for all that the machine has.",
        unit="MiB", words=_DETECTED,
        too_small="Groups find no node although there is room.",
        too_large="Groups are placed where their memory is not there.",
    ),
    Setting(
        Scope.NODE, "core_capacity", "CoreCapacity", Kind.COUNT, ALL_ONES,
        "Processor cores that groups on this node may demand together; detected stands for all that the machine has, times "
        "the cluster's core_overcommit.",
        words=_DETECTED,
        too_small="Groups find no node although there is room.",
        too_large="Groups share processors and slow each other down.",
    ),
    Setting(
        Scope.NODE, "memory_reserve", "MemoryReserve", Kind.COUNT, 0,
        "Memory that is kept for the machine itself.",
        unit="MiB",
        too_large="Groups find no node although there is room.",
    ),
)  # fmt: skip
