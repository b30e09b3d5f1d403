"""Did two nodes ever run the same workload at once, or an older generation after a newer one? Pure."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Life:
    """One life of a workload: `[started, ended)` on one clock that all lives share. `ended` None: it still runs."""

    workload: str
    node: str
    generation: int
    started: int
    ended: int | None


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two lives of one workload that should not be. `by` is how long they ran beside each other."""

    first: Life
    second: Life
    by: int

    def __str__(self) -> str:
        return (
            f"{self.second.workload}: generation {self.second.generation} on {self.second.node} started at "
            f"{self.second.started} while generation {self.first.generation} on {self.first.node} "
            f"ran until {self.first.ended}"
        )


def overlaps(lives: Iterable[Life]) -> list[Overlap]:
    """Every pair that overlaps or goes back in generations. An empty list is the only good answer."""
    found: list[Overlap] = []
    last: dict[str, Life] = {}
    for life in sorted(lives, key=lambda each: (each.workload, each.started, each.generation)):
        before = last.get(life.workload)
        if before is not None:
            end = before.ended if before.ended is not None else max(life.started + 1, life.ended or 0)
            if end > life.started:
                found.append(Overlap(before, life, min(end, life.ended or end) - life.started))
            elif life.generation < before.generation:
                found.append(Overlap(before, life, 0))
        if before is None or (life.ended or 1 << 62) >= (before.ended or 1 << 62):
            last[life.workload] = life
    return found
