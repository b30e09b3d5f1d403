"""What really runs, where and when? Pure. The ledger that tells whether two copies ever ran at once."""

from dataclasses import dataclass


@dataclass(slots=True)
class Run:
    """One life of one workload. Times are the simulation's own, which no node sees."""

    group: str
    resource: str
    node: str
    generation: int
    started_us: int
    asked_us: int
    """When its owner's call arrived: what it depends on must have run then."""
    ended_us: int | None = None
    stop_asked_us: int | None = None
    """When its owner's call to take it offline arrived: nothing that cannot do without it may have run then."""
    goes_on: bool = False
    """It began where another life of it stood still, with the same memory."""


@dataclass(slots=True)
class Memory:
    """A place for the memory of a workload that runs elsewhere, and whose life it is that arrived there."""

    name: str
    is_open: bool = True
    of: Run | None = None


class Ledger:
    """Every life of every workload, in order of their start."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.places: dict[str, Memory] = {}
        self.went_on: list[str] = []
        """Nodes on which a workload went on after a live migration."""
        self.outdated: list[str] = []
        """Every workload that went on with the memory of a life that was not its last."""

    def start(self, group: str, resource: str, node: str, generation: int, now_us: int, asked_us: int) -> Run:
        run = Run(group, resource, node, generation, now_us, asked_us)
        self.runs.append(run)
        return run

    def make_place(self, words: str) -> Memory:
        place = Memory(f"{words}/{len(self.places) + 1}")
        self.places[place.name] = place
        return place

    def goes_on(self, memory: Memory, node: str, now_us: int) -> None:
        """A workload goes on with what arrived by live migration."""
        before = memory.of
        if before is None:
            return
        self.went_on.append(f"{before.resource} on {node}")
        last = [run for run in self.runs if run.resource == before.resource][-1]
        if last is not before:
            self.outdated.append(f"{before.resource} goes on at {node} ({now_us} us) as it was before {last}")

    def running(self, resource: str) -> list[Run]:
        return [run for run in self.runs if run.resource == resource and run.ended_us is None]
