"""What can befall the disks of a simulated cluster, and did anybody promise what is not on one? Pure.

A promise is what another node counts on after a crash: an acknowledged entry, a granted vote. Whatever a node says of that
kind must be on its own disk at the moment in which it says it.
"""

from typing import TYPE_CHECKING

from clusterd.wire.consensus_pb2 import ConsensusMessage, HardState
from clusterd.wire.peer_pb2 import Envelope

if TYPE_CHECKING:
    from clusterd.sim.disk import Disk


class DiskFaults:
    """Which disks are slow, and which take nothing."""

    def __init__(self) -> None:
        self._slow_ms: dict[str, int] = {}
        self._full: set[str] = set()
        self._broken: set[str] = set()

    def slow(self, name: str, extra_ms: int) -> None:
        """Each write takes so much longer; 0: it is as quick as before."""
        self._slow_ms[name] = extra_ms

    def fill(self, name: str) -> None:
        self._full.add(name)

    def heal(self) -> None:
        self._slow_ms.clear()
        self._full.clear()
        self._broken.clear()

    def turn(self, name: str) -> str:
        """Fill a disk that has room, free one that has none; what was done."""
        if name in self._full:
            self.free(name)
            return f"free disk {name}"
        self.fill(name)
        return f"fill disk {name}"

    def free(self, name: str) -> None:
        self._full.discard(name)

    def break_down(self, name: str) -> None:
        """The next sync fails."""
        self._broken.add(name)

    def is_broken(self, name: str) -> bool:
        return name in self._broken

    def slow_us(self, name: str) -> int:
        return self._slow_ms.get(name, 0) * 1000

    def is_full(self, name: str) -> bool:
        return name in self._full


class DiskJudge:
    """Compares what nodes promise with what their disks hold."""

    def __init__(self) -> None:
        self.breaches: list[str] = []

    def sent(self, name: str, envelope: Envelope, disk: "Disk") -> None:
        if envelope.sender != name:
            return  # relayed
        if envelope.HasField("heartbeat") and envelope.heartbeat.HasField("beat"):
            self._judge(name, envelope.heartbeat.beat, disk)
        for message in envelope.consensus.messages if envelope.HasField("consensus") else ():
            self._judge(name, message, disk)

    def _judge(self, name: str, message: ConsensusMessage, disk: "Disk") -> None:
        kind = message.WhichOneof("body")
        if kind == "append_reply" and message.append_reply.accepted:
            self._holds(name, message.append_reply.match_index, disk, "acknowledged")
        elif kind == "beat_reply":
            self._holds(name, message.beat_reply.match_index, disk, "said to hold")
        elif kind == "vote_reply" and message.vote_reply.granted and not message.vote_reply.is_pre_vote:
            self._voted(name, message.term, disk.hard_state)

    def _holds(self, name: str, index: int, disk: "Disk", what: str) -> None:
        if index > disk.last_index:
            self.breaches.append(f"{name} {what} entry {index}, and its disk ends at {disk.last_index}")

    def _voted(self, name: str, term: int, kept: HardState) -> None:
        if kept.term < term or not kept.voted_for:
            self.breaches.append(f"{name} voted in term {term}, and its disk knows of term {kept.term} only")
