"""What if plug-in code ends the resource hosts that call it, and is only that plug-in hurt? Pure.

Some resources are crashers: their plug-ins end their host in a check, or whenever they come online. Nothing else is wrong
with any resource, so nobody but a crasher may ever be counted as failed, lose its node for it, or rest in the end.
"""

import random

from clusterd.model.ids import NodeId
from clusterd.model.records import AssignmentRecord, ReportRecord
from clusterd.sim.cluster import SimCluster, SimSettings
from clusterd.sim.host import Dials

DURATION_MS = 20_000
PATIENCE_MS = 15_000
_PATIENT = {"restart_period": 4000, "retry_period_on_failure": 8000, "pending_timeout": 3000, "deadlock_timeout": 2000}


class CrashStorm:
    """One run from a seed: `run` gives the broken promises."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.cluster = SimCluster(SimSettings(nodes=(NodeId("n1"), NodeId("n2"), NodeId("n3")), seed=seed))
        self.did: list[str] = []
        self._crashers: set[str] = set()
        self._innocent: set[str] = set()

    def run(self) -> list[str]:
        self.prepare()
        self.blow()
        return self.judge()

    def prepare(self) -> None:
        """A few groups, and one or two of them with a crasher."""
        cluster, rng = self.cluster, self.rng
        cluster.start()
        cluster.run_for(3000)
        for number in range(rng.randint(2, 4)):
            names = [f"g{number}-{letter}" for letter in "ab"[: rng.randint(1, 2)]]
            if number == 0 or rng.random() < 0.2:
                self._crashers.update(names)
            else:
                self._innocent.update(names)
            resources = {name: "" if name.endswith("a") else f"[{names[0]}]" for name in names}
            cluster.add_group(f"g{number}", resources, preferred=("n1",), properties=_PATIENT)
            if rng.random() < 0.5:
                cluster.run_for(rng.uniform(0, 200))

    def blow(self) -> None:
        cluster, rng = self.cluster, self.rng
        until_ms = cluster.timeline.now_ms + DURATION_MS
        while cluster.timeline.now_ms < until_ms:
            name = rng.choice(sorted(self._crashers))
            match rng.randrange(4):
                case 0:
                    self._dial(name, Dials(crashes_online=True))
                case 1:
                    self._dial(name, Dials(check_crash_ms=rng.choice((1, 300, 2000))))
                case 2:
                    self._dial(name, Dials())
                case _:
                    self._crash(name)
            cluster.run_for(rng.uniform(100, 3000))

    def judge(self) -> list[str]:
        """Every promise that was broken."""
        cluster = self.cluster
        for name in self._crashers:
            cluster.dials[name] = Dials()
        groups = {name.split("-")[0] for name in self._innocent}
        found = (
            [] if cluster.run_until(lambda: all(map(cluster.is_online, groups)), patience_ms=PATIENCE_MS) else ["rest"]
        )
        found = [f"{group} is not online" for group in sorted(groups) if found and not cluster.is_online(group)]
        view = cluster.view()
        for _, report in view.items(ReportRecord):
            hurt = [each for each in report.resources if each.name in self._innocent]
            found += [f"{each.name} counts {len(each.restarts)} restarts" for each in hurt if each.restarts]
            found += [f"{each.name} is taken for a crasher" for each in hurt if each.is_apart]
        for _, assignment in view.items(AssignmentRecord):
            found += [
                f"{each.resource} failed over" for each in assignment.failovers if each.resource in self._innocent
            ]
        return found + [f"two copies: {each}" for each in cluster.overlaps()]

    def _dial(self, name: str, dials: Dials) -> None:
        self.cluster.dials[name] = dials
        self.did.append(f"{self.cluster.timeline.now_ms} dial {name} {dials}")

    def _crash(self, name: str) -> None:
        machines = self.cluster.machines.values()
        for host in [host for each in machines if each.guard for host in each.guard.hosts.values()]:
            if host.crash_in_check(name):
                self.did.append(f"{self.cluster.timeline.now_ms} {name} ends {host.name} of {host.node}")
                return
