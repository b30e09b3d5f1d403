"""Whose heartbeats are acknowledged, while the log grows, is cut, and is applied."""

import pytest

from clusterd.membership import Acknowledger
from clusterd.membership.acknowledger import Standing
from clusterd.model.ids import Incarnation, NodeId
from clusterd.model.states import MembershipState

N, I1, I2 = NodeId("n"), Incarnation("i1"), Incarnation("i2")
UP, EXPELLING, DOWN = MembershipState.UP, MembershipState.EXPELLING, MembershipState.DOWN


def admitted() -> Acknowledger:
    acknowledger = Acknowledger(100)
    acknowledger.restore({N: Standing(5, UP, I1, is_applied=True)})
    return acknowledger


def test_only_the_admitted_incarnation_is_acknowledged() -> None:
    acknowledger = admitted()
    assert acknowledger.acknowledge(N, I1, 200)
    assert not acknowledger.acknowledge(N, I2, 200)
    assert not acknowledger.acknowledge(NodeId("stranger"), I1, 200)


def test_an_expelling_entry_counts_from_the_moment_it_is_in_the_log() -> None:
    acknowledger = admitted()
    acknowledger.acknowledge(N, I1, 200)
    acknowledger.appended(N, Standing(6, EXPELLING, I1))
    assert not acknowledger.acknowledge(N, I1, 300)
    assert acknowledger.refusals(99, 400) == []  # not applied yet: it may still be taken back
    acknowledger.applied(N, 6, has_taken_effect=True)
    assert acknowledger.refusals(5, 400) == []  # not durable yet: a crash may lose it
    (refusal,) = acknowledger.refusals(6, 400)
    assert (refusal.incarnation, refusal.entry_index, refusal.last_ack_age_ms) == (I1, 6, 200)


@pytest.mark.parametrize("how", ["cut", "failed"])
def test_an_entry_that_is_taken_back_never_was(how: str) -> None:
    acknowledger = admitted()
    acknowledger.appended(N, Standing(6, EXPELLING, I1))
    if how == "cut":
        acknowledger.truncated(6)
    else:
        acknowledger.applied(N, 6, has_taken_effect=False)
    assert acknowledger.acknowledge(N, I1, 300)


def test_a_restarted_daemon_answers_with_the_age_of_its_start() -> None:
    acknowledger = Acknowledger(1000)
    acknowledger.restore({N: Standing(6, EXPELLING, I1, is_applied=True)})
    (refusal,) = acknowledger.refusals(6, 1500)
    assert refusal.last_ack_age_ms == 500


def test_a_new_incarnation_ends_the_refusal() -> None:
    acknowledger = Acknowledger(0)
    acknowledger.restore({N: Standing(6, EXPELLING, I1, is_applied=True)})
    acknowledger.appended(N, Standing(7, DOWN, I1))
    assert not acknowledger.acknowledge(N, I2, 10)
    assert acknowledger.refusals(9, 10) == []
    acknowledger.appended(N, Standing(8, UP, I2))
    assert acknowledger.acknowledge(N, I2, 10)
    assert not acknowledger.acknowledge(N, I1, 10)
