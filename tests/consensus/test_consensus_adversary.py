"""Does Raft's safety hold under a network and disks that do their worst, and is it live again once they stop?"""

import contextlib
import random
from collections.abc import Callable

import pytest

from clusterd.consensus import Role
from clusterd.model.errors import Busy, Conflict, NotLeader, Refused
from clusterd.model.ids import NodeId
from tests.consensus.cluster import Cluster

STEPS = 1000


class Adversary:
    """Chooses one harm after another; the same seed chooses the same ones."""

    def __init__(self, cluster: Cluster, seed: int, *, membership: bool) -> None:
        self.cluster, self.random = cluster, random.Random(seed)
        self.membership = membership
        self.proposed = 0
        self.actions: list[tuple[int, Callable[[], None]]] = [
            (40, self.deliver_any),
            (60, self.deliver_oldest),
            (4, self.drop),
            (6, self.duplicate),
            (50, self.sync_some),
            (10, self.pass_time),
            (8, self.beat),
            (20, self.propose),
            (6, self.read),
            (2, self.crash),
            (8, self.restart),
            (2, self.partition),
            (4, self.heal),
            (2, self.break_link),
            (2, self.snapshot),
            (1, self.transfer),
            (2 if membership else 0, self.change),
            (2, self.calm),
        ]

    def step(self) -> None:
        weights = [weight for weight, _ in self.actions]
        self.random.choices([action for _, action in self.actions], weights)[0]()
        for name in sorted(self.cluster.replicas):
            if self.cluster.raft(name).role is Role.LEADER:
                self.cluster.check_leader_complete(name)

    def _someone(self) -> NodeId | None:
        return self.random.choice(sorted(self.cluster.replicas)) if self.cluster.replicas else None

    def deliver_any(self) -> None:
        if self.cluster.network:
            self.cluster.deliver(self.random.randrange(len(self.cluster.network)))

    def deliver_oldest(self) -> None:
        for _ in range(self.random.randrange(8)):
            if self.cluster.network:
                self.cluster.deliver()

    def drop(self) -> None:
        if self.cluster.network:
            self.cluster.network.pop(self.random.randrange(len(self.cluster.network)))

    def duplicate(self) -> None:
        if self.cluster.network:
            self.cluster.deliver(self.random.randrange(len(self.cluster.network)), keep=True)

    def sync_some(self) -> None:
        name = self._someone()
        if name:
            self.cluster.sync(name, self.random.randrange(1, 4))

    def pass_time(self) -> None:
        self.cluster.now_ms += self.random.choice((1, 10, 100, 400, 1500))
        for name in sorted(self.cluster.replicas):
            if self.random.random() < 0.7:
                self.cluster.tick(name)

    def calm(self) -> None:
        """A while of prompt delivery, so that there is something to lose."""
        self.cluster.run(self.random.choice((20, 200, 1500)))

    def beat(self) -> None:
        for name in sorted(self.cluster.replicas):
            self.cluster.beat(name)

    def propose(self) -> None:
        leaders = [name for name in sorted(self.cluster.replicas) if self.cluster.raft(name).role is Role.LEADER]
        for name in leaders:
            self.proposed += 1
            with contextlib.suppress(NotLeader, Busy):
                self.cluster.propose(name, b"%d" % self.proposed)

    def read(self) -> None:
        name = self._someone()
        if name:
            self.cluster.read(name)

    def crash(self) -> None:
        name = self._someone()
        if name:
            self.cluster.crash(name, tell=self.random.random() < 0.5)

    def restart(self) -> None:
        if self.cluster.down:
            self.cluster.start(self.random.choice(sorted(self.cluster.down)))

    def partition(self) -> None:
        names = sorted([*self.cluster.replicas, *self.cluster.down])
        side = set(self.random.sample(names, self.random.randrange(1, len(names))))
        for first in sorted(side):
            for second in names:
                if second not in side:
                    self.cluster.cut(first, second)

    def heal(self) -> None:
        self.cluster.heal()

    def break_link(self) -> None:
        name = self._someone()
        if name:
            peer = self.random.choice(sorted([*self.cluster.replicas, *self.cluster.down]))
            raft = self.cluster.raft(name)
            (raft.link_broken if self.random.random() < 0.7 else raft.link_opened)(peer, self.cluster.now_ms)
            self.cluster.drain(name)

    def snapshot(self) -> None:
        name = self._someone()
        if name:
            self.cluster.take_snapshot(name)

    def transfer(self) -> None:
        for name in sorted(self.cluster.replicas):
            try:
                self.cluster.raft(name).transfer_leadership(self._someone() or name, self.cluster.now_ms)
            except (NotLeader, Refused):
                continue
            self.cluster.drain(name)

    def change(self) -> None:
        for name in sorted(self.cluster.replicas):
            voters = {int(each[1:]) for each in self.cluster.raft(name).configuration.voters}
            everybody = range(1, len(self.cluster.replicas) + len(self.cluster.down) + 1)
            voters ^= {self.random.choice(list(everybody))}
            try:
                self.cluster.change(name, sorted(voters), [each for each in everybody if each not in voters])
            except (NotLeader, Conflict, Refused):
                continue


def heal_and_converge(cluster: Cluster, *, duration_ms: int = 6_000) -> None:
    """Liveness: with the faults gone, a leader is found, it commits, and all replicas become equal."""
    cluster.heal()
    for name in sorted(cluster.down):
        cluster.start(name)
    for first in sorted(cluster.replicas):
        for second in sorted(cluster.replicas):
            cluster.raft(first).link_opened(second, cluster.now_ms)
    cluster.run(duration_ms)
    leader = cluster.elect()
    index = cluster.propose(leader, b"after the storm")
    cluster.run(2_000)
    members = sorted(
        NodeId(name)
        for name in {*cluster.raft(leader).configuration.voters, *cluster.raft(leader).configuration.learners}
        if name in cluster.replicas
    )
    for name in members:
        assert cluster.raft(name).applied_index >= index, f"{name} is behind: {cluster.describe()}"
    last = cluster.replicas[leader].applied
    for name in members:
        assert cluster.replicas[name].applied == last
    cluster.check_logs_match()


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize(("voters", "learners"), [(3, 0), (5, 1), (1, 1), (2, 0)])
def test_safe_under_faults_and_live_after(voters: int, learners: int, seed: int) -> None:
    cluster = Cluster(voters, learners=learners, seed=seed)
    adversary = Adversary(cluster, seed, membership=False)
    for _ in range(STEPS):
        adversary.step()
    cluster.check_logs_match()
    heal_and_converge(cluster)


@pytest.mark.parametrize("seed", range(40))
def test_safe_while_the_voters_change(seed: int) -> None:
    cluster = Cluster(3, learners=2, seed=seed)
    adversary = Adversary(cluster, seed, membership=True)
    for _ in range(STEPS):
        adversary.step()
    cluster.check_logs_match()
    heal_and_converge(cluster)


def test_the_adversary_is_strong_enough() -> None:
    """Over the seeds there are many terms, commits, snapshots and refused and answered reads."""
    terms = commits = answered = refused = 0
    for seed in range(5):
        cluster = Cluster(3, seed=seed)
        cluster.elect()
        adversary = Adversary(cluster, seed, membership=False)
        for _ in range(STEPS):
            adversary.step()
        terms += len(cluster.leaders)
        commits += len(cluster.committed)
        answered += sum(index is not None for index in cluster.read_indexes)
        refused += sum(index is None for index in cluster.read_indexes)
    assert terms > 15
    assert commits > 50
    assert answered > 10
    assert refused > 10


def test_the_same_seed_gives_the_same_run() -> None:
    def run() -> list[object]:
        cluster = Cluster(3, seed=7)
        adversary = Adversary(cluster, 7, membership=False)
        for _ in range(STEPS):
            adversary.step()
        return [cluster.notes, cluster.committed, cluster.describe(), [each.message for each in cluster.network]]

    assert run() == run()
