"""What does the cluster database hold? Pure.

Each record has one writer, named in its docstring, and lives under the key that `keys` builds. The durable form is the
protobuf message of the same name (protos/clusterd/wire/records.proto); `codec` converts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from clusterd.model.ids import GroupId, Incarnation, NodeId, ResourceId
from clusterd.model.states import EvidenceKind, MembershipState, Order, ReleaseCause, ResourceState, Wanted

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Properties: TypeAlias = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class ClusterRecord:
    """The cluster itself. Written by operators."""

    id: str
    name: str
    properties: Properties = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """A machine that belongs to the cluster. Written by operators."""

    name: NodeId
    number: int
    peer_address: str
    api_address: str = ""
    properties: Properties = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MoveRequest:
    """An operator's wish to have a group elsewhere; an empty target means the best possible node."""

    id: str
    target: NodeId = NodeId("")
    asked_wall_ms: int = 0
    asked_by: str = ""


@dataclass(frozen=True, slots=True)
class GroupRecord:
    """Configuration and wanted state of a group. Written by operators."""

    name: GroupId
    wanted: Wanted = Wanted.ONLINE
    preferred_owners: tuple[NodeId, ...] = ()
    properties: Properties = field(default_factory=dict)
    move: MoveRequest | None = None
    reset_id: str = ""


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
    """One link in a chain of causes, with the time that people read."""

    wall_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Why something was decided: the rule, the sentence, the chain of causes, and every node considered."""

    rule: str
    text: str
    steps: tuple[Step, ...] = ()
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class FailoverStamp:
    """A failover that counts against the group's limit. `cluster_ms` is a reading of the cluster's own clock."""

    cluster_ms: int
    resource: ResourceId
    source: NodeId


@dataclass(frozen=True, slots=True)
class AssignmentRecord:
    """Who owns a group, under which generation, with which order. Written by the leader."""

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
    next_action: str = ""
    next_action_cluster_ms: int = 0
    fail_id: str = ""
    evidence: str = ""
    may_run: bool = False
    """Something of it may still run there: only a confirmed stop says otherwise."""


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


Record: TypeAlias = (
    ClusterRecord
    | NodeRecord
    | GroupRecord
    | ResourceRecord
    | FenceRecord
    | AssignmentRecord
    | MembershipRecord
    | ReportRecord
    | ResourceTypeRecord
    | EventRecord
)
