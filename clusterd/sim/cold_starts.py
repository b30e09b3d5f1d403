"""Does everything start where it was, after all nodes were down together? Pure.

A storm of its own: groups run somewhere, all nodes are stopped or killed within a moment, and started again in any order,
some of them late. What ran is to start on the node that had it, if that came back within `cluster_group_wait_delay`; what a
cold start is to leave alone stays down; what is under maintenance of its node is still there when that ends.
"""

import random
from dataclasses import dataclass, replace

from clusterd.model import keys
from clusterd.model.records import Maintenance, NodeRecord, Properties
from clusterd.sim.cluster import SimCluster, SimSettings

GROUPS = 6
WAIT_S = 8
PATIENCE_MS = 40_000


@dataclass(frozen=True, slots=True)
class ColdStart:
    """One of them: `run` gives the broken promises; empty is the only good answer."""

    seed: int

    def run(self) -> list[str]:
        return _Run(self.seed).run()


class _Run:
    def __init__(self, seed: int) -> None:
        self._rng = rng = random.Random(seed)
        properties: Properties = {"cluster_group_wait_delay": WAIT_S, "quarantine_threshold": 1000}
        self._cluster = SimCluster(
            SimSettings(profile="fast", has_fence=rng.random() < 0.5, seed=seed, properties=properties)
        )
        self._groups = [f"g{number}" for number in range(GROUPS)]
        self._left_alone: set[str] = set()
        self._late: set[str] = set()
        self.did: list[str] = []

    def run(self) -> list[str]:
        self._prepare()
        before = self._owners()
        if self._rng.random() < 0.3:
            return self._under_maintenance(before)
        self._all_down()
        self._all_up()
        found = self._judge(before)
        found += [f"two copies: {each}" for each in self._cluster.overlaps()]
        found += self._cluster.breaches()
        return [*found, f"before: {before}", *self.did] if found else []

    def _prepare(self) -> None:
        cluster, rng = self._cluster, self._rng
        cluster.start()
        cluster.run_until(lambda: cluster.leader() is not None)
        cluster.run_for(1000)
        for name in self._groups:
            setting = rng.choice(("always-start", "always-start", "do-not-start"))
            if setting != "always-start":
                self._left_alone.add(name)
            cluster.add_group(name, {f"{name}-a": ""}, group_properties={"cold_start_setting": setting})
        cluster.run_until(lambda: all(cluster.is_online(each) for each in self._groups))
        cluster.run_for(500)

    def _owners(self) -> dict[str, str]:
        return {each: self._cluster.group_state(each)[1] for each in self._groups}

    # ---- down and up ----

    def _all_down(self) -> None:
        """All at once: what one of them hands over has hardly been started elsewhere when that one goes."""
        cluster, rng = self._cluster, self._rng
        is_clean = rng.random() < 0.6
        for name in rng.sample(cluster.names, len(cluster.names)):
            if is_clean:
                cluster.stop(name)
            else:
                cluster.kill(name)
            cluster.run_for(rng.choice((0, 0, 1, 2)))
        self.did.append("all were stopped" if is_clean else "all were killed")
        cluster.run_until(lambda: not any(each.is_up for each in cluster.machines.values()), patience_ms=10_000)
        for name in cluster.names:  # one that waits for a quorum to hand over to is switched off
            cluster.kill(name)
        cluster.run_for(rng.choice((10, 3000)))

    def _all_up(self) -> None:
        cluster, rng = self._cluster, self._rng
        order = rng.sample(cluster.names, len(cluster.names))
        for number, name in enumerate(order):
            is_last = number == len(order) - 1
            if is_last and rng.random() < 0.2:
                self._late.add(name)
                self.did.append(f"{name} stays away")
                continue
            cluster.start(name)
            self.did.append(f"start {name}")
            cluster.run_for(rng.choice((0, 1, 30, 500, 3000)))
        cluster.run_until(self._is_right, patience_ms=PATIENCE_MS)
        cluster.run_for(2000)

    def _is_right(self) -> bool:
        cluster = self._cluster
        return cluster.leader() is not None and all(
            name in self._left_alone or cluster.is_online(name) for name in self._groups
        )

    # ---- judgement ----

    def _judge(self, before: dict[str, str]) -> list[str]:
        cluster, found = self._cluster, []
        for name in self._groups:
            runs = [each for each in cluster.ledger.runs if each.group == name]
            if name in self._left_alone:
                if cluster.ledger.running(f"{name}-a"):
                    found.append(f"{name} runs, though its cold_start_setting is do-not-start")
                continue
            if not cluster.is_online(name):
                found.append(f"{name} is not online")
            elif before[name] not in self._late and runs[-1].node != before[name]:
                found.append(f"{name} is on {runs[-1].node}; it was on {before[name]}, which came back in time")
        return found

    # ---- a node that reboots under maintenance ----

    def _under_maintenance(self, before: dict[str, str]) -> list[str]:
        cluster, rng = self._cluster, self._rng
        node = rng.choice(cluster.names)
        self._maintain(node, Maintenance("m1"))
        cluster.run_for(1000)
        if rng.random() < 0.5:
            cluster.stop(node)
            cluster.run_for(3000)
        cluster.kill(node)
        cluster.run_for(rng.choice((500, 4000)))
        cluster.start(node)
        cluster.run_for(3000)
        self._maintain(node, None)
        self.did.append(f"{node} rebooted under maintenance")
        cluster.run_until(lambda: all(cluster.is_online(each) for each in self._groups), patience_ms=PATIENCE_MS)
        after = self._owners()
        found = [
            f"{name} is on {after[name] or 'no node'}, and was on {before[name]}"
            for name in self._groups
            if after[name] != before[name] or not cluster.is_online(name)
        ]
        return [*found, *self.did] if found else []

    def _maintain(self, name: str, wish: Maintenance | None) -> None:
        leader = self._cluster.leader() or str(self._cluster.names[0])
        self._cluster.change_soon(NodeRecord, keys.node(name), leader, lambda node: replace(node, maintenance=wish))
        self._cluster.run_for(300)
