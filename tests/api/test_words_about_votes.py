"""What is said when nothing can be decided is true of each case: who is missing, who may not vote, or nobody."""

from dataclasses import replace

import pytest

from clusterd.api.votes import advice_text, no_quorum_text
from clusterd.model.disk import DiskCondition, DiskState
from clusterd.model.ids import NodeId
from clusterd.model.states import DataState
from clusterd.node.lacking import Lack
from clusterd.node.status import NodeStatus, PeerStatus

FULL = DiskCondition(DiskState.FULL, text="No space left on device (ENOSPC)")


def status(*peers: PeerStatus) -> NodeStatus:
    voters = [each for each in peers if each.has_vote]
    have = sum(each.is_reachable and each.may_vote for each in voters)
    return NodeStatus(NodeId("n1"), "1", 7, None, False, have, len(voters) // 2 + 1, 1, 1, 1, peers=peers)


def peer(
    name: str, *, is_there: bool = True, has_vote: bool = True, may_vote: bool = True, disk: DiskCondition = FULL
) -> PeerStatus:
    condition = disk if not may_vote else DiskCondition()
    data = DataState.SOUND if may_vote or condition.takes_nothing else DataState.AMNESIAC
    return PeerStatus(NodeId(name), has_vote, is_there, 5, may_vote=may_vote, disk=condition, data=data)


TABLE = {
    "one of three missing beside another": (
        status(peer("n1"), peer("n2", is_there=False), peer("n3", is_there=False)),
        "n1 reaches 1 of 3 votes and needs 2: nothing can be changed and nothing runs here; start the missing nodes or mend "
        "their links: n2, n3",
    ),
    "the other of two": (
        status(peer("n1"), peer("n2", is_there=False)),
        "n1 reaches 1 of 2 votes and needs 2: nothing can be changed and nothing runs here; start the missing node or mend "
        "its links: n2",
    ),
    "all are there": (
        status(peer("n1"), peer("n2")),
        "n1 reaches 2 of 2 votes, which is enough, but follows no leader: nothing can be changed and nothing runs here; a "
        "leader is elected within seconds; if none is, the logs of the daemons say why: n1, n2",
    ),
    "one is there and has lost its data": (
        status(peer("n1"), peer("n2", may_vote=False, disk=DiskCondition()), peer("n3", is_there=False)),
        "n1 has no quorum: nothing can be changed and nothing runs here. n1 holds all up to change 0 of term 0; n2 lost its "
        "data and has no vote until the others admit it; n3 cannot be asked. Start what is missing",
    ),
    "two of three have lost their data": (
        replace(
            status(
                replace(peer("n1"), reach_index=41, reach_term=3),
                peer("n2", may_vote=False, disk=DiskCondition()),
                peer("n3", may_vote=False, disk=DiskCondition()),
            ),
            lack=Lack((NodeId("n1"), NodeId("n2"), NodeId("n3")), (NodeId("n2"), NodeId("n3")), 1),
        ),
        "n1 has no quorum: nothing can be changed and nothing runs here. n2, n3 of the voters n1, n2, n3 lost their data: "
        "the rest is no majority and cannot admit anybody, and waiting does not help. Only copies of their own data folders "
        "restore it, of at least 1 of n2, n3: stop the node, put its newest copy back, and start it. A copy from "
        "before what it last acknowledged does not count. n1 holds all up to change 41 of term 3",
    ),
    "one is there with a full disk": (
        status(peer("n1"), peer("n2", may_vote=False)),
        "n1 reaches 1 of 2 votes and needs 2: nothing can be changed and nothing runs here; n2 may not vote now: its disk "
        "is full: No space left on device (ENOSPC)",
    ),
    "the only one, by itself": (
        status(peer("n1", may_vote=False), peer("n2", has_vote=False)),
        "n1 reaches 0 of 1 vote and needs 1: nothing can be changed and nothing runs here; n1 may not vote now: its disk is "
        "full: No space left on device (ENOSPC)",
    ),
    "nobody votes, as far as it knows": (
        status(peer("n1", has_vote=False)),
        "n1 knows of no voter yet: nothing can be changed and nothing runs here; it waits until the others have admitted "
        "it: are they running, and are their links up?",
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_what_is_said_of_the_votes(name: str) -> None:
    asked, said = TABLE[name]
    assert no_quorum_text(asked) == said


def test_the_advice_names_who_may_not_vote_and_why() -> None:
    asked, _ = TABLE["one is there and has lost its data"]
    assert advice_text(asked) == (
        "start the missing node or mend its links: n3; n2 may not vote now: it lost its data, and has to be admitted again"
    )


def test_who_was_never_heard_is_known() -> None:
    never = PeerStatus(NodeId("n2"), True, False)
    late = PeerStatus(NodeId("n3"), True, False, 9000)
    me = PeerStatus(NodeId("n1"), True, True)
    assert status(me, never, late).unheard == ("n2",)
