"""What follows from a heartbeat of a peer, or from what its log says? Pure."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from clusterd.model.ids import NodeId
from clusterd.node import events as happened
from clusterd.wire.consensus_pb2 import ConsensusMessage
from clusterd.wire.peer_pb2 import Heartbeat

if TYPE_CHECKING:
    from clusterd.node.node import Node


class Hearing:
    """What one node hears; every part of it gets its share."""

    def __init__(self, node: "Node") -> None:
        self._node = node

    def take_messages(self, sender: NodeId, messages: Sequence[ConsensusMessage], now_ms: int) -> None:
        for message in self._node.memories.let_in(sender, messages):
            self._node.replica.raft.receive(sender, message, now_ms)

    def by_stream(self, sender: NodeId, heartbeat: Heartbeat, *, is_direct: bool, now_ms: int, at_ms: int) -> None:
        is_new_run = self._is_new_run(sender, heartbeat)
        if self._hear(sender, heartbeat, is_direct=is_direct, by_stream=True, now_ms=now_ms, at_ms=at_ms):
            self._node.talking.heard(sender)
            if is_new_run:
                self._node.beat(now_ms, to=[sender])
            elif heartbeat.wants_answer and self._node.talking.may_answer(sender, now_ms):
                self._node.beating.answer(sender, now_ms)

    def by_datagram(self, sender: NodeId, heartbeat: Heartbeat, now_ms: int, at_ms: int) -> None:
        is_new_run = self._is_new_run(sender, heartbeat)
        if not self._hear(sender, heartbeat, is_direct=True, by_stream=False, now_ms=now_ms, at_ms=at_ms):
            return
        has_outlived_link = self._node.talking.heard_datagram(
            sender, at_ms, hears_datagrams=heartbeat.hears_datagrams, acknowledges=heartbeat.ack.sequence
        )
        if has_outlived_link:
            self._node.replica.raft.peer_lives(sender, now_ms)
        if is_new_run or (heartbeat.wants_answer and self._node.talking.may_answer(sender, now_ms)):
            self._node.beating.beat(now_ms, (sender,))

    def _is_new_run(self, sender: NodeId, heartbeat: Heartbeat) -> bool:
        before = self._node.presence.detector.last(sender)
        return before is None or before.daemon_run != heartbeat.daemon_run

    def _hear(
        self, sender: NodeId, heartbeat: Heartbeat, *, is_direct: bool, by_stream: bool, now_ms: int, at_ms: int
    ) -> bool:
        """Take a heartbeat in that arrived at `at_ms`. False: it comes from a run of the sender's daemon that is over."""
        is_news = self._node.presence.is_news(sender, heartbeat)
        if not self._node.presence.receive(sender, heartbeat, is_direct=is_direct, now_ms=at_ms, by_stream=by_stream):
            return False
        if heartbeat.wants_answer:
            self._node.beating.attention.pay(now_ms)
        self._node.doubles.heard(sender, heartbeat, now_ms)
        memory = heartbeat.memory if heartbeat.HasField("memory") else None
        had = self._node.memories.data_of(sender)[0]
        self._node.memories.hear(sender, heartbeat.daemon_run, memory, now_ms)
        is_news |= self._node.memories.data_of(sender)[0] is not had
        if self._node.memories.has_kept(sender):
            self.take_messages(sender, (), now_ms)
        if sender == self._node.replica.raft.leader:
            self._node.cluster_clock.follow(heartbeat.cluster_ms, now_ms)
        if heartbeat.HasField("beat"):
            self.take_messages(sender, (heartbeat.beat,), now_ms)
        self._node.digests.compare(self._node, sender, heartbeat, now_ms)
        self._node.leading.is_due |= is_news  # everything else is looked at with the own beat
        return True


def arrival_ms(event: happened.Received | happened.DatagramReceived, now_ms: int) -> int:
    """A heartbeat that waited counts from when it came: nobody is heard later, nor acknowledged later, than he spoke."""
    return now_ms if event.at_ms is None else min(event.at_ms, now_ms)
