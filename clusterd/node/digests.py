"""Are the replicas equal, and if not, which of them is wrong? Pure.

Replicas at one revision must be equal: each heartbeat says the digest of its sender's database. Where most voters say one
digest and this node has another one, it is this node that is wrong. Where no digest can have most voters, nobody knows.
"""

from collections import Counter
from collections.abc import Callable, Collection
from enum import StrEnum
from typing import TYPE_CHECKING

from clusterd.consensus.configurations import votes_needed
from clusterd.model.events import DIGEST_DIFFERED, note
from clusterd.model.ids import NodeId
from clusterd.wire.peer_pb2 import Heartbeat

if TYPE_CHECKING:
    from clusterd.node.node import Node

REVISIONS_KEPT = 64


class Verdict(StrEnum):
    EQUAL = "equal"
    OUTSIDE = "outside"
    """This replica differs from that of most voters."""
    SPLIT = "split"
    """No state has most of the voters."""


class Digests:
    """What was said of each revision."""

    def __init__(self, me: NodeId, mine_at: Callable[[int], int | None]) -> None:
        self._me, self._mine_at = me, mine_at
        self._said: dict[int, dict[NodeId, int]] = {}
        self._compared: dict[NodeId, object] = {}
        """What the last comparison with each peer rested on."""
        self.differing: dict[NodeId, int] = {}
        """Who differs from this node, and since which revision."""
        self.verdict = Verdict.EQUAL

    def hear(self, peer: NodeId, revision: int, digest: int, *, counts: bool) -> bool:
        """What a peer says of its database; one that lost its data does not count. True: it is news that the two differ."""
        mine = self._mine_at(revision)
        if not revision or mine is None:
            return False
        if counts:
            self._said.setdefault(revision, {})[peer] = digest
        while len(self._said) > REVISIONS_KEPT:
            del self._said[min(self._said)]
        if mine == digest:
            self.differing.pop(peer, None)
            return False
        is_news = peer not in self.differing
        self.differing.setdefault(peer, revision)
        return is_news

    def compare(self, node: "Node", peer: NodeId, heartbeat: Heartbeat, now_ms: int) -> None:
        """Who is wrong takes no part, and takes the state of the others."""
        raft = node.replica.raft
        if raft.is_held or heartbeat.memory.HasField("held"):
            return
        is_sound = not heartbeat.memory.is_amnesiac
        configuration, my_revision = raft.committed_configuration, node.replica.digest()[0]
        said = (heartbeat.digest_revision, heartbeat.state_digest, is_sound)
        basis = (said, my_revision, configuration.index, configuration.term)
        if basis == self._compared.get(peer):
            return  # one heartbeat in a thousand says something else
        self._compared[peer] = basis
        if self.hear(peer, heartbeat.digest_revision, heartbeat.state_digest, counts=is_sound):
            node.say(note(DIGEST_DIFFERED, peer=peer, revision=heartbeat.digest_revision))
        if self.judge([NodeId(each) for each in configuration.voters]) is Verdict.OUTSIDE:
            node.leading.tell_alarms(now_ms)  # as long as it leads: the next one finds nothing that differs
            raft.rebuild("its database differs from that of most voters", now_ms)
            self.forget()

    def judge(self, voters: Collection[NodeId]) -> Verdict:
        """By the newest revision of which enough is known."""
        for revision in sorted(self._said, reverse=True):
            found = self._judge_at(revision, voters)
            if found is not None:
                self.verdict = found
                break
        return self.verdict

    def _judge_at(self, revision: int, voters: Collection[NodeId]) -> Verdict | None:
        mine = self._mine_at(revision)
        if mine is None:
            return None
        said = {peer: digest for peer, digest in self._said[revision].items() if peer in voters}
        if self._me in voters:
            said[self._me] = mine
        if not said:
            return None
        digest, count = Counter(said.values()).most_common(1)[0]
        if count >= votes_needed(len(voters)):
            return Verdict.EQUAL if digest == mine else Verdict.OUTSIDE
        return Verdict.SPLIT if count + len(voters) - len(said) < votes_needed(len(voters)) else None

    def forget(self) -> None:
        """This replica takes another state: what was said of the one before does not matter."""
        self._said.clear()
        self._compared.clear()
        self.differing.clear()
        self.verdict = Verdict.EQUAL
