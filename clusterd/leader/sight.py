"""What does a leader see besides the database? Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from clusterd.membership import Detector
from clusterd.model.ids import Incarnation, NodeId
from clusterd.model.records import Step
from clusterd.model.settings import ClusterSettings


@dataclass(frozen=True, slots=True)
class Promise:
    """A voter acknowledges a node's heartbeats no more since the log entry `entry_index`.

    `last_ack_ms` is on the leader's clock: when the answer arrived, minus the age it named. Never too early.
    """

    entry_index: int
    last_ack_ms: int


@dataclass(frozen=True, slots=True)
class FenceKnowledge:
    """What a fence agent last said about one run of a node."""

    run_id: str
    answer: str
    at_ms: int

    @property
    def has_ended(self) -> bool:
        return self.answer == "ended"


@dataclass(frozen=True, slots=True)
class NodeLoad:
    """How busy a node says it is; five minutes' average of its processors, and memory in use now."""

    processor_percent: int
    memory_percent: int


@dataclass(frozen=True, slots=True)
class Sight:
    """Everything that is not in the database and that a decision may rest on."""

    me: NodeId
    now_ms: int
    wall_ms: int
    cluster_ms: int
    voters: tuple[NodeId, ...]
    detector: Detector
    settings: ClusterSettings
    configuration_learned_ms: int
    """When this leader learned that the present voter configuration is committed."""
    broken_links: Collection[NodeId] = ()
    promises: Mapping[NodeId, Mapping[NodeId, Promise]] = field(default_factory=dict)
    """For each node being expelled: what each voter promised."""
    ended: Mapping[NodeId, Collection[Incarnation]] = field(default_factory=dict)
    """Incarnations that a guard named and proved ended."""
    fence: Mapping[NodeId, FenceKnowledge] = field(default_factory=dict)
    fence_agents: Mapping[NodeId, str] = field(default_factory=dict)
    """Nodes that have a fence agent, and its name."""
    revision: int = 0
    """Of the database that is looked at."""
    term: int = 0
    leading_since_ms: int = 0
    local_minute: int = 0
    """Minute of the day by the leader's wall clock, local time: only failback windows go by it."""
    loads: Mapping[NodeId, NodeLoad] = field(default_factory=dict)
    is_balancing_due: bool = False
    mute_since: Mapping[NodeId, int] = field(default_factory=dict)
    """Nodes that are heard and cannot be commanded, each with since when."""

    def step(self, text: str, at_ms: int | None = None, *, wall_ms: int | None = None) -> Step:
        """Something that happens now, or happened at `at_ms` on this node's clock; `wall_ms`: when, where that was noted."""
        past_ms = self.now_ms - at_ms if at_ms is not None else 0
        shown_ms = wall_ms if wall_ms is not None else self.wall_ms - past_ms
        return Step(shown_ms, text, self.revision)

    def wall_of(self, at_ms: int) -> int:
        """The wall-clock time, for people to read, of a moment on this node's own clock."""
        return self.wall_ms - (self.now_ms - at_ms)
