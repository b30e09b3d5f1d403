"""What an owner proposes is small enough to be taken, whatever its hosts say. What is refused is not offered again."""

from dataclasses import replace

import pytest

from clusterd.model import codec
from clusterd.model.events import PROPOSAL_REFUSED
from clusterd.model.records import ReportRecord
from clusterd.model.states import ResourceState, Wanted
from clusterd.node import node as brain
from clusterd.node.proposals import ForClient, ForOwner, Proposals
from clusterd.owner import bounds
from clusterd.owner.bounds import REPORT_BYTES_MAX, Bounds, shortened
from clusterd.sim import SimCluster, SimSettings
from clusterd.sim.host import Dials
from clusterd.wire.records_pb2 import Transaction

MANY = 300


@pytest.mark.parametrize(
    ("text", "length_max", "short"),
    [
        ("abc", 3, "abc"),
        ("a" * 500 + "the reason", 40, "a" * 25 + " … " + "the reason"[-12:].rjust(12, "a")),
        ("", 40, ""),
    ],
)
def test_a_long_text_keeps_its_beginning_and_its_end(text: str, length_max: int, short: str) -> None:
    assert shortened(text, length_max) == short
    assert len(short) <= length_max


def test_bounds_become_tighter_and_end() -> None:
    found: list[Bounds] = []
    present: Bounds | None = Bounds()
    while present is not None:
        found.append(present)
        present = present.tighter()
    assert 5 < len(found) < 20
    assert found[-1].text_length == bounds.TEXT_LEAST and found[-1].restarts >= 16 and found[-1].events >= 8


def test_a_long_value_is_cut_without_a_secret_in_it() -> None:
    value = {"A": "x" * 900, "DB_PASSWORD": "hunter2" * 20, "command": ["--token", "hunter2"]}
    text = Bounds().value(value, "environment")
    assert isinstance(text, str) and len(text) <= bounds.TEXT_MAX and "hunter2" not in text and "(secret)" in text
    assert Bounds().value({"DB_PASSWORD": "hunter2"}, "environment") == {"DB_PASSWORD": "hunter2"}
    assert "hunter2" not in str(Bounds().value(["hunter2" * 900], "passwords"))


def _loud(*, is_leader: bool) -> SimCluster:
    """300 resources of one group fail at once, and each says 6,000 characters."""
    cluster = SimCluster(SimSettings(seed=7))
    cluster.start()
    cluster.run_for(3000)
    leader = cluster.leader()
    assert leader is not None
    owner = leader if is_leader else next(name for name in cluster.names if name != leader)
    names = [f"loud-{number}" for number in range(MANY)]
    for name in names:
        cluster.dials[name] = Dials(fails_online=True, says=f"{name} says: " + "x" * 6000 + " the end")
    properties = {"restart_action": "do-not-restart"}
    cluster.add_group("loud", dict.fromkeys(names, ""), preferred=(owner,), properties=properties)
    cluster.add_group("calm", {"calm": ""}, preferred=(owner,))
    return cluster


@pytest.mark.parametrize("is_leader", [True, False], ids=["its owner leads", "its owner follows"])
def test_a_report_of_very_many_long_texts_is_told_and_ends(is_leader: bool) -> None:
    cluster = _loud(is_leader=is_leader)

    def are_all_told() -> bool:
        states = cluster.resource_states("loud").values()
        return len(states) == MANY and set(states) == {ResourceState.FAILED}

    assert cluster.run_until(are_all_told, patience_ms=20_000)
    report = cluster.view().report("loud")
    assert report is not None and all("the end" in each.cause for each in report.resources)
    assert len({each.name for each in report.resources}) == MANY
    revision = cluster.view().revision
    cluster.run_for(5000)
    assert cluster.view().revision <= revision + 5, "it is told again and again"
    assert cluster.is_online("calm")
    assert not any(each.note.event is PROPOSAL_REFUSED for each in cluster.trace)
    for _, record in cluster.view().items(ReportRecord):
        assert len(codec.encode(record)) < REPORT_BYTES_MAX
    group = cluster.view().group("loud")
    assert group is not None
    cluster.commit(lambda draft: draft.replace(replace(group, wanted=Wanted.OFFLINE)))

    def are_all_offline() -> bool:
        return set(cluster.resource_states("loud").values()) == {ResourceState.OFFLINE}

    assert cluster.run_until(are_all_offline, patience_ms=10_000)


def test_what_is_refused_all_the_same_says_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """A leader that takes less than this version of an owner thinks."""
    monkeypatch.setattr(brain, "PROPOSAL_BYTES_MAX", 90 * 1024)
    cluster = _loud(is_leader=False)

    def are_all_told() -> bool:
        return list(cluster.resource_states("loud").values()).count(ResourceState.FAILED) == MANY

    assert cluster.run_until(are_all_told, patience_ms=20_000)
    refused = [each for each in cluster.trace if each.note.event is PROPOSAL_REFUSED]
    assert 1 <= len(refused) < 12


def test_what_no_leader_takes_is_settled_and_not_sent_again() -> None:
    for purpose in (ForClient(3), ForOwner(None)):  # type: ignore[arg-type]  # any proposal
        proposals = Proposals()
        proposals.wait(purpose, Transaction(request_id="r"), 1000)
        [(context, *_)] = proposals.due(0)
        proposals.sent(context, 0)
        proposals.answered(context, None, now_ms=1, is_too_large=True)
        [outcome] = proposals.outcomes()
        assert outcome.error is not None and outcome.error.code == "too-large"
        assert proposals.due(999) == []
