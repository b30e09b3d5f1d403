"""What happens when two things are wished for at once, and rules or limits let only one of them be? Pure.

A storm of its own: from a seed it draws a small cluster whose nodes have little room, with rules that can be kept, and then
gives it pairs of wishes and accidents that are 0 to 3 ms apart. `checkers.placements` judges every instant, and at the end
every group must be online, or be left no node by rules and limits.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from clusterd.checkers import excuse
from clusterd.database import Draft
from clusterd.model import keys
from clusterd.model.ids import GroupId, NodeId
from clusterd.model.records import (
    GroupRecord,
    MoveRequest,
    NodeRecord,
    PauseRequest,
    Properties,
    ResourceRecord,
    ResumeRequest,
    RuleRecord,
)
from clusterd.model.states import MoveKind, RuleKind, Wanted
from clusterd.sim.cluster import SimCluster, SimSettings

GROUPS = 5
ROUNDS = 10
PATIENCE_MS = 40_000
REST_MS = 3000
_APART_MS = (0, 0, 1, 2, 3)
_IMPATIENT: Properties = {"cluster_group_wait_delay": 2, "quarantine_threshold": 1000}


@dataclass(frozen=True, slots=True)
class Crowding:
    """One storm: `run` gives the broken promises; empty is the only good answer."""

    seed: int
    rounds: int = ROUNDS

    def run(self) -> list[str]:
        return _Run(self.seed, self.rounds).run()


class _Run:
    def __init__(self, seed: int, rounds: int) -> None:
        self._rng = rng = random.Random(seed)
        self._rounds = rounds
        nodes = tuple(f"n{number + 1}" for number in range(rng.choice((3, 4))))
        properties: Properties = {
            **_IMPATIENT,
            "cluster_enforced_anti_affinity": rng.random() < 0.5,
            "maximum_parallel_starts": rng.choice((1, 2, 32)),
        }
        self._cluster = SimCluster(
            SimSettings(nodes=nodes, profile="fast", has_fence=rng.random() < 0.7, seed=seed, properties=properties)
        )
        self._groups = [f"g{number}" for number in range(GROUPS)]
        self._count = 0
        self.did: list[str] = []

    def run(self) -> list[str]:
        self._prepare()
        for _ in range(self._rounds):
            self._two_at_once()
            self._cluster.run_for(self._rng.choice((30, 300, 1500, 3000)))
            if self._cluster.placements.breaches:
                break
        found = self._calm()
        found += [f"two copies: {each}" for each in self._cluster.overlaps()]
        found += self._cluster.breaches()
        return [*found, *self.did] if found else []

    def _prepare(self) -> None:
        cluster, rng = self._cluster, self._rng
        cluster.start()
        cluster.run_until(lambda: cluster.leader() is not None)
        for number, node in enumerate(cluster.view().nodes()):
            own: Properties = {"memory_capacity": rng.choice((2048, 3072)), "fault_domain": f"rack:r{number // 2}"}
            cluster.commit(partial(Draft.replace, record=replace(node, properties=own)))
        for name in self._groups:
            classes: Properties = {"anti_affinity_class_names": ["x"]} if rng.random() < 0.3 else {}
            live = (f"{name}-a",) if rng.random() < 0.3 else ()
            demand: Properties = {"memory_demand": rng.choice((512, 1024)), "restart_threshold": 0}
            preferred = tuple(rng.sample(cluster.names, rng.choice((0, 0, 1))))
            cluster.add_group(
                name, {f"{name}-a": ""}, preferred=preferred, properties=demand, group_properties=classes, live=live
            )
        for number in range(rng.choice((1, 1, 2))):
            self._put_rule(f"r{number}")
        cluster.run_for(2000)

    def _put_rule(self, name: str) -> None:
        kind = self._rng.choice(tuple(RuleKind))
        members = tuple(GroupId(each) for each in self._rng.sample(self._groups, self._rng.choice((2, 2, 3))))
        self._cluster.write_soon(self._any(), lambda draft: draft.put(RuleRecord(name, kind, members)))
        self.did.append(f"rule {name} {kind} {members}")

    # ---- wishes ----

    def _two_at_once(self) -> None:
        """Two of one kind more often than not: they are the ones that race."""
        wishes: list[tuple[int, Callable[[], str]]] = [
            (6, self._move),
            (4, self._fail),
            (4, self._wanted),
            (2, self._pause),
            (3, self._resume),
            (3, self._kill),
            (4, self._start),
            (1, self._rule),
            (1, self._set_demand),
        ]
        weights = [weight for weight, _ in wishes]
        first = self._rng.choices([each for _, each in wishes], weights)[0]
        second = first if self._rng.random() < 0.6 else self._rng.choices([each for _, each in wishes], weights)[0]
        at_ms = self._cluster.timeline.now_ms
        self.did.append(f"{at_ms:>7} ms {first()}")
        apart_ms = self._rng.choice(_APART_MS)
        self._cluster.run_for(apart_ms)
        self.did.append(f"{at_ms + apart_ms:>7} ms {second()}")

    def _any(self) -> str:
        """Where wishes are written: mostly at the leader, which has them in its log at once."""
        leader = self._cluster.leader()
        return leader if leader is not None and self._rng.random() < 0.8 else self._rng.choice(self._cluster.names)

    def _group(self) -> str:
        return self._rng.choice(self._groups)

    def _move(self) -> str:
        self._count += 1
        name, target = self._group(), NodeId(self._rng.choice(("", *self._cluster.names)))
        kind = self._rng.choice((MoveKind.UNSAID, MoveKind.UNSAID, MoveKind.LIVE))
        move = MoveRequest(f"move{self._count}", target, kind=kind)
        self._cluster.change_group_soon(GroupId(name), self._any(), lambda record: replace(record, move=move))
        return f"move {name} {target}"

    def _fail(self) -> str:
        name = self._group()
        for machine in self._cluster.machines.values():
            for host in machine.guard.hosts.values() if machine.guard is not None else ():
                host.fail_workload(f"{name}-a")
        return f"fail {name}"

    def _wanted(self) -> str:
        self._count += 1
        name, wanted = self._group(), self._rng.choice((Wanted.ONLINE, Wanted.ONLINE, Wanted.OFFLINE))
        start_id = f"start{self._count}"

        def change(record: GroupRecord) -> GroupRecord:
            return replace(record, wanted=wanted, start_id=start_id if wanted is Wanted.ONLINE else record.start_id)

        self._cluster.change_group_soon(GroupId(name), self._any(), change)
        return f"{name} {wanted}"

    def _pause(self) -> str:
        self._count += 1
        request = PauseRequest(f"pause{self._count}", is_drain=self._rng.random() < 0.5)
        return self._change_node("pause", lambda node: replace(node, pause=request))

    def _resume(self) -> str:
        self._count += 1
        request = ResumeRequest(f"resume{self._count}")
        return self._change_node("resume", lambda node: replace(node, pause=None, resume=request))

    def _change_node(self, what: str, change: Callable[[NodeRecord], NodeRecord]) -> str:
        name = self._rng.choice(self._cluster.names)
        self._cluster.change_soon(NodeRecord, keys.node(name), self._any(), change)
        return f"{what} {name}"

    def _kill(self) -> str:
        name = self._rng.choice(self._cluster.names)
        self._cluster.kill(name, self._rng.choice(("node", "node", "daemon", "guard")))
        return f"kill {name}"

    def _start(self) -> str:
        self._cluster.start()
        return "start what is missing"

    def _rule(self) -> str:
        name = self._rng.choice(("r0", "r1"))
        if self._rng.random() < 0.3:
            self._cluster.write_soon(self._any(), lambda draft: draft.delete(keys.rule(name)))
            return f"delete rule {name}"
        self._put_rule(name)
        return f"put rule {name}"

    def _set_demand(self) -> str:
        name, demand = self._group(), self._rng.choice((256, 1024, 1536))
        self._cluster.change_soon(
            ResourceRecord,
            keys.resource(f"{name}-a"),
            self._any(),
            lambda record: replace(record, properties={**record.properties, "memory_demand": demand}),
        )
        return f"{name} demands {demand} MiB"

    # ---- rest ----

    def _calm(self) -> list[str]:
        """End every accident and take back what forbids, but the rules; complain about what does not come online."""
        cluster = self._cluster
        until_ms = cluster.timeline.now_ms + PATIENCE_MS
        is_asked = False
        while cluster.timeline.now_ms < until_ms:
            cluster.start()
            cluster.run_for(500)
            is_asked = is_asked or self._put_right()
            if is_asked and cluster.run_until(self._is_well, patience_ms=2000):
                cluster.run_for(REST_MS)
                if self._is_well():
                    return []
        return [f"not well {PATIENCE_MS} ms after the last wish: {self._unwell()}"]

    def _put_right(self) -> bool:
        cluster = self._cluster
        at = cluster.leader()
        if at is None:
            return False
        view = cluster.view(at)

        def build(draft: Draft) -> None:
            for node in view.nodes():
                draft.replace(replace(node, pause=None))
            for number, group in enumerate(view.groups()):
                asked = f"calm{number}"
                draft.replace(replace(group, move=None, wanted=Wanted.ONLINE, start_id=asked, reset_id=asked))

        result = cluster.commit(build, at=at)
        return result is not None and result.succeeded

    def _is_well(self) -> bool:
        return not self._unwell()

    def _unwell(self) -> list[str]:
        cluster = self._cluster
        if cluster.leader() is None:
            return ["no leader"]
        view, found = cluster.view(), []
        for group in view.groups():
            if not cluster.is_online(group.name) and not excuse(view, group):
                assignment = view.assignment(group.name)
                why = assignment.because.text if assignment is not None else "it was not placed"
                found.append(f"{group.name} is not online, though a node could take it: {why}")
        return found
