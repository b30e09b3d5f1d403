"""What does one node do about everything that happens to it? Pure: `step(event, now_ms) -> effects`.

One step takes the event in, lets the consensus core, the leader's and the owner's thinking react until nothing is left to
react to, and returns what the shell must do. A leader decides, owners act, everybody keeps time.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from clusterd.consensus import Restored
from clusterd.consensus.memory import FRESH, Marker
from clusterd.database import Draft
from clusterd.membership import Commanding
from clusterd.model import keys
from clusterd.model.errors import ClusterError, NotLeader, TooLarge, invariant
from clusterd.model.events import LINK_BROKEN, LINK_OPENED, LOOP_LATE, NODE_MUTED, Note, note
from clusterd.model.ids import NodeId
from clusterd.model.settings import ClusterSettings, cluster_settings
from clusterd.node import events as happened
from clusterd.node.beating import Beating
from clusterd.node.clocks import ClusterClock, WallReading
from clusterd.node.digests import Digests
from clusterd.node.doubles import Doubles
from clusterd.node.effects import Applied, CommitDone, Effect, Mark, Noted, Send
from clusterd.node.hearing import Hearing, arrival_ms
from clusterd.node.lacking import Lacking
from clusterd.node.leading import Leading
from clusterd.node.memories import Memories
from clusterd.node.owning import Owning
from clusterd.node.patience import raft_settings, settings_in
from clusterd.node.presence import NodeIdentity, Presence
from clusterd.node.proposals import ForAlarm, ForClient, ForLeader, ForOwner, ForPeer, ForTypes, Outcome, Purpose
from clusterd.node.reading import Reads
from clusterd.node.replica import Replica
from clusterd.node.talking import Talking
from clusterd.node.watching import Watching
from clusterd.node.writing import Writing
from clusterd.owner import HostEnd, Now
from clusterd.wire.peer_pb2 import ConsensusBatch, Envelope, ProposeReply, ProposeRequest
from clusterd.wire.records_pb2 import Transaction

PROPOSAL_BYTES_MAX = 512 * 1024
INTERNAL_PATIENCE_MS = 3_600_000
LATE_MIN_MS = 100
TRY_AGAIN_MS = 20
FULL_AGAIN_MS = 250
"""While the disk of this leader takes nothing: nobody gains by asking sooner."""
ROUNDS_MAX = 64
"""Rounds of one step. Each needs a write, a message or time to go on, so that a few are enough; endless ones are a bug."""
SHOWN_MAX, SHOWN_MOST = 200, 3
REFUSED_TOO_LARGE = "too-large"


@dataclass(slots=True)
class Outbox:
    """What this step wants done, in order."""

    effects: list[Effect] = field(default_factory=list)

    def add(self, effect: Effect) -> None:
        self.effects.append(effect)

    def notes(self, notes: Iterable[Note]) -> None:
        self.effects.extend(Noted(each) for each in notes)


class Node:
    """One node of the cluster."""

    def __init__(
        self,
        identity: NodeIdentity,
        restored: Restored,
        *,
        rng: random.Random,
        now_ms: int,
        members: Iterable[NodeId] = (),
        is_amnesiac: bool = False,
        marker: Marker = FRESH,
    ) -> None:
        """`members`: whom to reach as long as the database names nobody. `marker`: what the last run wrote down."""
        self.identity = identity
        self.me = identity.node
        self.members = tuple(members)
        first = raft_settings(settings_in(restored))
        self.replica = Replica(self.me, restored, first, rng, now_ms, is_amnesiac=is_amnesiac, marker=marker)
        self.memories = Memories(self.me, identity.daemon_run, self.replica.raft, restored, marker, now_ms)
        self.digests = Digests(self.me, self.replica.digest_at)
        self.settings: ClusterSettings = cluster_settings(self.replica.view.cluster())
        self.presence = Presence(identity, self.replica, now_ms)
        self._take_limits()
        self.cluster_clock = ClusterClock(self.replica.database.cluster_ms, now_ms)
        self.wall = WallReading()
        self.talking = Talking(self.me)
        self.beating = Beating(self, members, now_ms)
        self.watching = Watching(self.me)
        self.commanding = Commanding(self.me)
        self.writing = Writing(self, now_ms)
        self.lacking = Lacking(self)
        self.doubles = Doubles(self, has_run_before=marker.boots > 1, now_ms=now_ms)
        self.reads = Reads()
        self.owning = Owning(self)
        self.leading = Leading(self)
        self._next_request = 0
        self.hearing = Hearing(self)
        self._expected_tick_ms: int | None = None
        self._deadline_ms = now_ms
        self._out = Outbox()

    def _take_limits(self) -> None:
        self.presence.quiet_max_ms = 3 * self.settings.same_subnet_delay_ms
        self.presence.stream_silence_max_ms = self.settings.stream_silence_max_ms

    # ---- the one entrance ----

    def step(self, event: happened.Event, now_ms: int) -> list[Effect]:
        """Take in one event and return what to do."""
        return self.step_all((event,), now_ms)

    def step_all(self, events: Iterable[happened.Event], now_ms: int) -> list[Effect]:
        """The same for several events that wait together: they share one pass of thinking and one write."""
        self._out = Outbox()
        was_amnesiac = self.replica.raft.is_amnesiac
        for event in events:
            self._take(event, now_ms)
        self._beat_if_due(now_ms)
        self.replica.raft.tick(now_ms)
        self._settle(now_ms)
        if was_amnesiac and not self.replica.raft.is_amnesiac:
            self.beat(now_ms)  # the others have waited for its vote
        marker = self.memories.due(now_ms, self.wall.read(now_ms))
        if marker is not None:
            self.do(Mark(marker))
        self._deadline_ms = self._expected_tick_ms = self._next_deadline_ms()
        return self._out.effects

    def may_wait(self, event: happened.Event, now_ms: int) -> bool:
        """Whether an event may be stepped with together with the next one: nothing that it says is waited for."""
        match event:
            case happened.DatagramReceived():
                return self.beating.may_wait(event.peer, event.heartbeat, by_stream=False)
            case happened.Received():
                return event.envelope.sender == event.link and self._may_wait(event.link, event.envelope)
            case happened.GuardRenewed():
                return self.owning.may_wait(event, now_ms)
            case _:
                return False

    def _may_wait(self, link: NodeId, envelope: Envelope) -> bool:
        raft = self.replica.raft
        if envelope.HasField("heartbeat"):
            return self.beating.may_wait(link, envelope.heartbeat, by_stream=True)
        is_learner = link in raft.configuration.learners
        return (
            envelope.HasField("consensus")
            and not is_learner
            and raft.says_nothing_new(link, envelope.consensus.messages)
        )

    def next_deadline_ms(self) -> int:
        """When to call `step(Tick())` although nothing happened, as of the last step."""
        return self._deadline_ms

    def _next_deadline_ms(self) -> int:
        times = [
            self.replica.raft.next_deadline_ms(),
            self.beating.next_deadline_ms(),
            self.replica.proposals.next_deadline_ms(),
            self.reads.next_deadline_ms(),
            self.owning.next_look_ms,
            self.owning.lease_ends_ms(),
            self.leading.next_deadline_ms,
        ]
        return min(each for each in times if each is not None)

    def now(self, now_ms: int) -> Now:
        wall_ms, revision = self.wall.read(now_ms), self.replica.database.revision
        return Now(now_ms, self.cluster_clock.read(now_ms), wall_ms, revision)

    def do(self, effect: Effect) -> None:
        """Have the shell do something (for the parts of the node)."""
        self._out.add(effect)

    def say(self, *notes: Note) -> None:
        self._out.notes(notes)

    # ---- events ----

    def _take(self, event: happened.Event, now_ms: int) -> None:
        match event:
            case happened.Tick():
                self._discount_lateness(now_ms)
            case happened.WallClock():
                self.wall.offset_ms, self.wall.local_offset_ms = event.offset_ms, event.local_offset_ms
                self.presence.local_offset_ms = event.local_offset_ms
            case happened.Received():
                self._receive(event.link, event.envelope, now_ms, arrival_ms(event, now_ms))
            case happened.DatagramReceived():
                self.hearing.by_datagram(event.peer, event.heartbeat, now_ms, arrival_ms(event, now_ms))
            case happened.LinkOpened():
                self.talking.opened(event.peer)
                self.replica.raft.link_opened(event.peer, now_ms)
                self.say(note(LINK_OPENED, peer=event.peer))
                self.beat(now_ms, to=[event.peer], wants_answer=True)
            case happened.LinkBroken():
                self.talking.broke(event.peer, self.presence.sendings.next_sequence)
                self.beating.beat(now_ms, (event.peer,), asks=(event.peer,))
                self.replica.raft.link_broken(event.peer, now_ms)
                self.leading.is_due = True  # a power switch may know more
                self.say(note(LINK_BROKEN, peer=event.peer))
            case happened.RunCalled() | happened.RunRefused():
                self.doubles.take(event, now_ms)
            case happened.LogWritten() | happened.DiskRefused() | happened.DiskTook():
                self.writing.take(event, now_ms)
            case happened.FenceAnswered():
                self.leading.fence_answered(event, now_ms)
            case happened.CommitAsked():
                purpose = ForClient(event.context, event.term)
                self.submit(purpose, event.transaction, now_ms, until_ms=event.until_ms)
            case happened.ReadAsked():
                self.reads.ask(event.context, event.until_ms)
            case (
                happened.GuardUp()
                | happened.GuardRenewed()
                | happened.IncarnationEnded()
                | happened.GuardGone()
                | happened.HostUp()
                | HostEnd()
                | happened.HostSilent()
                | happened.CallProgressed()
                | happened.CallAnswered()
                | happened.ResourceHappened()
                | happened.StopAsked()
                | happened.MachineMeasured()
            ):
                self.owning.take(event, now_ms)
            case _:
                assert_never(event)

    def _discount_lateness(self, now_ms: int) -> None:
        """The detector blames itself first: time in which this loop did not run is nobody's silence."""
        if self._expected_tick_ms is None:
            return
        late_ms = now_ms - self._expected_tick_ms
        if late_ms > max(LATE_MIN_MS, self.settings.same_subnet_delay_ms):
            self.presence.detector.discount(late_ms, now_ms)
            self.writing.discount(late_ms, now_ms)
            self.say(note(LOOP_LATE, late_ms=late_ms))

    def _receive(self, link: NodeId, envelope: Envelope, now_ms: int, at_ms: int) -> None:
        self.presence.detector.carried(link, at_ms, is_direct=True)
        sender, receiver = NodeId(envelope.sender), NodeId(envelope.receiver)
        if receiver != self.me:
            if envelope.is_relayed and sender == link and receiver in self.talking.open_links:
                self.do(Send(receiver, envelope))
            return
        if sender != link and not envelope.is_relayed:
            return
        if sender != link:
            self.presence.detector.carried(sender, at_ms, is_direct=False)
        match envelope.WhichOneof("body"):
            case "heartbeat":
                self.hearing.by_stream(sender, envelope.heartbeat, is_direct=sender == link, now_ms=now_ms, at_ms=at_ms)
            case "consensus":
                self.hearing.take_messages(sender, envelope.consensus.messages, now_ms)
                self.memories.acknowledged(sender, self.replica.raft.acknowledged_by(sender))
                self.leading.is_due |= sender in self.replica.raft.configuration.learners  # it may have caught up
            case "propose_request":
                self._take_proposal(sender, envelope.propose_request, now_ms)
            case "propose_reply":
                reply = envelope.propose_reply
                result = reply.result if reply.HasField("result") else None
                is_too_large = reply.refused == REFUSED_TOO_LARGE
                self.replica.proposals.answered(reply.context, result, now_ms=now_ms, is_too_large=is_too_large)
            case _:
                pass

    def _take_proposal(self, sender: NodeId, request: ProposeRequest, now_ms: int) -> None:
        purpose = ForPeer(sender, request.context)
        if not self.replica.is_leader or len(request.transaction) > PROPOSAL_BYTES_MAX:
            refused = REFUSED_TOO_LARGE if self.replica.is_leader else "not-leader"
            reply = ProposeReply(context=request.context, refused=refused, leader=self.replica.raft.leader or "")
            self.send(sender, Envelope(propose_reply=reply), now_ms)
            return
        transaction = Transaction.FromString(request.transaction)
        self.submit(purpose, transaction, now_ms, until_ms=now_ms + INTERNAL_PATIENCE_MS)

    # ---- sending ----

    def send(self, peer: NodeId, envelope: Envelope, now_ms: int) -> None:
        """Over the direct link, or through a node that both ends reach."""
        link = self.talking.route(
            peer,
            self.presence.detector,
            now_ms,
            quiet_max_ms=self.presence.quiet_max_ms,
            mute_after_ms=self.presence.stream_silence_max_ms,
        )
        if link is None:
            return
        envelope.sender, envelope.receiver = self.me, peer
        envelope.is_relayed = link != peer
        self.do(Send(link, envelope))
        if link != peer and peer in self.talking.open_links and envelope.HasField("heartbeat"):
            # Only what travels on the own stream shows that it carries something again.
            self.do(Send(peer, Envelope(sender=self.me, receiver=peer, heartbeat=envelope.heartbeat)))

    def beat(self, now_ms: int, *, to: Sequence[NodeId] | None = None, wants_answer: bool = False) -> None:
        """Send a heartbeat out of turn, to some nodes or to all: there is news."""
        peers = self.talking.peers if to is None else to
        self.beating.beat(now_ms, peers, asks=peers if wants_answer else (), is_news=True)

    def look_who_can_be_commanded(self, now_ms: int) -> None:
        before = self.commanding.mute_since
        self.commanding.look(
            self.presence.detector,
            self.talking.peers,
            now_ms=now_ms,
            heard_within_ms=self.settings.silence_max_ms,
            carried_within_ms=self.settings.stream_silence_max_ms,
        )
        after = self.commanding.mute_since
        self.say(*(note(NODE_MUTED, peer=peer) for peer in sorted(after.keys() - before.keys())))

    def _beat_if_due(self, now_ms: int) -> None:
        if self.beating.beat_if_due(now_ms):
            self.say(
                *self.watching.look(
                    self.presence.detector,
                    self.talking.peers,
                    [NodeId(each) for each in self.replica.raft.configuration.voters],
                    now_ms=now_ms,
                    silence_max_ms=self.settings.silence_max_ms,
                )
            )
            self.leading.look_around(is_calm=self.replica.is_leader and self._is_calm(now_ms))

    def _is_calm(self, now_ms: int) -> bool:
        """Whether nobody waits for anybody, and all hear all."""
        late_ms = 3 * self.settings.same_subnet_delay_ms
        is_heard = self.presence.detector.all_hear_all(self.talking.peers, now_ms, late_ms)
        return is_heard and not self.beating.attention.is_paid and not self.commanding.mute_since

    # ---- committing ----

    def submit(
        self,
        purpose: Purpose,
        transaction: Transaction,
        now_ms: int,
        *,
        until_ms: int | None = None,
        may_have_taken_effect: bool = False,
    ) -> None:
        """Have a transaction committed, here or at the leader; the outcome comes back to `purpose`."""
        until = until_ms if until_ms is not None else now_ms + INTERNAL_PATIENCE_MS
        term = purpose.term if isinstance(purpose, ForClient) else 0
        try:
            if term and term != self.replica.raft.term:
                raise NotLeader(asked=self.me, leader=self.replica.raft.leader, term=self.replica.raft.term)
            cluster_ms = self.cluster_clock.read(now_ms)
            self.replica.propose(purpose, transaction, cluster_ms=cluster_ms, until_ms=until, now_ms=now_ms)
        except ClusterError as error:
            if error.retryable and not term and not isinstance(purpose, (ForLeader, ForPeer)):
                again_ms = now_ms + self._pause_ms() if self.replica.is_leader else 0
                self.replica.proposals.wait(
                    purpose,
                    transaction,
                    until,
                    not_before_ms=again_ms,
                    may_have_taken_effect=may_have_taken_effect,
                )
            else:
                self._outcome(Outcome(purpose, None, error), now_ms)

    def _pause_ms(self) -> int:
        return FULL_AGAIN_MS if self.replica.raft.is_disk_refusing else TRY_AGAIN_MS

    def draft(self) -> Draft:
        return Draft(self.replica.view)

    def next_request_id(self) -> str:
        self._next_request += 1
        return f"{self.me}.{self.identity.daemon_run}.{self._next_request}"

    def _send_waiting(self, now_ms: int) -> None:
        # What a held node would propose rests on what the leader does not have.
        leader = self.replica.raft.leader if not self.replica.raft.is_held else None
        for context, purpose, transaction, until_ms in self.replica.proposals.due(now_ms):
            if self.replica.is_leader:
                was_sent = self.replica.proposals.taken(context)
                self.submit(purpose, transaction, now_ms, until_ms=until_ms, may_have_taken_effect=was_sent)
            elif leader is not None:
                request = ProposeRequest(context=context, transaction=transaction.SerializeToString())
                self.replica.proposals.sent(context, now_ms)
                self.send(leader, Envelope(propose_request=request), now_ms)

    def _outcome(self, outcome: Outcome, now_ms: int) -> None:
        refused = outcome.error.message if isinstance(outcome.error, TooLarge) else ""
        match outcome.purpose:
            case ForClient(context):
                self.do(CommitDone(context, outcome.result, outcome.error))
            case ForPeer(peer, context):
                reply = ProposeReply(context=context, result=outcome.result)
                if outcome.result is None:
                    reply.refused = REFUSED_TOO_LARGE if isinstance(outcome.error, TooLarge) else "not-leader"
                self.send(peer, Envelope(propose_reply=reply), now_ms)
            case ForLeader(number):
                self.leading.settled(number, outcome.result, refused, now_ms)
            case ForOwner(proposal):
                succeeded = outcome.result is not None and outcome.result.succeeded
                revision = outcome.result.revision if outcome.result is not None else 0
                self.owning.reported(proposal, now_ms, has_succeeded=succeeded, revision=revision, refused=refused)
            case ForAlarm():
                pass
            case ForTypes():
                self.owning.types_settled(refused, now_ms)
            case _:
                assert_never(outcome.purpose)

    # ---- thinking ----

    def _settle(self, now_ms: int) -> None:
        """Let everything react to everything until nothing is left to react to."""
        for _ in range(ROUNDS_MAX):
            is_moved = self._follow_log(now_ms)
            self._send_waiting(now_ms)
            self.replica.proposals.expire_in_log(now_ms)
            outcomes = self.replica.proposals.outcomes()
            for outcome in outcomes:
                self._outcome(outcome, now_ms)
            self.reads.serve(self.replica, self.do, now_ms)
            has_decided, has_said = self.leading.think(now_ms), self.owning.think(now_ms)
            if not (is_moved or outcomes or has_decided or has_said):
                break
        else:
            busy = ", ".join(sorted({str(each.purpose)[:SHOWN_MAX] for each in outcomes})[:SHOWN_MOST])
            text = f"log {is_moved}, leader {has_decided}, owner {has_said}, last settled: {busy or 'nothing'}"
            invariant(False, f"{self.me} does not come to rest in {ROUNDS_MAX} rounds: {text}")
        self._follow_log(now_ms)

    def _follow_log(self, now_ms: int) -> bool:
        leader_before = self.replica.raft.leader
        drained = self.replica.drain()
        for persist in drained.writes:
            self.writing.write(persist, now_ms)
        for peer, messages in drained.messages.items():
            self.send(peer, Envelope(consensus=ConsensusBatch(messages=messages)), now_ms)
        self.say(*drained.notes)
        self.reads.answered(drained.reads)
        if drained.has_applied or drained.is_restored:
            self._database_changed(drained.changed, is_restored=drained.is_restored, now_ms=now_ms)
        leader = self.leading.leader_seen(self.replica.raft.leader)
        if leader or leader_before != self.replica.raft.leader:
            self.replica.proposals.leader_changed()
        self.replica.compact()
        return bool(drained.writes or drained.has_applied or drained.is_restored or drained.reads)

    def _database_changed(self, changed: set[str], *, is_restored: bool, now_ms: int) -> None:
        self.cluster_clock.advance_to(self.replica.database.cluster_ms, now_ms)
        settings = cluster_settings(self.replica.view.cluster())
        if settings != self.settings:
            self.settings = settings
            self.replica.raft.adopt(raft_settings(settings))
        self._take_limits()
        if is_restored or any(key.startswith(keys.NODE) for key in changed):
            self.beating.know_members()
        self.leading.database_changed(changed, is_restored=is_restored, now_ms=now_ms)
        self.owning.database_changed(changed, is_restored=is_restored, now_ms=now_ms)
        self.do(Applied(self.replica.database.revision))


__all__ = ["Node", "NodeIdentity"]
