"""A data folder that runs twice at once: the second one has no part, and the first one hears nothing of it."""

import random
from collections.abc import Callable

import pytest

from clusterd.membership.runs import Welcome
from clusterd.model.ids import NodeId
from clusterd.node.doubles import Doubles
from clusterd.sim import SimCluster, SimSettings
from clusterd.sim.cloning import Cloning, DoubleJudge, clone_claim, place_of
from clusterd.sim.forgetting import Forgetting, lost

LOOK_EVERY_MS = 20


def started(*voters: str, seed: int = 3) -> tuple[SimCluster, Cloning]:
    """web runs on n1. Where `voters` are named, the others cannot become voters: their disks are full."""
    cluster = SimCluster(SimSettings(seed=seed, voters=voters))
    for name in (each for each in cluster.names if voters and each not in voters):
        cluster.disks.fill(name)
    cluster.start()
    cluster.run_for(3000)
    cluster.add_group("web", {"site": ""}, preferred=("n1", "n2", "n3"))
    assert cluster.run_until(lambda: cluster.is_online("web", on="n1"))
    cluster.run_for(2000)
    return cluster, Cloning(cluster, Forgetting(cluster).copy_of)


def is_claimed(cluster: SimCluster, *words: str) -> Callable[[], bool]:
    found = clone_claim(cluster, words)
    assert found is not None
    return found


def test_a_copy_of_the_only_voter_asks_before_it_leads() -> None:
    cluster, cloning = started("n1")
    cloning.clone("n1")
    assert cluster.run_until(is_claimed(cluster, "clone", "n1", "refused"), patience_ms=2000)
    cluster.run_for(10_000)
    assert not is_claimed(cluster, "clone", "n1", "leads")()
    assert not [run for run in cluster.ledger.runs if run.node == place_of("n1")]
    assert cluster.is_online("web", on="n1") and is_claimed(cluster, "told", "n1", "doubled")()


def test_the_only_voter_goes_on_alone_when_nobody_answers() -> None:
    cluster, _ = started("n1")
    for name in cluster.names:
        cluster.kill(name)
    cluster.run_for(1000)
    cluster.start("n1")
    assert cluster.run_until(lambda: cluster.leader() == "n1", patience_ms=3000)
    assert cluster.run_until(lambda: cluster.is_online("web", on="n1"))


def storm(seed: int) -> list[str]:
    """A copy of one node that starts, is killed and comes back, beside originals that are killed, cut off and come back.
    Of one node only: whoever comes in as a copy may leave again with what the original never heard of."""
    cluster, cloning = started(seed=seed)
    rng, judge, cloned = random.Random(seed), DoubleJudge(cluster), set[NodeId]()
    doubled = rng.choice(cluster.names)

    def live(duration_ms: float) -> None:
        for _ in range(int(duration_ms / LOOK_EVERY_MS)):
            cluster.run_for(LOOK_EVERY_MS)
            judge.look()

    for _ in range(12):
        name = rng.choice(cluster.names)
        match rng.choice(("clone", "clone", "daemon", "node", "cut", "copy", "commit")):
            case "clone" if not cloned and cluster.machines[doubled].is_up:
                cloning.clone(doubled)
                cloned.add(doubled)
            case "copy" if cloned:
                machine = cloning.machine(doubled)
                (machine.kill if machine.is_up else machine.start)()
            case "daemon" | "node" as what:
                cluster.kill(name, what)
                live(rng.uniform(50, 4000))
                cluster.start(name)
            case "cut":
                cluster.isolate(name)
                live(rng.uniform(50, 6000))
                cluster.heal()
            case _:
                cluster.mark_soon(name)
        live(rng.uniform(50, 5000))
    for name in cloned:
        cloning.machine(name).kill()
    cluster.heal()
    cluster.start()
    live(30_000)
    found = [*judge.breaches, *(str(each) for each in cluster.overlaps()), *cluster.breaches()]
    found += [f"lost: {each}" for each in lost(cluster)]
    found += [] if cluster.is_online("web") else ["web is not online"]
    return [*found, *(f"term {term}: {who}" for term, who in cluster.leaders.items() if len(who) > 1)]


@pytest.mark.parametrize("seed", range(8100, 8112))
def test_storm_of_copies(seed: int) -> None:
    assert storm(seed) == []


def test_a_copy_that_is_told_nothing_takes_the_place_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """As before: whoever says hello last is the node."""
    monkeypatch.setattr(Doubles, "welcome", lambda *_: Welcome.YES)
    assert any(storm(seed) for seed in range(8100, 8112))
