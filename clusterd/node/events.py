"""What can happen to a node? Pure. Each is a plain value that the shell, or the simulator, feeds to `Node.step`."""

from dataclasses import dataclass
from typing import TypeAlias

from clusterd.membership.runs import Caller, Rival
from clusterd.model.disk import DiskState
from clusterd.model.ids import Incarnation, NodeId, ResourceId
from clusterd.model.records import ResourceTypeRecord
from clusterd.owner import CallAnswer, Happening, Hosted, HostEnd
from clusterd.wire.peer_pb2 import Envelope, Heartbeat
from clusterd.wire.records_pb2 import Transaction


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; `Node.next_deadline_ms` says when the next one is due."""


@dataclass(frozen=True, slots=True)
class WallClock:
    """What to add to this node's own clock to get the time that people read. Compared with nothing.

    `local_offset_ms` is what to add to that to get the local time of day, by which failback windows go.
    """

    offset_ms: int
    local_offset_ms: int = 0


@dataclass(frozen=True, slots=True)
class Received:
    """A message arrived over the link to `link` (which relays it when it is not the sender), at `at_ms` (None: now)."""

    link: NodeId
    envelope: Envelope
    at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class DatagramReceived:
    """A heartbeat came as a datagram, proven to be of that peer's present run and not to be a repetition."""

    peer: NodeId
    heartbeat: Heartbeat
    at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class LinkOpened:
    peer: NodeId


@dataclass(frozen=True, slots=True)
class LinkBroken:
    """The stream to a peer ended. A reason to look at once, never evidence."""

    peer: NodeId


@dataclass(frozen=True, slots=True)
class RunCalled:
    """A daemon said hello as that peer. Whether it was let in: see `node.doubles`."""

    peer: NodeId
    caller: Caller


@dataclass(frozen=True, slots=True)
class RunRefused:
    """A peer does not let this daemon in: another one speaks, or spoke a moment ago, as this node."""

    by: NodeId
    rival: Rival


@dataclass(frozen=True, slots=True)
class LogWritten:
    """Everything up to this write's sequence number is durable."""

    sequence: int


@dataclass(frozen=True, slots=True)
class DiskRefused:
    """The disk takes no writes now (`state` FULL or REFUSES), or never again (FAILED): the daemon is about to end."""

    state: DiskState
    text: str
    hint: str


@dataclass(frozen=True, slots=True)
class DiskTook:
    """It takes writes again; those that waited were made."""


@dataclass(frozen=True, slots=True)
class GuardUp:
    """The guard answered, or began a new incarnation. `ended` are proven to run nothing any more.

    `hosts` are running already: nothing is started before each of them said what it runs, or ended.
    """

    incarnation: Incarnation
    ended: tuple[Incarnation, ...]
    deadline_ms: int
    containment: str
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GuardRenewed:
    """The guard took over a deadline (or refused to)."""

    incarnation: Incarnation
    deadline_ms: int
    is_refused: bool
    because: str = ""


@dataclass(frozen=True, slots=True)
class IncarnationEnded:
    """The guard proved that nothing of `ended` runs any more."""

    ended: Incarnation
    because: str
    successor: Incarnation


@dataclass(frozen=True, slots=True)
class GuardGone:
    because: str


@dataclass(frozen=True, slots=True)
class HostUp:
    host: str
    incarnation: Incarnation
    pid: int
    hosted: tuple[Hosted, ...]
    types: tuple[ResourceTypeRecord, ...]
    plugin_troubles: tuple[str, ...] = ()
    """What it could not load, and why."""


@dataclass(frozen=True, slots=True)
class HostSilent:
    """A host answers nothing, not even a ping."""

    host: str
    because: str


@dataclass(frozen=True, slots=True)
class CallProgressed:
    call_id: int
    message: str = ""


@dataclass(frozen=True, slots=True)
class CallAnswered:
    call_id: int
    answer: CallAnswer


@dataclass(frozen=True, slots=True)
class ResourceHappened:
    resource: ResourceId
    generation: int
    what: Happening
    message: str


@dataclass(frozen=True, slots=True)
class FenceAnswered:
    """`answer` is ended, running or unknown, about that run and no other."""

    node: NodeId
    run_id: str
    verb: str
    answer: str


@dataclass(frozen=True, slots=True)
class CommitAsked:
    """A client wants a transaction committed; answered by a `CommitDone` with the same context."""

    context: int
    transaction: Transaction
    until_ms: int
    term: int = 0
    """Only as the leader of this term: else it is refused, and not sent to another. 0: whoever leads."""


@dataclass(frozen=True, slots=True)
class ReadAsked:
    """A client wants a linearizable read; answered by a `ReadDone` with the same context."""

    context: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class StopAsked:
    """The node is to leave in order: take everything offline, hand it over, and say so with `Left`."""

    because: str


@dataclass(frozen=True, slots=True)
class MachineMeasured:
    """What the machine has, and how busy it is: all processors together over five minutes, memory in use now."""

    memory_mib: int
    cores: int
    processor_percent: int
    memory_percent: int


Event: TypeAlias = (
    Tick
    | WallClock
    | Received
    | DatagramReceived
    | LinkOpened
    | LinkBroken
    | RunCalled
    | RunRefused
    | LogWritten
    | DiskRefused
    | DiskTook
    | GuardUp
    | GuardRenewed
    | IncarnationEnded
    | GuardGone
    | HostUp
    | HostEnd
    | HostSilent
    | CallProgressed
    | CallAnswered
    | ResourceHappened
    | FenceAnswered
    | CommitAsked
    | ReadAsked
    | StopAsked
    | MachineMeasured
)
