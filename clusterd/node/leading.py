"""What does this node do because it leads? Pure. Feeds `leader.decide` and carries its proposals to the log."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from clusterd.consensus import Step, next_change
from clusterd.leader import FenceKnowledge, FenceWish, Memory, Sight, decide
from clusterd.leader.fence_agents import fence_agents
from clusterd.leader.in_flight import SETTLE_MS
from clusterd.model import keys
from clusterd.model.events import (
    FENCE_ANSWERED,
    FENCE_ASKED,
    PROPOSAL_REFUSED,
    VOTER_ADMITTED,
    VOTER_REMOVED,
    note,
)
from clusterd.model.ids import GroupId, NodeId, key_of
from clusterd.model.records import ResourceRecord
from clusterd.model.states import DataState
from clusterd.node.alarms import Alarms
from clusterd.node.digests import Verdict
from clusterd.node.effects import AskFence
from clusterd.node.events import FenceAnswered
from clusterd.node.handing_over import GivingWay
from clusterd.node.measuring import Measuring
from clusterd.node.proposals import ForLeader
from clusterd.node.reading import LEADER_CONTEXT
from clusterd.wire.records_pb2 import TransactionResult

if TYPE_CHECKING:
    from clusterd.node.node import Node

ASK_FENCE_AGAIN_MS = 1000
_EVERYTHING = (
    keys.CLUSTER, keys.NODE, keys.MEMBERSHIP, keys.FENCE, keys.RESOURCE_TYPE, keys.RULE, keys.GROUP_SET,
    keys.GROUP_SET_STATE, keys.DRAIN, keys.FORMATION, keys.FACTS,
)  # fmt: skip
_FENCED = (keys.STORAGE_FENCE, keys.STORAGE_FENCED)
CALM_BEATS = 4
BALANCE_AGAIN_MS = 30 * 60_000
BALANCE_AFTER_JOIN_MS = 60_000


class Leading:
    """The leader's half of a node. Idle unless this node leads and has committed an entry of its own term."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        self._dirty: set[GroupId] = set()
        self._is_all_dirty = True
        self._fence: dict[NodeId, FenceKnowledge] = {}
        self._fence_asked: dict[tuple[NodeId, str, str], int] = {}
        self._configuration: tuple[int, int] = (0, 0)
        self._configuration_learned_ms = 0
        self._last_leader: NodeId | None = None
        self._leading_since_ms = 0
        self._memory = Memory()
        self._giving_way = GivingWay(node)
        self._alarms = Alarms(node)
        self._measuring = Measuring(node)
        self._hour = -1
        self._balance_at_ms: int | None = None
        self._was_leading = False
        self._ready_learners: tuple[NodeId, ...] = ()
        self._read_asked_ms: int | None = None
        self._calm_beats = 0
        self._is_busy = True
        """The last look found something to do, or could not do anything."""
        self.is_due = True
        self.next_look_ms: int | None = None

    # ---- news ----

    def look_around(self, *, is_calm: bool) -> None:
        """Call with every heartbeat of this node's own. What is decided follows from the database, from deadlines, and from
        who is heard: while all hear all and the last look found nothing to do, it is enough to look now and then."""
        self._calm_beats = self._calm_beats + 1 if is_calm and not self._is_busy else 0
        self.is_due |= self._calm_beats % CALM_BEATS == 0

    def leader_seen(self, leader: NodeId | None) -> bool:
        """Whether the leader changed since the last call."""
        is_changed, self._last_leader = leader != self._last_leader, leader
        return is_changed

    def database_changed(self, changed: set[str], *, is_restored: bool, now_ms: int) -> None:
        self.is_due = True
        if any(key.startswith(keys.MEMBERSHIP) for key in changed):
            self._balance_at_ms = now_ms + BALANCE_AFTER_JOIN_MS
        if is_restored or any(key.startswith(_EVERYTHING) for key in changed):
            self._is_all_dirty = True
            self._measuring.everything_changed()
            return
        groups = self._groups_of(changed)
        self._dirty |= groups
        self._measuring.changed(groups)

    def _groups_of(self, changed: Collection[str]) -> set[GroupId]:
        groups: set[GroupId] = set()
        for key in changed:
            prefix = keys.prefix_of(key)
            if prefix in (keys.GROUP, keys.ASSIGNMENT, keys.REPORT, keys.MIGRATION, *_FENCED):
                groups.add(GroupId(key.removeprefix(prefix)))
            elif prefix == keys.RESOURCE:
                record = self._node.replica.view.get(ResourceRecord, key)
                if record is None:
                    self._is_all_dirty = True
                else:
                    groups.add(GroupId(key_of(record.group)))
        return groups

    def settled(self, number: int, result: TransactionResult | None, refused: str, now_ms: int) -> None:
        """A proposal's outcome is known: its subjects are looked at again. `result` None: it was not even taken.

        `refused`: why it can never be taken as it is. What it rests on has to change, which takes a while.
        """
        in_flight = self._memory.in_flight
        if refused:
            what = f"a decision about {', '.join(in_flight.subjects_of(number))}"
            self._node.say(note(PROPOSAL_REFUSED, what=what, because=refused))
            in_flight.held_back(number, now_ms)
        elif result is None:
            in_flight.refused(number, self._node.replica.database.revision, now_ms)
        else:
            self._look_at(in_flight.settled(number, has_succeeded=result.succeeded))

    def _look_at(self, subjects: Collection[str]) -> None:
        for subject in subjects:
            kind, _, name = subject.partition("/")
            if kind == "group":
                self._dirty.add(GroupId(key_of(name)))
        self.is_due |= bool(subjects)

    def _look_after_flights(self, now_ms: int) -> None:
        """What was refused rests; what ought to be settled and is not is looked up, so that it blocks nobody for ever."""
        node, in_flight = self._node, self._memory.in_flight
        self._look_at(in_flight.rested(node.replica.database.revision, now_ms))
        overdue = in_flight.overdue(now_ms)
        if not overdue:
            self._read_asked_ms = None
        elif self._read_asked_ms is None:
            self._read_asked_ms = now_ms
            node.reads.ask(LEADER_CONTEXT, now_ms + SETTLE_MS)
        elif node.reads.leader_read_ms is not None and node.reads.leader_read_ms >= self._read_asked_ms:
            self._read_asked_ms = None
            in_log = node.replica.proposals.numbers_in_log()
            for number in overdue:
                # The log was read up to what was committed when it was asked: what is neither behind that nor in the
                # log can never commit. What still is in the log counts on, until it does.
                if number in in_log:
                    in_flight.renew(number, now_ms)
                else:
                    self._look_at(in_flight.settled(number, has_succeeded=False))
        elif now_ms >= self._read_asked_ms + SETTLE_MS:
            self._read_asked_ms = None  # it was not answered, either: asked anew

    def fence_answered(self, event: FenceAnswered, now_ms: int) -> None:
        self._fence_asked.pop((event.node, event.run_id, event.verb), None)
        self._fence[event.node] = FenceKnowledge(event.run_id, event.answer, now_ms)
        self._node.say(note(FENCE_ANSWERED, peer=event.node, run_id=event.run_id, answer=event.answer))
        self.is_due = True

    def tell_alarms(self, now_ms: int) -> None:
        """Those of a leader that has not told them yet."""
        if self._was_leading and self._node.replica.raft.is_leader_ready:
            self._alarms.look(now_ms)

    # ---- thinking ----

    def think(self, now_ms: int) -> bool:
        """Decide what is due. True when something was proposed."""
        raft = self._node.replica.raft
        configuration = raft.committed_configuration
        if (configuration.index, configuration.term) != self._configuration:
            self._configuration = (configuration.index, configuration.term)
            self._configuration_learned_ms = now_ms
        if not raft.is_leader_ready:
            if self._was_leading:
                self._measuring.forget()
            elif raft.leader is not None and raft.leader != self._node.me:
                self._measuring.led(now_ms)
            self._was_leading = False
            self._memory.in_flight.clear()
            self._read_asked_ms = None
            self.next_look_ms = None
            return False
        if not self._was_leading:
            self._was_leading, self._is_all_dirty, self.is_due = True, True, True
            self._leading_since_ms = now_ms
            self._balance_at_ms = now_ms + BALANCE_AGAIN_MS
            self._node.presence.promises.clear()
            self._measuring.began_to_lead(now_ms)
        self._look_after_flights(now_ms)
        if raft.ready_learners != self._ready_learners:
            self._ready_learners, self.is_due = raft.ready_learners, True
        self._measure(now_ms)
        if not self.is_due and (self.next_look_ms is None or now_ms < self.next_look_ms):
            return False
        self.is_due, self._is_busy = False, True
        hour = self._node.wall.local_minute(now_ms) // 60
        if hour != self._hour:
            self._hour, self._is_all_dirty = hour, True  # failback windows open and close on the hour
        self._giving_way.look(now_ms)
        if not raft.takes_proposals:
            self._is_all_dirty = True  # nothing can be decided now; the next heartbeat looks again
            self.next_look_ms = None
            return False
        self._mend_voters(now_ms)
        self._alarms.look(now_ms)
        if self._node.digests.verdict is Verdict.SPLIT:
            return False  # what is decided from a state that may be wrong may be wrong
        return self._decide(now_ms)

    def _measure(self, now_ms: int) -> None:
        if self._can_measure and self._measuring.is_due(now_ms):
            self._measuring.look(now_ms)

    @property
    def _can_measure(self) -> bool:
        """What cannot be written, or rests on a state that may be wrong, is noticed later."""
        takes_proposals = self._node.replica.raft.takes_proposals
        return self._was_leading and takes_proposals and self._node.digests.verdict is not Verdict.SPLIT

    @property
    def next_deadline_ms(self) -> int | None:
        """When to think again although nothing happened."""
        times = (self.next_look_ms, self._measuring.next_look_ms if self._can_measure else None)
        return min((each for each in times if each is not None), default=None)

    def _mend_voters(self, now_ms: int) -> None:
        """A voter that lost its data becomes a learner, and a voter again once it has caught up. One change at a time."""
        raft = self._node.replica.raft
        newest = raft.configuration
        if newest != raft.committed_configuration or not raft.takes_proposals:
            return
        sound = self.sound_voters(now_ms)
        change = next_change(newest, amnesiacs=raft.amnesiac_peers, sound=sound, caught_up=raft.ready_learners)
        if change is not None:
            raft.propose_configuration(change.configuration, now_ms)
            kind = VOTER_ADMITTED if change.step is Step.ADMIT else VOTER_REMOVED
            self._node.say(note(kind, peer=change.node))

    def sound_voters(self, now_ms: int) -> list[NodeId]:
        """Who is there with its data. A change that rests on others could wait for ever, and hold up everything else."""
        node = self._node
        there = [
            each
            for each in node.talking.peers
            if each not in node.talking.broken_links
            and node.presence.detector.age_ms(each, now_ms) <= node.presence.quiet_max_ms
            and node.memories.data_of(each)[0] is DataState.SOUND
        ]
        return [node.me, *there]

    def _decide(self, now_ms: int) -> bool:
        node = self._node
        in_flight = self._memory.in_flight
        busy = in_flight.groups
        if self._is_all_dirty:
            # While a membership change is under way, groups are looked at when it is through: it makes all dirty again.
            self._dirty.update(GroupId(key_of(group.name)) for group in node.replica.view.groups())
            self._is_all_dirty = False
        groups = {group for group in self._dirty if group not in busy}
        self._dirty -= groups
        node.presence.own_promises(now_ms)
        decisions = decide(node.replica.view, self.sight(now_ms), groups=groups, memory=self._memory)
        self._balanced(now_ms)
        next_look_ms = decisions.next_look_ms
        for wish in decisions.fence_wishes:
            self._ask_fence(wish, now_ms)
        has_proposed = False
        for proposal in decisions.proposals:
            has_proposed = True
            number = in_flight.add(proposal, now_ms)
            node.submit(ForLeader(number), proposal.draft.build(node.next_request_id()), now_ms)
        self._is_busy = has_proposed or bool(decisions.fence_wishes or self._dirty)
        # What is due already was proposed just now; its outcome says when to look again.
        times = [each for each in (next_look_ms, in_flight.next_deadline_ms()) if each is not None and each > now_ms]
        self.next_look_ms = min(times, default=None)
        return has_proposed

    def sight(self, now_ms: int) -> Sight:
        node = self._node
        presence = node.presence
        now = node.now(now_ms)
        return Sight(
            me=node.me,
            now_ms=now_ms,
            wall_ms=now.wall_ms,
            cluster_ms=now.cluster_ms,
            voters=tuple(NodeId(each) for each in node.replica.raft.committed_configuration.voters),
            detector=presence.detector,
            settings=node.settings,
            configuration_learned_ms=self._configuration_learned_ms,
            broken_links=node.talking.broken_links,
            promises=presence.promises,
            ended=presence.ended_elsewhere,
            fence=self._fence,
            fence_agents=fence_agents(node.replica.view),
            revision=node.replica.view.revision,
            term=node.replica.raft.term,
            leading_since_ms=self._leading_since_ms,
            local_minute=node.wall.local_minute(now_ms),
            loads=presence.loads,
            is_balancing_due=self._is_balancing_due(now_ms),
            mute_since=node.commanding.mute_since,
        )

    def _is_balancing_due(self, now_ms: int) -> bool:
        is_on = self._node.settings.auto_balancer_mode != "off"
        if self._memory.in_flight.is_guarded:
            return False  # the moves would have to wait for it, and nobody would look again for half an hour
        return is_on and self._balance_at_ms is not None and now_ms >= self._balance_at_ms

    def _balanced(self, now_ms: int) -> None:
        """Once was enough: the next time is half an hour from now, or a while after a node has joined."""
        if self._is_balancing_due(now_ms):
            self._balance_at_ms = self._next_regular_balance_ms(now_ms)

    def _next_regular_balance_ms(self, now_ms: int) -> int | None:
        return now_ms + BALANCE_AGAIN_MS if self._node.settings.auto_balancer_mode == "always" else None

    def _ask_fence(self, wish: FenceWish, now_ms: int) -> None:
        asked = (wish.node, wish.run_id, wish.verb)
        if now_ms - self._fence_asked.get(asked, -ASK_FENCE_AGAIN_MS) < ASK_FENCE_AGAIN_MS:
            return
        self._fence_asked[asked] = now_ms
        self._node.say(note(FENCE_ASKED, peer=wish.node, run_id=wish.run_id, verb=wish.verb))
        self._node.do(AskFence(wish))
