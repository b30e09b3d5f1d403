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
    """Every shared disk by the name of its unit, which is that of its resource unless the record names another."""

    def __init__(self) -> None:
        self._disks: dict[str, SharedDisk] = {}
        self._sole: dict[str, frozenset[str]] = {}
        self._opened: dict[tuple[str, int], list[tuple[int, str]]] = {}
        """By resource and generation: since when a host really used which unit for it, whatever its record says now."""
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

    def use(self, disk: str, unit: str, generation: int, now_us: int, tell: Callable[[], None]) -> None:
        """The resource `disk` writes to this unit from now on. Have `tell` called when somebody newer claims it."""
        self._opened.setdefault((disk, generation), []).append((now_us, unit))
        self._disks.setdefault(unit, SharedDisk()).users.append((generation, tell))

    def forget(self, disk: str, now_us: int) -> None:
        """The claim is not kept: whoever comes next gets the disk."""
        self._disks[disk].claims.append((now_us, 0))

    def refuses(self, group: str, generation: int) -> bool:
        """Whether a group affects nothing but its disks, and every one of them takes no writes of that generation."""
        last = {disk: self._opened.get((disk, generation), [(0, disk)])[-1][1] for disk in self._sole.get(group, ())}
        return bool(last) and all(self._refused_us(unit, generation) is not None for unit in last.values())

    def ended_us(self, run: Run) -> int | None:
        """Until when a life of a workload could affect anything outside: a disk itself, or what writes to all of them."""
        disks = self._sole.get(run.group)
        if not disks:
            return run.ended_us
        mine = [run.resource] if run.resource in disks else sorted(disks)
        refused = [self._refused_us(unit, run.generation) for disk in mine for unit in self._written_by(run, disk)]
        ends = [run.ended_us, None if None in refused else max(each for each in refused if each is not None)]
        return min((each for each in ends if each is not None), default=None)

    def _written_by(self, run: Run, disk: str) -> list[str]:
        """What was open for this resource at any time of that life. What was never opened counts by its own name."""
        opened = self._opened.get((disk, run.generation), [(0, disk)])
        until = [*(at_us for at_us, _ in opened[1:]), None]
        return [
            unit
            for (at_us, unit), until_us in zip(opened, until, strict=True)
            if (until_us is None or until_us > run.started_us) and (run.ended_us is None or at_us <= run.ended_us)
        ]

    def _refused_us(self, disk: str, generation: int) -> int | None:
        """Since when this disk takes no writes of that generation, and never again did."""
        since: int | None = None
        for at_us, each in self._disks[disk].claims if disk in self._disks else ():
            if each <= generation:
                since = None
            elif since is None:
                since = at_us
        return since
