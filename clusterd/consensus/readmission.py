"""Which change of the voters comes next, so that every replica that lost its data votes again at last? Pure.

A voter that lost its data is put out of the voters, ends its amnesia when it has that change (see `amnesia`), and is made
a voter again when it has the whole log. A node that joins takes the second half of that way.

Putting one out is proposed only where it can be committed: by a majority of what remains in which nobody counts that lost
its data. That suffices, although it may be less than a majority of the former configuration. Let there be `n` voters, `k`
of them without their data, and a leader that has an entry of its own term committed. Whatever else was decided under the
former configuration, some `n//2 + 1` of its voters agreed to, so at least `n//2 + 1 - k` that still know it; what remains
agrees by `(n-1)//2 + 1` of the `n - k` that know anything. The two numbers together are `n + 1 - k`: they share one, and
that one refuses either the leader or the other. Without such a leader nothing is proposed (`Raft.propose_configuration`).
"""

from collections.abc import Collection
from enum import StrEnum
from typing import NamedTuple

from clusterd.consensus.configurations import votes_needed
from clusterd.model.ids import NodeId
from clusterd.wire.consensus_pb2 import Configuration


class Step(StrEnum):
    PUT_OUT = "put-out"
    ADMIT = "admit"


class Change(NamedTuple):
    step: Step
    node: NodeId
    configuration: Configuration


def next_change(
    newest: Configuration,
    *,
    amnesiacs: Collection[NodeId],
    sound: Collection[NodeId],
    caught_up: Collection[NodeId],
) -> Change | None:
    """The next step from `newest`, which is committed. `sound`: who is there and has its data: a change that was begun with
    the help of one that is not, or has not, could never be committed, and no other one before it. `caught_up`: learners that
    hold all that is committed."""
    for node in sorted(set(amnesiacs) & {NodeId(each) for each in newest.voters}):
        rest = [each for each in newest.voters if each != node]
        agreeing = [each for each in rest if each in sound and each not in amnesiacs]
        if rest and len(agreeing) >= votes_needed(len(rest)):
            learners = sorted({*newest.learners, node})
            return Change(Step.PUT_OUT, node, Configuration(voters=sorted(rest), learners=learners))
    for name in sorted(newest.learners):
        if name in caught_up and name not in amnesiacs:
            learners = [each for each in newest.learners if each != name]
            voters = sorted({*newest.voters, name})
            return Change(Step.ADMIT, NodeId(name), Configuration(voters=voters, learners=learners))
    return None
