"""How does shared storage with reservations behave, and whose writes does it take? Pure.

A disk is claimed under a generation, and from then on takes the writes of nobody older: not of an owner that was frozen
meanwhile, nor of one whose node nobody can reach. What matters to a group that declares storage as its sole effect is not
how long a copy of it runs, but until when any of its disks still takes that copy's writes.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from clusterd.sim.workloads import Run


@dataclass(slots=True)
class SharedDisk:
    """One disk: every claim, as (moment, generation), and who uses it and wants to know that it was lost."""

    claims: list[tuple[int, int]] = field(default_factory=list)
    users: list[tuple[int, Callable[[], None]]] = field(default_factory=list)

    @property
    def generation(self) -> int:
        return self.claims[-1][1] if self.claims else 0


class Storage:
    """Every shared disk by the name of its resource."""

    def __init__(self) -> None:
        self._disks: dict[str, SharedDisk] = {}
        self._sole: dict[str, frozenset[str]] = {}
        self.intrusions: list[str] = []
        """Every claim that an owner made although a newer one had been there."""

    def declare(self, group: str, disks: Collection[str]) -> None:
        """The group affects nothing but these."""
        self._sole[group] = frozenset(disks)

    def claim(self, disk: str, generation: int, now_us: int) -> bool:
        """False: somebody newer has it. Whoever used it under an older generation hears that it is lost, if it can hear."""
        found = self._disks.setdefault(disk, SharedDisk())
        if generation < found.generation:
            return False
        newest = max((each for _, each in found.claims), default=0)
        if generation < newest:
            self.intrusions.append(f"{disk} was claimed under generation {generation} after {newest} ({now_us} us)")
        found.claims.append((now_us, generation))
        lost = [tell for each, tell in found.users if each < generation]
        found.users = [each for each in found.users if each[0] >= generation]
        for tell in lost:
            tell()
        return True

    def use(self, disk: str, generation: int, tell: Callable[[], None]) -> None:
        """Have `tell` called when somebody newer claims it."""
        self._disks.setdefault(disk, SharedDisk()).users.append((generation, tell))

    def forget(self, disk: str, now_us: int) -> None:
        """The claim is not kept: whoever comes next gets the disk."""
        self._disks[disk].claims.append((now_us, 0))

    def refuses(self, group: str, generation: int) -> bool:
        """Whether a group affects nothing but its disks, and every one of them takes no writes of that generation."""
        disks = self._sole.get(group, frozenset())
        return bool(disks) and all(self._refused_us(disk, generation) is not None for disk in disks)

    def ended_us(self, run: Run) -> int | None:
        """Until when a life of a workload could affect anything outside: a disk itself, or what writes to all of them."""
        disks = self._sole.get(run.group)
        if not disks:
            return run.ended_us
        mine = [run.resource] if run.resource in disks else sorted(disks)
        refused = [self._refused_us(disk, run.generation) for disk in mine]
        ends = [run.ended_us, None if None in refused else max(each for each in refused if each is not None)]
        return min((each for each in ends if each is not None), default=None)

    def _refused_us(self, disk: str, generation: int) -> int | None:
        """Since when this disk takes no writes of that generation, and never again did."""
        since: int | None = None
        for at_us, each in self._disks[disk].claims if disk in self._disks else ():
            if each <= generation:
                since = None
            elif since is None:
                since = at_us
        return since
