"""What when a machine is copied, and the copy runs beside it? Pure. Commands and claims of scenarios, and a judge.

clone n1               a second machine starts with a copy of n1's data, its name and its certificate; it is called n1'
clone-of n1 MARK       the same with a copy that was made before (see `mark`)
clone-kill n1 | clone-start n1 | clone-freeze n1 | clone-thaw n1

clone n1 refused | let-in | leads-nothing | runs nothing
told n1 doubled        the timeline says that n1 runs twice
"""

import random
from collections.abc import Callable

from clusterd.model.events import NODE_DOUBLED
from clusterd.model.ids import NodeId
from clusterd.sim.cluster import SimCluster
from clusterd.sim.disk import Disk
from clusterd.sim.machine import Machine


class Cloning:
    """The copies of a cluster's machines, one of each node at most."""

    def __init__(self, cluster: SimCluster, copy_of: Callable[[str, str], Disk]) -> None:
        self._cluster = cluster
        self._copy_of = copy_of

    def find(self, word: str) -> Callable[..., None] | None:
        """The command called `word`."""
        commands: dict[str, Callable[..., None]] = {
            "clone": self.clone,
            "clone-of": lambda name, mark: self.clone(name, self._copy_of(name, mark)),
            "clone-kill": lambda name: self.machine(name).kill(),
            "clone-start": lambda name: self.machine(name).start(),
        }
        return commands.get(word)

    def machine(self, name: str) -> Machine:
        return self._cluster.copies[place_of(name)]

    def clone(self, name: str, disk: Disk | None = None) -> None:
        """It has a guard, hosts and a clock of its own."""
        cluster, place = self._cluster, place_of(name)
        original = cluster.machines[NodeId(name)]
        rng = random.Random(f"{cluster.settings.seed} {place}")
        cluster.network.copies[place] = NodeId(name)
        cluster.copies[place] = Machine(cluster, NodeId(name), disk or original.disk.copy(), rng, place)
        cluster.copies[place].start()


def place_of(name: str) -> NodeId:
    return NodeId(f"{name}'")


def clone_claim(cluster: SimCluster, words: tuple[str, ...]) -> Callable[[], bool] | None:
    """What a scenario may claim of copies; None: something else is claimed."""
    match words:
        case ("clone", name, "refused"):
            return lambda: (node := cluster.copies[place_of(name)].node) is not None and node.doubles.rival is not None
        case ("clone", name, "sound"):
            return lambda: (
                (node := cluster.copies[place_of(name)].node) is not None
                and node.doubles.rival is None
                and not node.replica.raft.is_amnesiac
            )
        case ("clone", name, "leads"):
            return lambda: (node := cluster.copies[place_of(name)].node) is not None and node.replica.is_leader
        case ("told", name, "doubled"):
            return lambda: any(
                record.name == NODE_DOUBLED.name and record.node == name for _, record in cluster.view().events()
            )
        case _:
            return None


class DoubleJudge:
    """Looks again and again: of the machines that are one node at most one may have a part in anything."""

    def __init__(self, cluster: SimCluster) -> None:
        self._cluster = cluster
        self.breaches: list[str] = []

    def look(self) -> None:
        for place, copy in self._cluster.copies.items():
            both = [each for each in (self._cluster.machines[copy.name], copy) if _may_run(each)]
            if len(both) > 1:
                self.breaches.append(f"{copy.name} and {place} both hold a lease")
            leading = [each for each in both if each.node is not None and each.node.replica.raft.is_leader_ready]
            if len(leading) > 1:
                self.breaches.append(f"{copy.name} and {place} both lead")


def _may_run(machine: Machine) -> bool:
    node = machine.node
    return node is not None and node.owning.holds_lease(machine.clock_ms())
