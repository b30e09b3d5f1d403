"""Plug-ins that end their hosts hurt nobody but themselves; and the judge of that would notice."""

import pytest

from clusterd.owner import blame
from clusterd.owner.blame import Verdict
from clusterd.owner.commands import CallInHost
from clusterd.owner.hosts import GoneHost
from clusterd.sim.crashing import CrashStorm

SEEDS = range(16)
FOUND_WITHIN = 300


@pytest.mark.parametrize("seed", SEEDS)
def test_a_crashing_plug_in_hurts_only_itself(seed: int) -> None:
    storm = CrashStorm(seed)
    assert storm.run() == [], "\n".join([f"CrashStorm({seed}).run()", *storm.did])


def test_would_notice_that_everybody_in_the_host_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it was: who made the only call that the daemon knew of was set apart, and all failed alike."""

    def judge(
        self: blame.Judge, host: str, gone: GoneHost, calls: tuple[CallInHost, ...] | None, now_ms: int
    ) -> Verdict:
        lost = frozenset(each.resource for each in gone.lost)
        return Verdict(lost if len(lost) == 1 else frozenset(), counted=frozenset(gone.served))

    monkeypatch.setattr(blame.Judge, "judge", judge)
    assert any(CrashStorm(seed).run() for seed in range(FOUND_WITHIN))


def test_would_notice_that_suspects_stay_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blame.Judge, "judge", lambda self, host, gone, calls, now_ms: Verdict())
    assert any(CrashStorm(seed).run() for seed in range(FOUND_WITHIN))
