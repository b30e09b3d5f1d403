"""Two things at once where rules and limits let only one be: no hard rule is broken at any instant, and all recover."""

from collections.abc import Iterator

import pytest

from clusterd.leader.in_flight import InFlight
from clusterd.leader.pen import Pen
from clusterd.sim.crowding import Crowding

SEEDS_MAX = 60


@pytest.mark.parametrize("seed", range(7000, 7008))
def test_storm_of_pairs_of_wishes(seed: int) -> None:
    assert Crowding(seed).run() == []


# ---- would it be noticed? ----


def breaches(seeds: range, *, words: str) -> Iterator[int]:
    """Seeds whose storm breaks a promise that names these words."""
    for seed in seeds:
        found = Crowding(seed).run()
        if found and words in " ".join(found):
            yield seed


def test_with_proposals_that_do_not_count_rules_and_limits_are_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it was once: what is in flight is passed over, and what binds each other shares no key at commit."""
    monkeypatch.setattr(InFlight, "assignments", lambda self: iter(()))
    monkeypatch.setattr(InFlight, "is_guarded", property(lambda self: False))
    monkeypatch.setattr(Pen, "_guard", lambda self, draft, after: None)
    assert next(breaches(range(SEEDS_MAX), words="(revision "), None) is not None
