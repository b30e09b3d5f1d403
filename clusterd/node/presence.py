"""Is this node a member, who else is, and may it run workloads? Pure. Heartbeats out, heartbeats in, the run lease between.

Acknowledgements, promises, commit indexes and the cluster's clock ride on heartbeats. A node that waits for something asks
for an answer at once; otherwise everything goes with the next regular beat.
"""

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import partial

from clusterd.leader import Promise
from clusterd.leader.sight import NodeLoad
from clusterd.membership import ConfigurationId, Detector, RunLease, Sendings
from clusterd.membership.detector import Heartbeat as Beat
from clusterd.model.disk import DiskCondition, DiskState
from clusterd.model.ids import Incarnation, NodeId
from clusterd.node.replica import Replica
from clusterd.wire.consensus_pb2 import ConsensusMessage
from clusterd.wire.peer_pb2 import Ack, Disk, Heard, Heartbeat, Refusal

RUNS_KEPT = 16
ENDED_KEPT = 8
ENDED_KNOWN_MAX = 64
_HEALTHY_DISK = DiskCondition()
DISK_TEXT_MAX = 200


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """Who this node is. `daemon_run` is new with every start of the daemon, `run_id` with every boot of the machine."""

    cluster_id: str
    node: NodeId
    daemon_run: str
    run_id: str


class Presence:
    """One node's view of who is there, and its own standing."""

    def __init__(self, identity: NodeIdentity, replica: Replica, now_ms: int) -> None:
        self.identity = identity
        self.detector = Detector(identity.node, now_ms)
        self.incarnation = Incarnation("")
        self.ended: deque[Incarnation] = deque(maxlen=ENDED_KEPT)
        self.ended_elsewhere: dict[NodeId, deque[Incarnation]] = {}
        self.promises: dict[NodeId, dict[NodeId, Promise]] = {}
        self.is_leaving = False
        self.is_over = False
        """The present incarnation is to end, though its guard has not proved that yet: it is announced no more."""
        self.is_double = False
        """Another daemon is this node."""
        self.quiet_max_ms = 0
        """How long a live node may be silent: three heartbeats."""
        self.local_offset_ms = 0
        """What to add to UTC to get the local time of day here."""
        self.disk = DiskCondition(DiskState.UNTRIED)
        """How this node's own disk is doing."""
        self.stream_silence_max_ms = 0
        self.loads: dict[NodeId, NodeLoad] = {}
        """How busy each node last said it is, this one too."""
        self._replica = replica
        self._lease = RunLease()
        self._pending_acks: dict[NodeId, Ack] = {}
        self.sendings = Sendings()
        self._runs: dict[NodeId, deque[str]] = {}
        self._newest: dict[NodeId, tuple[str, tuple[int, int]]] = {}
        """The daemon run of the newest heartbeat of each node, with the time and the number of its sending."""

    # ---- the run lease ----

    def begin(self, incarnation: Incarnation) -> None:
        """A new run of the guard: what was acknowledged before does not count for it."""
        self.incarnation = incarnation
        self.is_over = False
        self._lease = RunLease()

    def end(self, incarnation: Incarnation) -> None:
        """Nothing of `incarnation` runs here any more; the guard proved it."""
        if incarnation and incarnation not in self.ended:
            self.ended.append(incarnation)

    @property
    def announced(self) -> Incarnation:
        """The incarnation that others hear of; a node whose run is over says that it may run nothing."""
        has_no_part = self.is_over or self.is_double or self._replica.raft.is_held
        return Incarnation("") if has_no_part else self.incarnation

    def lease_start_ms(self) -> int | None:
        """When the newest heartbeat that a majority acknowledged was sent."""
        if not self.incarnation:
            return None
        configuration = self._replica.raft.configuration
        own = ConfigurationId(configuration.index, configuration.term)
        return self._lease.start_ms(own, [NodeId(each) for each in configuration.voters])

    # ---- heartbeats out ----

    def beat_of_own(self, now_ms: int) -> None:
        """A node hears itself, and acknowledges itself when it votes and its own log still admits it."""
        me = self.identity.node
        self.detector.hear(
            me,
            Beat(
                now_ms,
                self.identity.daemon_run,
                self.announced,
                tuple(self.ended),
                self.identity.run_id,
                0,
                {},
                self.is_leaving,
                disk=self.disk,
                local_offset_ms=self.local_offset_ms,
            ),
            is_direct=True,
        )
        self._note_ended(me, self.ended)
        configuration = self._replica.raft.configuration
        is_voter = bool(self.announced) and me in configuration.voters and not self._replica.raft.is_amnesiac
        if is_voter and self._replica.acknowledger.acknowledge(me, self.incarnation, now_ms):
            self._lease.acknowledge(me, ConfigurationId(configuration.index, configuration.term), now_ms)

    def heard(self, peers: Collection[NodeId], now_ms: int) -> list[Heard]:
        """Whom this node hears, for its heartbeats to all."""
        ages_ms = self.detector.ages_ms(peers, now_ms)
        return [
            Heard(
                node=node,
                age_ms=age_ms,
                is_relayed=self.detector.is_relayed(node),
                is_mute=self.detector.own_stream_age_ms(node, now_ms) > self.stream_silence_max_ms,
            )
            for node, age_ms in ages_ms.items()
        ]

    def shared_part(self, *, now_ms: int, cluster_ms: int) -> Heartbeat:
        """What a heartbeat says to every peer alike; a new sending. Whom this node hears is left to add."""
        start_ms = self.lease_start_ms()
        load = self.loads.get(self.identity.node, NodeLoad(0, 0))
        digest_revision, digest = self._replica.digest()
        return Heartbeat(
            daemon_run=self.identity.daemon_run,
            incarnation=self.announced,
            ended_incarnations=list(self.ended),
            run_id=self.identity.run_id,
            sent_ms=now_ms,
            sequence=self.sendings.begin(now_ms),
            lease_age_ms=now_ms - start_ms if start_ms is not None else -1,
            cluster_ms=cluster_ms,
            applied_revision=self._replica.database.revision,
            state_digest=digest,
            digest_revision=digest_revision,
            is_leaving=self.is_leaving,
            processor_percent=load.processor_percent,
            memory_percent=load.memory_percent,
            disk=_disk_message(self.disk),
            local_offset_s=self.local_offset_ms // 1000,
        )

    def own_part(
        self,
        peer: NodeId,
        *,
        now_ms: int,
        beat: ConsensusMessage | None,
        wants_answer: bool,
        hears_datagrams: bool,
    ) -> Heartbeat:
        """What a heartbeat says to this peer alone."""
        part = Heartbeat(
            wants_answer=wants_answer,
            hears_datagrams=hears_datagrams,
            ack=self._pending_acks.pop(peer, None),
            beat=beat,
        )
        if peer == self._replica.raft.leader:
            for refusal in self._replica.acknowledger.refusals(self._replica.raft.durable_index, now_ms):
                part.refusals.append(
                    Refusal(
                        node=refusal.node,
                        incarnation=refusal.incarnation,
                        entry_index=refusal.entry_index,
                        last_ack_age_ms=refusal.last_ack_age_ms,
                    )
                )
        return part

    def measured(self, processor_percent: int, memory_percent: int) -> None:
        """How busy this node is; the next heartbeats say it."""
        self.loads[self.identity.node] = NodeLoad(processor_percent, memory_percent)

    # ---- heartbeats in ----

    def is_news(self, sender: NodeId, heartbeat: Heartbeat) -> bool:
        """Whether a heartbeat says something that a leader should look at now, rather than with its next beat."""
        last = self.detector.last(sender)
        return (
            last is None
            or last.incarnation != heartbeat.incarnation
            or last.is_leaving != heartbeat.is_leaving
            or last.disk.state != _disk_of(heartbeat).state
            or len(last.ended) != len(heartbeat.ended_incarnations)
            or bool(heartbeat.refusals)
        )

    def receive(
        self, sender: NodeId, heartbeat: Heartbeat, *, is_direct: bool, now_ms: int, by_stream: bool = True
    ) -> bool:
        """Take in a heartbeat. False: it comes from a run of the sender's daemon that is known to be over."""
        if not self._is_present_run(sender, heartbeat.daemon_run, is_direct=is_direct, now_ms=now_ms):
            return False
        if self._is_overtaken(sender, heartbeat):
            self._take_ack(sender, heartbeat, is_plain=is_direct and by_stream)
            return True
        incarnation = Incarnation(heartbeat.incarnation)
        self.detector.hear(
            sender, _beat_of(heartbeat, self.detector.last(sender), now_ms), is_direct=is_direct, by_stream=by_stream
        )
        self.loads[sender] = NodeLoad(heartbeat.processor_percent, heartbeat.memory_percent)
        if heartbeat.ended_incarnations:
            self._note_ended(sender, [Incarnation(each) for each in heartbeat.ended_incarnations])
        # A replica that lost its data does not know whom it promised to acknowledge no more.
        raft = self._replica.raft
        may_acknowledge = bool(incarnation) and not (raft.is_amnesiac or raft.is_held)
        if may_acknowledge and self._replica.acknowledger.acknowledge(sender, incarnation, now_ms):
            configuration = self._replica.raft.configuration
            self._pending_acks[sender] = Ack(
                daemon_run=heartbeat.daemon_run,
                incarnation=incarnation,
                sent_ms=heartbeat.sent_ms,
                sequence=heartbeat.sequence,
                configuration_index=configuration.index,
                configuration_term=configuration.term,
            )
        self._take_ack(sender, heartbeat, is_plain=is_direct and by_stream)
        for refusal in heartbeat.refusals:
            self._take_promise(sender, refusal, now_ms)
        return True

    def _is_overtaken(self, sender: NodeId, heartbeat: Heartbeat) -> bool:
        """Whether the same daemon has said something newer already: relays and links of their own may swap two heartbeats.

        What a late one says of its sender is over, and would show a healthy node in a run that it has left.
        """
        run, newest = self._newest.get(sender, ("", (0, 0)))
        sending = (heartbeat.sent_ms, heartbeat.sequence)
        if run == heartbeat.daemon_run and sending < newest:
            return True
        self._newest[sender] = (heartbeat.daemon_run, sending)
        return False

    def _note_ended(self, node: NodeId, ended: Iterable[Incarnation]) -> None:
        known = self.ended_elsewhere.setdefault(node, deque(maxlen=ENDED_KNOWN_MAX))
        known.extend(each for each in ended if each not in known)

    def own_promises(self, now_ms: int) -> None:
        """A leader that votes promises to itself."""
        for refusal in self._replica.acknowledger.refusals(self._replica.raft.durable_index, now_ms):
            self._keep_promise(
                refusal.node, self.identity.node, Promise(refusal.entry_index, now_ms - refusal.last_ack_age_ms)
            )

    def _take_ack(self, sender: NodeId, heartbeat: Heartbeat, *, is_plain: bool) -> None:
        """`is_plain`: it came on the sender's own stream, the only way on which the version before this one speaks."""
        if not heartbeat.HasField("ack"):
            return
        ack = heartbeat.ack
        if not self.incarnation or ack.incarnation != self.incarnation or ack.daemon_run != self.identity.daemon_run:
            return
        is_of_older_version = is_plain and not heartbeat.sequence and not ack.sequence
        is_known = self.sendings.was_at if is_of_older_version else partial(self.sendings.is_one, ack.sequence)
        if is_known(ack.sent_ms):
            configuration = ConfigurationId(ack.configuration_index, ack.configuration_term)
            self._lease.acknowledge(sender, configuration, ack.sent_ms)
            self._lease.forget_replaced(self._replica.term_at)

    def _take_promise(self, voter: NodeId, refusal: Refusal, now_ms: int) -> None:
        self._keep_promise(NodeId(refusal.node), voter, Promise(refusal.entry_index, now_ms - refusal.last_ack_age_ms))

    def _keep_promise(self, node: NodeId, voter: NodeId, promise: Promise) -> None:
        """The first answer for an entry names the earliest moment that is still safe; later ones can only be vaguer."""
        kept = self.promises.setdefault(node, {})
        before = kept.get(voter)
        if before is None or promise.entry_index > before.entry_index:
            kept[voter] = promise

    def _is_present_run(self, sender: NodeId, daemon_run: str, *, is_direct: bool, now_ms: int) -> bool:
        """A daemon that was replaced stays replaced: what it said may arrive late, and must not count.

        Over the sender's own link a run never heard of replaces the one before. One that was replaced, or that comes
        through another node, is believed only once the present one is silent: then it may be the live one after all.
        """
        runs = self._runs.setdefault(sender, deque(maxlen=RUNS_KEPT))
        if runs and runs[-1] == daemon_run:
            return True
        is_plain = not runs or (is_direct and daemon_run not in runs)
        if not is_plain and self.detector.age_ms(sender, now_ms) <= self.quiet_max_ms:
            return False
        if daemon_run in runs:
            runs.remove(daemon_run)
        runs.append(daemon_run)
        return True


def _disk_message(disk: DiskCondition) -> Disk | None:
    """None while all is well, which every heartbeat would say otherwise."""
    if disk.state is DiskState.OK:
        return None
    return Disk(state=disk.state.value, took_ms=max(0, disk.took_ms), text=disk.text[:DISK_TEXT_MAX])


def _disk_of(heartbeat: Heartbeat) -> DiskCondition:
    """A word that only a newer version knows says nothing here."""
    found = heartbeat.disk if heartbeat.HasField("disk") else None
    if found is None or found.state not in list(DiskState):
        return _HEALTHY_DISK
    return DiskCondition(DiskState(found.state), found.took_ms, found.text)


def _beat_of(heartbeat: Heartbeat, before: Beat | None, now_ms: int) -> Beat:
    """What the detector keeps of it. A partial one says nothing of some nodes: of those the word before holds, aged."""
    heard: dict[NodeId, int] = {}
    relayed: set[NodeId] = set()
    mute: set[NodeId] = set()
    for each in heartbeat.heard:
        node = NodeId(each.node)
        heard[node] = each.age_ms
        if each.is_relayed:
            relayed.add(node)
        if each.is_mute:
            mute.add(node)
    if heartbeat.is_partial and before is not None and before.daemon_run == heartbeat.daemon_run:
        aged_ms = now_ms - before.received_ms
        untold = {node: age_ms + aged_ms for node, age_ms in before.heard_age_ms.items() if node not in heard}
        relayed |= before.relayed & untold.keys()
        mute |= before.mute & untold.keys()
        heard |= untold
    return Beat(
        now_ms,
        heartbeat.daemon_run,
        Incarnation(heartbeat.incarnation),
        tuple(Incarnation(each) for each in heartbeat.ended_incarnations),
        heartbeat.run_id,
        heartbeat.lease_age_ms,
        heard,
        heartbeat.is_leaving,
        frozenset(relayed),
        _disk_of(heartbeat),
        frozenset(mute),
        heartbeat.local_offset_s * 1000,
    )
