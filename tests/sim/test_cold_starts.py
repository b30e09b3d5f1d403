"""All nodes down together, and up again: what ran starts where it was, and what is to be left alone is."""

from importlib import import_module

import pytest

from clusterd.leader.groups import GroupDecisions
from clusterd.leader.placement import PlacementCause
from clusterd.leader.proposal import Proposal
from clusterd.leader.standing import Standing
from clusterd.model.records import AssignmentRecord
from clusterd.sim.cold_starts import ColdStart

SEEDS_MAX = 12


@pytest.mark.parametrize("seed", range(8000, 8010))
def test_storm_of_cold_starts(seed: int) -> None:
    assert ColdStart(seed).run() == []


# ---- would it be noticed? ----


def seeds_until_a_breach() -> int | None:
    """How many storms it takes; None: too many."""
    return next((seed + 1 for seed in range(SEEDS_MAX) if ColdStart(seed).run()), None)


def test_when_what_waits_without_an_owner_starts_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def again(self: GroupDecisions, standing: Standing, assignment: AssignmentRecord) -> list[Proposal]:
        if standing.hands_off is not None:
            return []
        return self._assigning.assign(standing, PlacementCause.RETRY, "it waited")

    monkeypatch.setattr(GroupDecisions, "_again", again)
    assert seeds_until_a_breach() is not None


def test_when_groups_are_decided_about_while_the_cluster_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("clusterd.leader.decide"), "is_forming", lambda view, sight: False)
    assert seeds_until_a_breach() is not None
