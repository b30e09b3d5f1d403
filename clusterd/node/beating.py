"""When does this node say to whom that it lives, and by which way? Pure.

A regular heartbeat goes to every peer, as a datagram. The stream carries it too while datagrams do not pass in both
directions, and now and then when they do, so that a stream which carries nothing is noticed. What is news goes both ways at
once. A node whose acknowledgements stay out, or that misses somebody, asks for an answer in quick succession for a while: at
40 % packet loss one exchange in three succeeds, and a lease must not hang on a few of them.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from clusterd.model.ids import NodeId
from clusterd.node.attention import Attention
from clusterd.node.effects import KnowMembers, SendDatagram
from clusterd.wire.peer_pb2 import Envelope, Heard, Heartbeat

if TYPE_CHECKING:
    from clusterd.node.node import Node

DATAGRAM_BODY_BYTES_MAX = 1168
"""A datagram has 1,200 bytes at most, of which key id, sequence number and proof take 32."""
ASKS_A_BEAT = 4
ASKED_A_BEAT_MAX = 16
"""Questions to all peers together in the time of one heartbeat, about."""


class Beating:
    """The rhythm of one node's heartbeats."""

    def __init__(self, node: "Node", founders: Iterable[NodeId], now_ms: int) -> None:
        """`founders`: whom to reach as long as the database names nobody."""
        self._node = node
        self._founders = tuple(founders)
        self._next_beat_ms = now_ms
        self._next_ask_ms: int | None = None
        self._streamed_ms: dict[NodeId, int] = {}
        self._told_last = 0
        self._is_waiting = True
        """For its lease: then every answer counts at once."""
        self._members: tuple[NodeId, ...] = ()
        self.attention = Attention(node)

    def next_deadline_ms(self) -> int:
        return self._next_beat_ms if self._next_ask_ms is None else min(self._next_beat_ms, self._next_ask_ms)

    def is_due(self, now_ms: int) -> bool:
        """Whether the next step sends heartbeats, and looks who is missed."""
        return now_ms >= self.next_deadline_ms()

    def know_members(self) -> None:
        """Who is a member may have changed: an evicted node loses its keys at once."""
        members = tuple(record.name for record in self._node.replica.view.nodes()) or self._founders
        if members != self._members:
            self._members = members
            self._node.talking.know(members)
            self._node.do(KnowMembers(frozenset(members)))

    def may_wait(self, sender: NodeId, heartbeat: Heartbeat, *, by_stream: bool) -> bool:
        """Whether a heartbeat that came may be looked at with the next own one: nobody waits for what it says.

        Its acknowledgement travels with that one anyway, and taking in one after the other would cost more than all else
        that an idle node does.
        """
        if not by_stream and not self.attention.is_paid:
            return True
        raft, beat = self._node.replica.raft, heartbeat.beat
        if heartbeat.wants_answer or self._is_waiting or self._next_ask_ms is not None:
            return False
        if sender in self._node.talking.broken_links or self._node.presence.is_news(sender, heartbeat):
            return False
        last = self._node.presence.detector.last(sender)
        is_known_run = last is not None and last.daemon_run == heartbeat.daemon_run
        is_known_log = not heartbeat.HasField("beat") or (
            beat.term == raft.term and beat.beat.commit_index <= raft.commit_index
        )
        return is_known_run and is_known_log

    def beat_if_due(self, now_ms: int) -> bool:
        """Send what is due. True for a regular heartbeat, with which this node also looks around."""
        if now_ms >= self._next_beat_ms:
            # In step with the clock, so that a late beat does not delay the ones after it; but never in a burst.
            delay_ms = self._node.settings.same_subnet_delay_ms
            in_step_ms = self._next_beat_ms + delay_ms
            self._next_beat_ms = in_step_ms if in_step_ms > now_ms else now_ms + delay_ms
            self.know_members()
            self._node.writing.look(now_ms)
            self._node.doubles.look(now_ms)
            self._node.lacking.look(now_ms)
            self._node.look_who_can_be_commanded(now_ms)
            peers = self._node.talking.peers
            self._is_waiting = self._node.owning.waits_for_lease(now_ms)
            if self._is_waiting:
                self.beat(now_ms, peers, asks=peers)
            else:
                missing = self._missing(now_ms)
                self.beat(now_ms, peers, asks=missing)
                self._ask_soon(now_ms, is_wanted=bool(missing))
            self.attention.look(now_ms)
            return True
        if self._next_ask_ms is not None and now_ms >= self._next_ask_ms:
            missing = self._missing(now_ms)
            if missing:
                self.beat(now_ms, missing, asks=missing)
            self._ask_soon(now_ms, is_wanted=bool(missing))
        return False

    def beat(
        self, now_ms: int, peers: Sequence[NodeId], *, asks: Collection[NodeId] = (), is_news: bool = False
    ) -> None:
        """One sending to these peers; those in `asks` are to answer at once. News goes over the stream in any case."""
        node = self._node
        if asks:
            self.attention.pay(now_ms)
        node.presence.beat_of_own(now_ms)
        raft = node.replica.raft
        # A follower's answer to its leader is given out once: not for a sending that does not go there.
        beats = raft.beats(now_ms) if raft.leader == node.me or raft.leader in peers else {}
        shared = node.presence.shared_part(now_ms=now_ms, cluster_ms=node.cluster_clock.read(now_ms))
        heard = node.presence.heard(node.talking.peers, now_ms)
        datagram = self._for_datagrams(shared, heard)
        quiet_max_ms = node.presence.quiet_max_ms
        for peer in peers:
            own = node.presence.own_part(
                peer,
                now_ms=now_ms,
                beat=beats.get(peer),
                wants_answer=peer in asks,
                hears_datagrams=node.talking.hears_datagrams_of(peer, now_ms, quiet_max_ms),
            )
            own.memory.CopyFrom(node.memories.told_to(peer, node.wall.read(now_ms)))
            # Two serialized parts in a row are the message that has the fields of both.
            body = datagram + own.SerializeToString()
            if len(body) <= DATAGRAM_BODY_BYTES_MAX:
                node.do(SendDatagram(peer, body))
            if is_news or self._is_stream_due(peer, now_ms):
                self._streamed_ms[peer] = now_ms
                own.MergeFrom(shared)
                own.heard.extend(heard)
                node.send(peer, Envelope(heartbeat=own), now_ms)

    def answer(self, peer: NodeId, now_ms: int) -> None:
        """To a question that came over a stream: over the stream too, unless datagrams are known to pass."""
        quiet_max_ms = self._node.presence.quiet_max_ms
        is_passing = self._node.talking.do_datagrams_pass(peer, now_ms, quiet_max_ms)
        self.beat(now_ms, (peer,), is_news=not is_passing)

    def _is_stream_due(self, peer: NodeId, now_ms: int) -> bool:
        settings = self._node.settings
        passed_ms = now_ms - self._streamed_ms.get(peer, now_ms - settings.stream_silence_max_ms)
        if self._node.talking.do_datagrams_pass(peer, now_ms, self._node.presence.quiet_max_ms):
            return passed_ms >= settings.stream_silence_max_ms * 3 // 4
        return passed_ms > settings.same_subnet_delay_ms // 2

    def _missing(self, now_ms: int) -> list[NodeId]:
        """Whom to ask: everybody when acknowledgements stay out, or a leader's answers; else who has just gone quiet."""
        node = self._node
        delay_ms, peers = node.settings.same_subnet_delay_ms, node.talking.peers
        late_ms = (
            5 * delay_ms // 2
        )  # an answer comes with the next heartbeat, and the next one of the own is a beat later
        lease_start_ms = node.presence.lease_start_ms()
        if lease_start_ms is not None and now_ms - lease_start_ms > late_ms and node.owning.holds_lease(now_ms):
            return list(peers)
        if node.replica.raft.quorum_silent_ms(now_ms) > late_ms:
            return list(peers)
        detector, limit_ms = node.presence.detector, node.settings.silence_max_ms
        return [
            peer
            for peer in peers
            if detector.last(peer) is not None and 2 * delay_ms < detector.age_ms(peer, now_ms) <= limit_ms
        ]

    def _ask_soon(self, now_ms: int, *, is_wanted: bool) -> None:
        """The more peers there are the slower: many answer, and an overloaded machine must not be asked to death."""
        delay_ms = self._node.settings.same_subnet_delay_ms
        pause_ms = max(delay_ms // ASKS_A_BEAT, delay_ms * len(self._node.talking.peers) // ASKED_A_BEAT_MAX)
        self._next_ask_ms = now_ms + pause_ms if is_wanted else None

    def _for_datagrams(self, shared: Heartbeat, heard: Sequence[Heard]) -> bytes:
        """With as many of those who are heard as there is room for, in turns; half of the room is each peer's own."""
        bare = shared.SerializeToString()
        whole = bare + Heartbeat(heard=heard).SerializeToString()
        if len(whole) <= DATAGRAM_BODY_BYTES_MAX // 2:
            return whole
        part, room = Heartbeat(is_partial=True), DATAGRAM_BODY_BYTES_MAX // 2 - len(bare)
        for _ in heard:
            self._told_last = (self._told_last + 1) % len(heard)
            part.heard.append(heard[self._told_last])
            if part.ByteSize() > room:
                del part.heard[-1]
                self._told_last -= 1
                break
        return bare + part.SerializeToString()
