"""What does the cluster database hold? Pure.

Each record has one writer, named in its docstring, and lives under the key that `keys` builds. The durable form is the
protobuf message of the same name (protos/clusterd/wire/records.proto); `codec` converts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from clusterd.model.availability import AvailabilityRecord
from clusterd.model.disk import DiskRecord
from clusterd.model.drains import DrainRecord
from clusterd.model.ids import GroupId, Incarnation, NodeId, ResourceId
from clusterd.model.migrations import MigrationRecord, MigrationReport
from clusterd.model.states import (
    DecisionCode,
    EvidenceKind,
    FailbackMode,
    MembershipState,
    MoveKind,
    NextAction,
    Order,
    QueuedFor,
    ReleaseCause,
    ResourceState,
    RuleKind,
    Wanted,
)
from clusterd.model.storage_fences import StorageFenceEntry

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Properties: TypeAlias = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Maintenance:
    """ "Hands off": failures are reported, nothing is touched. Asked for on a resource, group, node or the cluster."""

    id: str
    reason: str = ""
    asked_wall_ms: int = 0
    asked_by: str = ""


@dataclass(frozen=True, slots=True)
class ClusterRecord:
    """The cluster itself. Written by operators."""

    id: str
    name: str
    properties: Properties = field(default_factory=dict)
    maintenance: Maintenance | None = None


@dataclass(frozen=True, slots=True)
class PauseRequest:
    """A node may gain nothing while this stands. With `is_drain` every group leaves it, in order of priority."""

    id: str
    is_drain: bool = False
    target: NodeId = NodeId("")
    is_forced: bool = False
    """What cannot be moved gracefully is stopped and moved like a failed group."""
    is_retried: bool = False
    """A move that fails is tried again until it works."""
    asked_wall_ms: int = 0
    asked_by: str = ""


@dataclass(frozen=True, slots=True)
class ResumeRequest:
    """The last time that somebody ended a pause, and what of the drained groups was to come back."""

    id: str
    failback: FailbackMode = FailbackMode.NONE
    asked_wall_ms: int = 0
    asked_by: str = ""


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """A machine that belongs to the cluster. Written by operators."""

    name: NodeId
    number: int
    peer_address: str
    api_address: str = ""
    properties: Properties = field(default_factory=dict)
    pause: PauseRequest | None = None
    resume: ResumeRequest | None = None
    maintenance: Maintenance | None = None
    clear_quarantine_id: str = ""
    fence_id: Incarnation = Incarnation("")
    """The run that somebody wants ended: it is expelled, and fenced where that is possible. No other run is touched."""


@dataclass(frozen=True, slots=True)
class MoveRequest:
    """An operator's wish to have a group elsewhere; an empty target means the best possible node."""

    id: str
    target: NodeId = NodeId("")
    asked_wall_ms: int = 0
    asked_by: str = ""
    is_queued: bool = False
    """What forbids the move now is waited out instead of ending it."""
    ignores_lock: bool = False
    ignores_rules: bool = False
    kind: MoveKind = MoveKind.UNSAID


@dataclass(frozen=True, slots=True)
class GroupRecord:
    """Configuration and wanted state of a group. Written by operators."""

    name: GroupId
    wanted: Wanted = Wanted.ONLINE
    preferred_owners: tuple[NodeId, ...] = ()
    properties: Properties = field(default_factory=dict)
    move: MoveRequest | None = None
    reset_id: str = ""
    maintenance: Maintenance | None = None
    start_id: str = ""
    """A new value says that somebody asked for it to start: what is never started by itself may start then."""
    id: str = ""
    """Of its creation. One that is made anew under the name of a deleted one is another group."""
    generation_floor: int = 0
    """No generation up to this one is given any more: claims of a former cluster may be under it."""


@dataclass(frozen=True, slots=True)
class ResourceRecord:
    """Configuration and wanted state of a resource. Written by operators."""

    name: ResourceId
    group: GroupId
    type: str
    wanted: Wanted = Wanted.ONLINE
    depends_on: str = ""
    possible_owners: tuple[NodeId, ...] = ()
    properties: Properties = field(default_factory=dict)
    private: Properties = field(default_factory=dict)
    fail_id: str = ""
    maintenance: Maintenance | None = None
    kill_id: str = ""
    """A new value asks its owner to kill everything that is left of it."""
    restart_id: str = ""
    """A new value asks its owner to stop it in good order and bring it online again."""


@dataclass(frozen=True, slots=True)
class TypeSettingsRecord:
    """Common properties of every resource of one type. Written by operators."""

    name: str
    properties: Properties = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RuleRecord:
    """Which groups belong together or apart. Written by operators."""

    name: str
    kind: RuleKind
    groups: tuple[GroupId, ...] = ()
    is_enabled: bool = True


@dataclass(frozen=True, slots=True)
class GroupSetRecord:
    """Groups that others wait for at their start. Written by operators."""

    name: str
    groups: tuple[GroupId, ...] = ()
    providers: tuple[str, ...] = ()
    properties: Properties = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FenceRecord:
    """A power switch and the nodes it serves (none named: all). Written by operators."""

    name: str
    agent: str
    nodes: tuple[NodeId, ...] = ()
    parameters: Properties = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One node that a decision looked at, and why it was taken or passed over."""

    node: NodeId
    is_chosen: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Step:
    """One link in a chain of causes, with the time that people read. No clock orders them: the committed changes do.

    `revision`: of the database that whoever wrote it knew then. What led to a step was committed before, so it has a smaller
    one, on whatever node it came about. 0 in what an earlier version wrote.
    """

    wall_ms: int
    text: str
    revision: int = 0
    resource: ResourceId = ResourceId("")
    """Which it is about; empty: the group, or what that rests on."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Why something was decided: the rule, the sentence, the chain of causes, and every node considered."""

    rule: str
    text: str
    steps: tuple[Step, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    code: DecisionCode = DecisionCode.UNSAID
    brief: str = ""
    """The text without what it says of each node; empty: it says nothing of each."""


@dataclass(frozen=True, slots=True)
class FailoverStamp:
    """A failover that counts against the group's limit. `cluster_ms` is a reading of the cluster's own clock."""

    cluster_ms: int
    resource: ResourceId
    source: NodeId


@dataclass(frozen=True, slots=True)
class NodeRun:
    """One run of a node."""

    node: NodeId
    incarnation: Incarnation


@dataclass(frozen=True, slots=True)
class AssignmentRecord:
    """Who owns a group, under which generation, with which order. Written by the leader.

    An empty owner means that no node has it: it is proven to run nowhere, and `because` says what it waits for.
    """

    group: GroupId
    owner: NodeId
    incarnation: Incarnation
    generation: int
    order: Order
    because: Decision
    target: NodeId = NodeId("")
    failovers: tuple[FailoverStamp, ...] = ()
    move_id: str = ""
    since_wall_ms: int = 0
    reset_id: str = ""
    release_cause: ReleaseCause = ReleaseCause.NONE
    blocked_until_cluster_ms: int = 0
    status: tuple[str, ...] = ()
    """`GroupStatus` words that stand beside the state."""
    last_owner: NodeId = NodeId("")
    """Whose it was before: what the next-node rule and a cold start go by."""
    passed_over: tuple[NodeRun, ...] = ()
    """Runs of preferred owners that were there when it was placed: failback is only to one that has begun another."""
    drained_from: NodeId = NodeId("")
    moved_from: NodeId = NodeId("")
    """Where it goes back to when it cannot come online after a move."""
    start_id: str = ""
    """The last request to start that was heeded."""
    next_action: str = ""
    next_action_cluster_ms: int = 0
    waits_since_cluster_ms: int = 0
    """When it began to wait for what `status` says; 0: it does not wait."""
    move_kind: MoveKind = MoveKind.UNSAID
    """How it leaves its owner."""
    target_incarnation: Incarnation = Incarnation("")
    """The run of the target that prepares for it (order migrate)."""
    migration: int = 0
    """The number of the live migration that is under way (order migrate), or by which it came (order run). What was
    prepared for any other is forgotten."""
    migration_stop: str = ""
    """Why the migration is to end, unless it has come to pass already: the source decides which, and says so."""
    group_id: str = ""
    """Which group of that name it is about: that of a deleted one is kept, for its owner and its generation."""
    queued_for: QueuedFor = QueuedFor.NOTHING
    ran_on: NodeId = NodeId("")
    """Where it was online last, when it was given to others since that did not bring it online; empty: `last_owner`."""


@dataclass(frozen=True, slots=True)
class GuardRecord:
    """Put with every decision whose check spans records, so that two that exclude each other cannot both commit."""

    name: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """Proof that an incarnation runs nothing any more (docs/INVARIANTS.md)."""

    kind: EvidenceKind
    text: str
    wall_ms: int


@dataclass(frozen=True, slots=True)
class MembershipRecord:
    """What the cluster has agreed about a node. Written by the leader."""

    node: NodeId
    state: MembershipState
    incarnation: Incarnation = Incarnation("")
    run_id: str = ""
    because: str = ""
    evidence: Evidence | None = None
    since_wall_ms: int = 0
    steps: tuple[Step, ...] = ()
    exits: tuple[int, ...] = ()
    """When it was lost without a clean stop, by the cluster's own clock."""
    quarantined_until_cluster_ms: int = 0
    clear_quarantine_id: str = ""


@dataclass(frozen=True, slots=True)
class FormationRecord:
    """A cold start: the moment at which the cluster came up with nothing running. Written by the leader."""

    number: int
    began_cluster_ms: int
    began_wall_ms: int
    because: str = ""


@dataclass(frozen=True, slots=True)
class GroupSetStateRecord:
    """Since when a group set has been ready (0: it is not). Written by the leader."""

    name: str
    ready_since_cluster_ms: int = 0


@dataclass(frozen=True, slots=True)
class RestartStamp:
    """A restart in place that counts against the resource's limit on that node."""

    cluster_ms: int
    node: NodeId


@dataclass(frozen=True, slots=True)
class ResourceReport:
    """A resource as its owner sees it. `sequence` rises with every change of state and never goes back."""

    name: ResourceId
    state: ResourceState
    sequence: int = 0
    since_wall_ms: int = 0
    cause: str = ""
    restarts: tuple[RestartStamp, ...] = ()
    pid: int = 0
    next_action: NextAction = NextAction.NONE
    next_action_cluster_ms: int = 0
    fail_id: str = ""
    evidence: str = ""
    may_run: bool = False
    """Something of it may still run there: only a confirmed stop says otherwise."""
    embedded_failure: str = ""
    """What the workload inside complains of; empty: nothing."""
    is_hands_off: bool = False
    kill_id: str = ""
    """The last request to kill everything of it that was carried out."""
    ran_as: str = ""
    """Digest of what anything of it that may run there came online with (`model/ran_as.py`); empty: not known."""
    concern: str = ""
    """What a person should know of it although it runs; nothing follows from it by itself. Empty: nothing."""
    restart_id: str = ""
    """The last request to restart it that was carried out."""
    is_outdated: bool = False
    """Its properties were changed since it came online: the new ones are in force after a restart."""
    in_force: Properties = field(default_factory=dict)
    """Of those the values that are in force, None where there was none."""
    doubt: str = ""
    """Why its checks cannot tell whether it is well; empty: they can."""
    doubt_since_wall_ms: int = 0
    doubt_since_cluster_ms: int = 0
    is_apart: bool = False
    """It crashed or hung a resource host: it has one of its own, on every node."""
    left_alone: str = ""
    """The maintenance for which nothing follows from its failure; empty: something does, or it has not failed."""


@dataclass(frozen=True, slots=True)
class ReportRecord:
    """A group as its owner sees it, for one generation. Written by the owner."""

    group: GroupId
    node: NodeId
    incarnation: Incarnation
    generation: int
    resources: tuple[ResourceReport, ...] = ()
    is_released: bool = False
    failed_over_by: ResourceId = ResourceId("")
    failed_over_because: str = ""
    reset_id: str = ""
    was_online: bool = False
    """Under this generation everything wanted has been online at least once."""
    is_hands_off: bool = False
    """Maintenance is in force: nothing of the group is touched."""
    steps: tuple[Step, ...] = ()
    """What the owner did under this generation and what came of it, oldest first, bounded."""
    waits_for_node: bool = False
    """It was stopped with its node, which keeps it until it has left: nothing of it runs, and it is not released."""
    migration: MigrationReport | None = None


@dataclass(frozen=True, slots=True)
class NodeFactsRecord:
    """What a machine has, and what its hosts cannot load. Written by that node."""

    node: NodeId
    memory_mib: int = 0
    cores: int = 0
    plugin_troubles: tuple[str, ...] = ()
    """Which plug-ins and folders are passed over, and why. For people."""


@dataclass(frozen=True, slots=True)
class ResourceTypeRecord:
    """A resource type as one node's host knows it. Written by that node."""

    name: str
    node: NodeId
    version: str = ""
    schema: Properties = field(default_factory=dict)
    abilities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One line of the timeline. Written in the transaction that it explains."""

    wall_ms: int
    name: str
    level: str
    node: str = ""
    group: str = ""
    resource: str = ""
    message: str = ""
    because: str = ""
    caused_by: str = ""
    """Key of the event, or id of the request, that led to this one."""
    count: int = 1
    """How often the same thing was said; `first_wall_ms` is when it was said first."""
    first_wall_ms: int = 0
    first_key: str = ""
    """The key under which it was said first, which is how others name it as their cause; empty: this one."""


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """What a request was answered, so that repeating it gives the same answer at any node and changes nothing again."""

    id: str
    digest: str
    """Of what was asked: the same id with another digest is another request, and is refused."""
    answer: bytes = b""
    """JSON, compressed. Its revision is that of this record."""


Record: TypeAlias = (
    ClusterRecord
    | NodeRecord
    | GroupRecord
    | ResourceRecord
    | FenceRecord
    | RuleRecord
    | GroupSetRecord
    | TypeSettingsRecord
    | AssignmentRecord
    | GuardRecord
    | MembershipRecord
    | DrainRecord
    | FormationRecord
    | GroupSetStateRecord
    | ReportRecord
    | MigrationRecord
    | StorageFenceEntry
    | NodeFactsRecord
    | DiskRecord
    | AvailabilityRecord
    | ResourceTypeRecord
    | EventRecord
    | RequestRecord
)
