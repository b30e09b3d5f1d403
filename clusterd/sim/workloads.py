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


class Ledger:
    """Every life of every workload, in order of their start."""

    def __init__(self) -> None:
        self.runs: list[Run] = []

    def start(self, group: str, resource: str, node: str, generation: int, now_us: int, asked_us: int) -> Run:
        run = Run(group, resource, node, generation, now_us, asked_us)
        self.runs.append(run)
        return run

    def running(self, resource: str) -> list[Run]:
        return [run for run in self.runs if run.resource == resource and run.ended_us is None]
