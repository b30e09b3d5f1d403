"""Who is this node towards its peers, and who hears of what they do? Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from clusterd.adapters.certificates import Credentials
from clusterd.membership.runs import Caller, Rival
from clusterd.model.events import Note
from clusterd.model.ids import Incarnation, NodeId
from clusterd.wire.peer_pb2 import Envelope, Heartbeat


@dataclass(frozen=True, slots=True)
class PeerEvents:
    """Where the links report to. All are called on the event loop and must not block."""

    opened: Callable[[NodeId], None]
    broken: Callable[[NodeId], None]
    received: Callable[[NodeId, Envelope], None]
    received_datagram: Callable[[NodeId, Heartbeat, int], None]
    """With its time of arrival on the boot-time clock."""
    noted: Callable[[Note], None]
    called: Callable[[NodeId, Caller], Rival | None]
    """A daemon says hello as that peer. Who is taken for it instead; None: the caller is let in."""
    refused: Callable[[NodeId, Rival], None]
    """That peer turned this daemon away, because of another one."""
    standing: Callable[[], tuple[Incarnation, Sequence[Incarnation], int]]
    """The incarnation of this node's guard, those that it proved to be over, and how often its data was started on."""
    stream_silence_max_ms: Callable[[], int]
    """For how long a stream may bring nothing."""


@dataclass(frozen=True, slots=True)
class PeerIdentity:
    """Who this node is towards its peers."""

    cluster: str
    cluster_id: str
    node: NodeId
    daemon_run: str
    credentials: Credentials
