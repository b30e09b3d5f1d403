"""Which replica is wrong, by what each says of one revision?"""

import pytest

from clusterd.model.ids import NodeId
from clusterd.node.digests import Digests, Verdict

N1, N2, N3 = NodeId("n1"), NodeId("n2"), NodeId("n3")
MINE = 7

SAID = {
    "nobody said anything": ({}, Verdict.EQUAL),
    "all agree": ({N2: 7, N3: 7}, Verdict.EQUAL),
    "one of the others differs": ({N2: 7, N3: 8}, Verdict.EQUAL),
    "most agree on something else": ({N2: 8, N3: 8}, Verdict.OUTSIDE),
    "one differs and one is silent": ({N2: 8}, Verdict.EQUAL),
    "all differ from each other": ({N2: 8, N3: 9}, Verdict.SPLIT),
}


@pytest.mark.parametrize("name", SAID)
def test_judge(name: str) -> None:
    said, expected = SAID[name]
    digests = Digests(N1, lambda revision: MINE if revision == 5 else None)
    for peer, digest in said.items():
        digests.hear(peer, 5, digest, counts=True)
    assert digests.judge((N1, N2, N3)) is expected
    assert digests.differing == {peer: 5 for peer, digest in said.items() if digest != MINE}


def test_who_does_not_vote_obeys_the_voters() -> None:
    digests = Digests(N1, lambda _: MINE)
    digests.hear(N2, 5, 8, counts=True)
    assert digests.judge((N2,)) is Verdict.OUTSIDE


def test_who_lost_its_data_counts_not() -> None:
    digests = Digests(N1, lambda _: MINE)
    digests.hear(N2, 5, 8, counts=False)
    digests.hear(N3, 5, 8, counts=True)
    assert digests.judge((N1, N2, N3)) is Verdict.EQUAL
    assert set(digests.differing) == {N2, N3}


def test_the_newest_revision_counts() -> None:
    digests = Digests(N1, lambda _: MINE)
    for peer in (N2, N3):
        digests.hear(peer, 5, 8, counts=True)
        digests.hear(peer, 6, MINE, counts=True)
    assert digests.judge((N1, N2, N3)) is Verdict.EQUAL
    assert digests.differing == {}
