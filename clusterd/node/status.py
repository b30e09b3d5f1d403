"""What does a node know about itself and its surroundings, beside the database? Pure."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterd.model.disk import DiskCondition
from clusterd.model.ids import NodeId
from clusterd.model.states import DataState
from clusterd.node.clocks import MINUTES_PER_DAY
from clusterd.node.doubles import Doubled
from clusterd.node.lacking import Lack
from clusterd.node.memories import Held

if TYPE_CHECKING:
    from clusterd.node.node import Node


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """A node as the answering node sees it. `heartbeat_age_ms` is None for itself and for one never heard."""

    node: NodeId
    has_vote: bool
    is_reachable: bool
    heartbeat_age_ms: int | None = None
    incarnation: str = ""
    """The run that its daemon says its guard is in; empty: it reaches no guard."""
    is_leaving: bool = False
    disk: DiskCondition = DiskCondition()
    may_vote: bool = True
    """False: it has a vote, and what it lost or its disk keep it from giving it."""
    data: DataState = DataState.SOUND
    reach_index: int = 0
    reach_term: int = 0
    """How far its log goes, as far as known."""
    caught_up_percent: int | None = None
    """How much of what is committed it holds, as far as known."""
    is_mute: bool = False
    """It is heard, but no stream carries anything between it and the answering node: it cannot be commanded from here."""


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """What a daemon knows about itself and its surroundings, beside the database."""

    node: NodeId
    version: str
    term: int
    leader: NodeId | None
    is_quorate: bool
    voters_reachable: int
    voters_needed: int
    quorum_since_wall_ms: int  # since when it is, or is not, quorate
    cluster_ms: int
    wall_ms: int
    age_ms: int = 0  # how old the local database may be: time since the leader was last heard; 0 at the leader
    lease_left_ms: int | None = None  # None: this node may run nothing
    incarnation: str = ""
    containment: str = ""
    peers: tuple[PeerStatus, ...] = ()  # every node of the cluster, itself too
    differing: tuple[NodeId, ...] = ()  # whose databases differ from this node's
    held: tuple[Held, ...] = ()  # committed changes that only one node has
    doubled: tuple[Doubled, ...] = ()  # nodes that are there twice
    lack: Lack | None = None  # too few voters have their data
    rival: tuple[NodeId, str] | None = None  # who turns this daemon away, and which other one is this node
    local_offset_ms: int = 0  # what to add to UTC to get the leader's local time (without one: this node's own)

    @property
    def local_minute(self) -> int:
        """The minute of the day by which failback windows are judged: the leader's local time."""
        return (self.wall_ms + self.local_offset_ms) // 60_000 % MINUTES_PER_DAY

    @property
    def unheard(self) -> tuple[NodeId, ...]:
        """The other nodes of which nothing was heard since this daemon started."""
        return tuple(
            each.node
            for each in self.peers
            if each.node != self.node and each.heartbeat_age_ms is None and not each.is_reachable
        )


def status_of(node: "Node", now_ms: int, *, version: str, quorum_since_wall_ms: int) -> NodeStatus:
    """The node's own standing and its peers', as of now."""
    raft = node.replica.raft
    voters = [NodeId(each) for each in raft.configuration.voters] or list(node.memories.told_voters)
    now = node.now(now_ms)
    names = [each.name for each in node.replica.view.nodes()] or sorted({node.me, *node.members})
    peers = [_peer_status(node, name, now_ms, has_vote=name in voters) for name in names]
    leader = raft.leader
    deadline_ms = node.owning.lease_deadline_ms()
    return NodeStatus(
        node.me,
        version,
        raft.term,
        leader,
        is_quorate(node),
        sum(each.has_vote and each.is_reachable and each.may_vote for each in peers),
        len(voters) // 2 + 1,
        quorum_since_wall_ms,
        now.cluster_ms,
        now.wall_ms,
        age_ms=_age_ms(node, now_ms),
        lease_left_ms=deadline_ms - now_ms if node.owning.holds_lease(now_ms) else None,
        incarnation=node.presence.incarnation,
        containment=node.owning.containment,
        peers=tuple(peers),
        differing=tuple(sorted(node.digests.differing)),
        held=node.memories.all_held(now.wall_ms),
        doubled=node.doubles.doubled(now_ms),
        rival=node.doubles.turned_away,
        lack=node.lacking.present,
        local_offset_ms=_local_offset_ms(node),
    )


def _peer_status(node: "Node", name: NodeId, now_ms: int, *, has_vote: bool) -> PeerStatus:
    detector = node.presence.detector
    is_me = name == node.me
    is_known = detector.last(name) is not None
    age_ms = detector.age_ms(name, now_ms) if is_known and not is_me else None
    is_reachable = is_me or (age_ms is not None and age_ms <= node.settings.silence_max_ms)
    last = detector.last(name)
    run = node.presence.incarnation if is_me else last.incarnation if last is not None else ""
    is_leaving = node.presence.is_leaving if is_me else last is not None and last.is_leaving
    disk = node.presence.disk if is_me else last.disk if last is not None else DiskCondition()
    state, reach = node.memories.data_of(name)
    may_vote = not disk.takes_nothing and state is DataState.SOUND
    is_mute = name in node.commanding.mute_since
    return PeerStatus(
        name,
        has_vote,
        is_reachable,
        age_ms,
        run,
        is_leaving,
        disk,
        may_vote,
        state,
        reach.index,
        reach.term,
        node.memories.caught_up_of(name),
        is_mute,
    )


def _age_ms(node: "Node", now_ms: int) -> int:
    """Since when this node's copy may be old: without a leader, since the last one was heard, or since the start."""
    leader = node.replica.raft.leader
    if leader == node.me:
        return 0
    return node.replica.raft.leaderless_ms(now_ms) if leader is None else node.presence.detector.age_ms(leader, now_ms)


def _local_offset_ms(node: "Node") -> int:
    leader = node.replica.raft.leader
    last = node.presence.detector.last(leader) if leader is not None and leader != node.me else None
    return last.local_offset_ms if last is not None else node.wall.local_offset_ms


def is_quorate(node: "Node") -> bool:
    """Whether changes can be committed: this node leads and is ready, or follows a leader that it hears. One that lost
    its data vouches for nothing before it was admitted again, and one that is held for nothing at all.
    Nor does one whose majority lost its data, though it may still lead."""
    raft = node.replica.raft
    if raft.is_amnesiac or raft.is_held or node.lacking.is_stuck or node.lacking.present:
        return False
    return raft.is_leader_ready if raft.leader == node.me else raft.leader is not None
