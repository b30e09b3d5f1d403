"""Are the votes counted that the loss of nodes would leave, the witness's too?"""

import pytest

from clusterd.foresight.outlook import Outlook
from clusterd.foresight.votes import votes_without
from clusterd.model.ids import NodeId
from tests.decisions.snapshot import Snapshot

# Nodes that are up and down, who else has a vote, how many are lost; what is left, and whether that is enough.
CASES = [
    ("one of three", "abc", "", "", 1, 2, True),
    ("two of three", "abc", "", "", 2, 1, False),
    ("one of two", "ab", "", "", 1, 1, False),
    ("one of two with a witness", "ab", "", "w", 1, 2, True),
    ("two of four with a witness", "abcd", "", "w", 2, 3, True),
    ("one of three, another is down already", "ab", "c", "", 1, 1, False),
    ("nothing is lost", "abc", "", "", 0, 3, True),
    ("nothing is lost, and the quorum is gone", "a", "bc", "", 0, 1, False),
    ("more than there are", "abc", "", "", 9, 0, False),
]


@pytest.mark.parametrize(
    ("up", "down", "witness", "failures", "left", "is_enough"), [each[1:] for each in CASES], ids=[c[0] for c in CASES]
)
def test_votes_left(up: str, down: str, witness: str, failures: int, left: int, is_enough: bool) -> None:
    snapshot = Snapshot()
    for name in up:
        snapshot.tell(f"node {name}")
    for name in down:
        snapshot.tell(f"node {name} down")
    found = votes_without(Outlook(tuple(map(NodeId, up + down + witness)), 0, 0), snapshot.view, failures)
    assert (found.left, found.is_enough, found.has_witness) == (left, is_enough, bool(witness))
    assert str(found.left) in found.sentence


def test_nodes_without_a_vote_may_be_lost() -> None:
    snapshot = Snapshot()
    snapshot.tell("nodes a b c d e")
    found = votes_without(Outlook((NodeId("a"), NodeId("b"), NodeId("c")), 0, 0), snapshot.view, 1)
    assert (found.left, found.needed, found.bearable) == (2, 2, 1)
