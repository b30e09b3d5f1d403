"""Is nothing lost when disks are, and would the simulator notice? The second half plants the old behaviour."""

import pytest

from clusterd.consensus import holding
from clusterd.model.errors import BrokenInvariant
from clusterd.node import memories
from clusterd.node.digests import Digests, Verdict
from clusterd.sim.cluster import SimCluster
from clusterd.sim.disk import Disk
from clusterd.sim.forgetful import ForgetfulStorm, went_back
from clusterd.sim.storm import Weather

WEATHER = Weather(duration_ms=30_000, groups=1, mending=4, has_bad_resources=False)


@pytest.mark.parametrize("seed", range(7000, 7006))
def test_storm_in_which_disks_forget(seed: int) -> None:
    storm = ForgetfulStorm(seed, WEATHER)
    broken = storm.run()
    assert not broken, "\n".join([f"ForgetfulStorm({seed}) breaks:", *broken, "after:", *storm.did])


@pytest.mark.parametrize("seed", range(7100, 7110))
def test_a_majority_that_went_back_is_told(seed: int) -> None:
    assert went_back(seed) == []


# ---- planted ----


def test_with_votes_of_the_wiped_what_was_acknowledged_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """As before: whoever finds no data founds the cluster anew, and votes; nobody remembers more, or compares and acts."""
    first = SimCluster.__init__
    founding: list[Disk] = []

    def remembered(self: SimCluster, *given: object) -> None:
        first(self, *given)  # type: ignore[arg-type]  # passes on whatever it was given
        founding[:] = [next(iter(self.machines.values())).disk.copy()]

    monkeypatch.setattr(SimCluster, "__init__", remembered)
    monkeypatch.setattr(Disk, "wiped", classmethod(lambda cls: founding[0].copy()))
    monkeypatch.setattr(memories, "older_than_known", lambda *_, **__: "")
    monkeypatch.setattr(Digests, "judge", lambda self, voters: Verdict.EQUAL)
    _nobody_is_held(monkeypatch)
    assert any(_loses(seed) for seed in range(100))


def _loses(seed: int) -> bool:
    storm = ForgetfulStorm(seed, WEATHER)
    try:
        storm.prepare()
        storm.blow()
        storm.calm()
    except BrokenInvariant:
        return True
    return any("lacks what was acknowledged" in each or "replicas differ" in each for each in storm.judge())


def test_with_a_majority_that_goes_on_as_if_whole_what_was_acknowledged_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _nobody_is_held(monkeypatch)
    assert any(any("lost, and nobody" in each or "differ" in each for each in went_back(seed)) for seed in range(100))


def _nobody_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "is_refused", lambda *_: False)
    monkeypatch.setattr(memories.Memories, "_is_outdone", lambda self: False)
