"""Would a bad network move anything? And would the simulator notice if it did?"""

import pytest

from clusterd.node.talking import Talking
from clusterd.sim import SimSettings
from clusterd.sim.lossy import Loss, loss_breaches

SEEDS_MAX = 300
QUICK = Loss(duration_ms=30_000)


@pytest.mark.parametrize("seed", range(6))
def test_forty_percent_loss_touches_no_workload(seed: int) -> None:
    assert loss_breaches(SimSettings(seed=seed)) == []


@pytest.mark.parametrize("seed", range(100, 104))
def test_nor_does_it_with_short_timers(seed: int) -> None:
    assert loss_breaches(SimSettings(seed=seed, profile="fast"), Loss(share=0.2, duration_ms=30_000)) == []


@pytest.mark.parametrize("seed", range(200, 203))
def test_nor_in_a_larger_cluster(seed: int) -> None:
    names = tuple(f"n{number}" for number in range(1, 6))
    assert loss_breaches(SimSettings(nodes=names, seed=seed), QUICK) == []


def test_with_streams_alone_it_does() -> None:
    assert _seeds_until_breaches(Loss(duration_ms=30_000, has_datagrams=False)) is not None


def test_where_acknowledgements_wait_for_the_next_regular_beat_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Talking, "may_answer", lambda self, peer, now_ms: False)
    assert _seeds_until_breaches(QUICK) is not None


def _seeds_until_breaches(loss: Loss) -> int | None:
    for seed in range(SEEDS_MAX):
        if loss_breaches(SimSettings(seed=seed), loss):
            return seed + 1
    return None
