"""What when disks are wiped or go back in the midst of a storm, or a majority goes back at once? Pure.

`ForgetfulStorm` wipes and rolls back one node at a time, as long as all others have what they promised, and stops all
nodes at once: nothing that was acknowledged may be lost, and everybody votes again at the end. `went_back` is the story of a
majority that went back together: that cannot be made good, but it must be told.
"""

import random
from dataclasses import replace

from clusterd.model.errors import BrokenInvariant
from clusterd.sim.cluster import SimCluster, SimSettings
from clusterd.sim.forgetting import Forgetting, is_amnesiac, lost, voters
from clusterd.sim.storm import Storm, Weather

FORGET_SHARE = 0.15
MARKED_WITHIN_MS = 1500
"""After that every marker knows what was acknowledged before."""
MARK = "copy"


class ForgetfulStorm(Storm):
    """A storm in which data is lost as well."""

    def __init__(self, seed: int, weather: Weather) -> None:
        super().__init__(seed, weather)
        self.forgetting = Forgetting(self.cluster)
        self._copied: set[str] = set()

    def one_fault(self) -> None:
        if self.rng.random() >= FORGET_SHARE:
            super().one_fault()
            return
        faults = (self._wipe, self._wipe, self._roll_back, self._copy, self._stop_all, self._leave_the_ignorant)
        did = self.rng.choice(faults)()
        if did:
            self.did.append(f"{self.cluster.timeline.now_ms / 1000:8.3f}s {did}")

    def _copy(self) -> str:
        name = self._any()
        self.forgetting.mark(name, MARK)
        self._copied.add(name)
        return f"mark {name}"

    def _wipe(self) -> str:
        name = self._any()
        if not self._have_all_others_all(name):
            return ""
        self._take_down(name)
        self.forgetting.wipe(name)
        return f"wipe {name}"

    def _roll_back(self) -> str:
        name = self._any()
        if name not in self._copied or self._frozen or not self._have_all_others_all(name):
            return ""
        self._take_down(name)
        self.cluster.run_for(MARKED_WITHIN_MS)
        self.forgetting.rollback(name, MARK)
        self.cluster.start(name)
        return f"rollback {name}"

    def _stop_all(self) -> str:
        """All at once; some start again, and they may be the ones that know less."""
        for name in self.cluster.names:
            self._take_down(name)
        first = self.rng.sample(self.cluster.names, self.rng.randint(1, len(self.cluster.names)))
        self.cluster.start(*first)
        return f"stop all, start {sorted(first)}"

    def _leave_the_ignorant(self) -> str:
        """One node has missed the last changes, another one is wiped: for a while those two are alone."""
        wiped, behind = self.rng.sample(self.cluster.names, 2)
        if self._frozen or not self._have_all_others_all(wiped):
            return ""
        self.cluster.isolate(behind)
        self.cluster.mark_soon(wiped)
        self.cluster.run_for(self.rng.uniform(100, 400))
        for name in self.cluster.names:
            self._take_down(name)
        self.cluster.heal()
        self.forgetting.wipe(wiped)
        self.cluster.start(wiped, behind)
        self.cluster.run_for(self.rng.uniform(1000, 6000))
        return f"wipe {wiped}, which starts alone with {behind}, which was behind"

    def _take_down(self, name: str) -> None:
        for key in [each for each in self._frozen if each[0] == name]:
            del self._frozen[key]
        self.cluster.kill(name)

    def _have_all_others_all(self, name: str) -> bool:
        """Whether every other node is there and votes: who forgets now is the only one."""
        cluster = self.cluster
        is_whole = set(voters(cluster)) == set(cluster.names)
        others = [each for each in cluster.names if each != name]
        is_sound = all(cluster.machines[each].is_up and not is_amnesiac(cluster, each) for each in others)
        return is_whole and is_sound and not is_amnesiac(cluster, name)

    def _unwell(self, *, is_short: bool = False) -> list[str]:
        found = super()._unwell(is_short=is_short)
        if found and is_short:
            return found
        has_vote = voters(self.cluster)
        return [*found, *(f"{name} has no vote" for name in self.cluster.names if name not in has_vote)]


def went_back(seed: int) -> list[str]:
    """A majority is restored together to older copies, and the others return. What was promised of that, and not kept."""
    rng = random.Random(seed)
    count = rng.choice((3, 3, 5))
    names = tuple(f"n{number + 1}" for number in range(count))
    cluster = SimCluster(replace(SimSettings(), nodes=names, seed=seed, profile=rng.choice(("default", "fast"))))
    forgetting = Forgetting(cluster)
    cluster.start()
    cluster.run_for(3000 + rng.uniform(0, 2000))
    back = rng.sample(names, count // 2 + 1)
    for name in back:
        forgetting.mark(name, MARK)
    for _ in range(rng.randint(2, 12)):
        cluster.mark_soon(rng.choice(names))
        cluster.run_for(rng.uniform(50, 800))
    cluster.run_for(MARKED_WITHIN_MS)
    for name in names:
        cluster.kill(name)
    cluster.run_for(rng.uniform(10, 3000))
    for name in back:
        forgetting.rollback(name, MARK)
    cluster.start(*back)
    try:
        cluster.run_for(rng.uniform(0, 12_000))
        for _ in range(rng.randint(0, 5)):
            cluster.mark_soon(rng.choice(back))
            cluster.run_for(300)
        cluster.start()
        cluster.run_for(20_000)
    except BrokenInvariant as error:
        return [f"a node found out by accident: {error}"]
    return _untold(cluster)


def _untold(cluster: SimCluster) -> list[str]:
    """Nothing may look whole that is not: who leads lacks nothing, or somebody holds it and says so."""
    if cluster.leader() is None:
        return []
    is_held = any(each.node is not None and each.node.replica.raft.is_held for each in cluster.machines.values())
    found = [] if is_held else [f"lost, and nobody says so: {key}" for key in lost(cluster)]
    quorate = [
        machine.node.replica
        for machine in cluster.machines.values()
        if machine.node is not None and not (machine.node.replica.raft.is_held or machine.node.replica.raft.is_amnesiac)
    ]
    digests = {(each.database.revision, each.database.digest) for each in quorate}
    revisions = {revision for revision, _ in digests}
    if len(digests) > len(revisions):
        found.append(f"replicas differ: {sorted(digests)}")
    return found


__all__ = ["ForgetfulStorm", "went_back"]
