"""What can befall the data of a node that is down? Pure. Commands and claims of scenarios, and of storms.

wipe n1                 its data folder is gone
mark n1 MARK            a copy of its data is kept under that name (also while it runs)
rollback n1 MARK        its data is that copy again
corrupt n1              its database says what was never committed (a broken memory, a bug)

node n1 amnesiac | sound | held | votes | has-no-vote | waits-for-data
lost nothing            whatever an operator was told is committed is there
told n1 lost            the timeline says that n1 holds what the others lost
"""

from collections.abc import Callable

from clusterd.model.events import DATA_WENT_BACK, DIGEST_DIFFERED
from clusterd.model.ids import NodeId
from clusterd.model.records import ResourceTypeRecord
from clusterd.sim.cluster import SimCluster
from clusterd.sim.disk import Disk


class Forgetting:
    """The copies that were made, and what was done with them."""

    def __init__(self, cluster: SimCluster) -> None:
        self._cluster = cluster
        self._copies: dict[tuple[str, str], Disk] = {}

    def find(self, word: str) -> Callable[..., None] | None:
        """The command called `word`."""
        commands: dict[str, Callable[..., None]] = {
            "wipe": self.wipe,
            "mark": self.mark,
            "rollback": self.rollback,
            "corrupt": self.corrupt,
        }
        return commands.get(word)

    def wipe(self, name: str) -> None:
        self._give(name, Disk.wiped())

    def mark(self, name: str, mark: str) -> None:
        self._copies[name, mark] = self._cluster.machines[NodeId(name)].disk.copy()

    def copy_of(self, name: str, mark: str) -> Disk:
        return self._copies[name, mark].copy()

    def rollback(self, name: str, mark: str) -> None:
        self._give(name, self.copy_of(name, mark))

    def corrupt(self, name: str) -> None:
        node = self._cluster.machines[NodeId(name)].node
        if node is None:
            raise ValueError(f"the daemon of {name} does not run")
        wrong = node.draft().put(ResourceTypeRecord("wrong", NodeId("nobody")))
        database = node.replica.database
        database.revision -= 1  # the last revision says something else now
        database.apply(wrong.build(f"wrong {name}"), database.revision + 1)

    def _give(self, name: str, disk: Disk) -> None:
        machine = self._cluster.machines[NodeId(name)]
        if machine.node is not None:
            raise ValueError(f"the daemon of {name} runs: kill it first")
        machine.disk = disk


def memory_claim(cluster: SimCluster, words: tuple[str, ...]) -> Callable[[], bool] | None:
    """What a scenario may claim of what nodes remember; None: something else is claimed."""
    match words:
        case ("node", name, "amnesiac"):
            return lambda: is_amnesiac(cluster, name)
        case ("node", name, "sound"):
            return lambda: not is_amnesiac(cluster, name)
        case ("node", name, "votes"):
            return lambda: name in voters(cluster)
        case ("node", name, "has-no-vote"):
            return lambda: name not in voters(cluster)
        case ("node", name, "waits-for-data"):
            return lambda: (
                (node := cluster.machines[NodeId(name)].node) is not None and node.lacking.present is not None
            )
        case ("node", name, "held"):
            return lambda: (node := cluster.machines[NodeId(name)].node) is not None and node.replica.raft.is_held
        case ("told", name, "lost"):
            return lambda: _is_told(cluster, DATA_WENT_BACK.name, name)
        case ("replicas", "equal"):
            return lambda: (
                len({each.node.replica.database.digest for each in cluster.machines.values() if each.node is not None})
                == 1
            )
        case ("told", name, "differs"):
            return lambda: _is_told(cluster, DIGEST_DIFFERED.name, name)
        case ("lost", "nothing"):
            return lambda: not lost(cluster)
        case _:
            return None


def _is_told(cluster: SimCluster, event: str, node: str) -> bool:
    return any(record.name == event and record.node == node for _, record in cluster.view().events())


def is_amnesiac(cluster: SimCluster, name: str) -> bool:
    machine = cluster.machines[NodeId(name)]
    return machine.disk.is_amnesiac if machine.node is None else machine.node.replica.raft.is_amnesiac


def voters(cluster: SimCluster) -> tuple[str, ...]:
    """As the leader has committed them."""
    leader = cluster.leader()
    node = cluster.machines[NodeId(leader)].node if leader is not None else None
    return tuple(node.replica.raft.committed_configuration.voters) if node is not None else ()


def lost(cluster: SimCluster) -> list[str]:
    """What an operator was told is committed, and the leader does not have."""
    leader = cluster.leader()
    if leader is None:
        return []
    view = cluster.view(leader)
    return [key for key in cluster.acknowledged if not view.revision_of(key)]
