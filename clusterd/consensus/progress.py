"""What does a leader know of one peer, and what may it send it next? Pure.

A peer is PROBED (one message at a time, until it is known where its log agrees), REPLICATED to (several messages in
flight, each sent as if the one before it had arrived) or sent a SNAPSHOT. All that is in flight is bounded.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum

from clusterd.consensus.outputs import Snapshot
from clusterd.model.ids import NodeId


class Stage(Enum):
    PROBE = "probe"
    REPLICATE = "replicate"
    SNAPSHOT = "snapshot"


@dataclass(slots=True)
class SnapshotTransfer:
    snapshot: Snapshot
    crc32: int
    offset: int = 0


@dataclass(slots=True)
class Progress:
    next_index: int
    heard_ms: int
    match_index: int = 0
    """Durable on the peer and equal to this leader's log up to here."""
    stage: Stage = Stage.PROBE
    inflight: deque[int] = field(default_factory=deque)
    """The last index of each append that is not answered yet; in PROBE at most one."""
    moved_ms: int = 0
    """When what is in flight was sent or last made progress."""
    commit_sent: int = 0
    round_heard: int = 0
    is_amnesiac: bool = False
    """It lost what it promised (see `amnesia`): its answers count towards no quorum."""
    transfer: SnapshotTransfer | None = None

    @property
    def counted_match(self) -> int:
        return 0 if self.is_amnesiac else self.match_index

    @property
    def counted_round(self) -> int:
        return 0 if self.is_amnesiac else self.round_heard

    def is_waiting(self) -> bool:
        return bool(self.inflight) or self.transfer is not None

    def has_room(self, inflight_max: int) -> bool:
        match self.stage:
            case Stage.PROBE:
                return not self.inflight
            case Stage.REPLICATE:
                return len(self.inflight) < inflight_max
            case Stage.SNAPSHOT:
                return False

    def sent(self, last_index: int, now_ms: int) -> None:
        if not self.inflight:
            self.moved_ms = now_ms
        self.inflight.append(last_index)
        if self.stage is Stage.REPLICATE:
            self.next_index = last_index + 1

    def accepted(self, match_index: int, now_ms: int) -> bool:
        """The peer holds the log up to `match_index`; did we not know that yet?"""
        is_news = match_index > self.match_index
        self.match_index = max(self.match_index, match_index)
        if self.stage is Stage.SNAPSHOT and self.transfer and match_index < self.transfer.snapshot.meta.index:
            return is_news
        if self.stage is not Stage.REPLICATE:
            self.inflight.clear()
            self.transfer = None
            self.stage = Stage.REPLICATE
            self.next_index = match_index + 1
        while self.inflight and self.inflight[0] <= match_index:
            self.inflight.popleft()
            self.moved_ms = now_ms
        self.next_index = max(self.next_index, self.match_index + 1)
        return is_news

    def received(self, index: int, now_ms: int) -> None:
        """The peer has the log up to `index` in memory, and cannot make it durable: it is not sent again, and counts not."""
        while self.inflight and self.inflight[0] <= index:
            self.inflight.popleft()
            self.moved_ms = now_ms
        self.next_index = max(self.next_index, index + 1)

    def probe_from(self, next_index: int) -> None:
        """Nothing is taken for granted any more: find out where the logs agree, from `next_index` on."""
        self.stage = Stage.PROBE
        self.inflight.clear()
        self.transfer = None
        self.next_index = max(next_index, self.match_index + 1)

    def link_opened(self, now_ms: int) -> None:
        """The peer may be another run of the node, with less on its disk than it once acknowledged."""
        self.probe_from(self.match_index + 1)
        self.match_index = 0
        self.commit_sent = 0
        self.moved_ms = now_ms


@dataclass(slots=True)
class WaitingRead:
    round: int
    index: int
    origin: NodeId
    context: int


@dataclass(slots=True)
class Leading:
    """All that exists only while this node leads."""

    first_index: int
    """The entry with which this term began; nothing is decided before it is committed."""
    peers: dict[NodeId, Progress] = field(default_factory=dict)
    round: int = 0
    is_round_wanted: bool = False
    reads: deque[WaitingRead] = field(default_factory=deque)
    transfer_to: NodeId | None = None
    transfer_until_ms: int = 0
    is_timeout_sent: bool = False
