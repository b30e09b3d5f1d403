"""What becomes of proposals whose outcome is never told, or that are not even taken?"""

from functools import partial

from clusterd.database import Draft
from clusterd.leader.proposal import Proposal
from clusterd.model.errors import Busy
from clusterd.model.ids import GroupId, NodeId
from clusterd.model.records import GroupRecord
from clusterd.node import Node
from clusterd.sim import SimCluster, SimSettings


def leading() -> tuple[SimCluster, Node]:
    cluster = SimCluster(SimSettings(seed=3))
    cluster.start()
    assert cluster.run_until(lambda: cluster.leader() is not None)
    cluster.run_for(2000)
    node = cluster.machines[NodeId(cluster.leader() or "")].node
    assert node is not None
    return cluster, node


def test_one_whose_outcome_got_lost_does_not_block_its_groups_for_ever() -> None:
    """It is in no log: a linearizable read proves that, and its groups are decided about again."""
    cluster, node = leading()
    book = node.leading._memory.in_flight
    book.add(Proposal("group/web", Draft(node.replica.view)), cluster.machines[node.me].clock_ms())
    cluster.add_group("web", {"server": ""})
    cluster.run_for(1000)
    assert not cluster.is_online("web") and node.replica.view.assignment("web") is None
    assert cluster.run_until(lambda: cluster.is_online("web"), patience_ms=20_000)


def test_one_that_is_only_slow_counts_until_it_commits() -> None:
    """Its entry stands in the log: it is looked up again and again, and never taken for lost."""
    cluster, node = leading()
    cluster.add_group("web", {"server": ""})
    assert cluster.run_until(lambda: cluster.is_online("web"))
    for name in cluster.names:
        if name != node.me:
            cluster.disks.slow(name, 800)
    book, longest = node.leading._memory.in_flight, 0
    for number in range(20):
        cluster.write_soon(node.me, partial(_put_group, name=f"g{number}"))
    for _ in range(400):
        cluster.run_for(100)
        longest = max(longest, len(book.groups))
    assert longest > 1
    given = [cluster.view().assignment(f"g{number}") for number in range(20)]
    assert {each.generation for each in given if each is not None} == {1} and None not in given


def test_a_refused_one_is_offered_again_after_a_pause_not_at_every_tick() -> None:
    cluster, node = leading()
    asked: list[int] = []
    propose = node.replica.raft.propose

    def refuse(data: bytes, now_ms: int) -> int:
        if b"assignment/web" not in data:
            return propose(data, now_ms)
        asked.append(now_ms)
        raise Busy("too much waits already")

    node.replica.raft.propose = refuse  # type: ignore[method-assign]
    cluster.add_group("web", {"server": ""})
    cluster.run_for(5000)
    assert 4 <= len(asked) <= 7
    node.replica.raft.propose = propose  # type: ignore[method-assign]
    assert cluster.run_until(lambda: cluster.is_online("web"), patience_ms=3000)


def _put_group(draft: Draft, *, name: str) -> Draft:
    return draft.put(_group(name))


def _group(name: str) -> GroupRecord:
    return GroupRecord(GroupId(name), id=name)
