"""How is a workload contained where no control group can be made? I/O: /proc.

Ours is what carries the tag in the environment it was started with, what descends from that, and what descends from the
given roots. A process that lost its tag (`env -i`) and its parents (double fork) becomes a child of the nearest subreaper,
which is its host or guard, and is found as a descendant of that. Only then: a resource's own scope cannot see it.
"""

from collections.abc import Callable, Iterable

from clusterd.adapters.containment_proc import ProcessSeen, signal_process
from clusterd.adapters.containment_scan import look


class TreeScope:
    """Processes by tag prefix and by descent."""

    def __init__(self, tag: str, roots: Callable[[], Iterable[int]]) -> None:
        self._tag = tag
        self._roots = roots

    def create(self) -> None:
        return

    def birthplace(self) -> None:
        return None

    def members(self) -> list[int]:
        return sorted(each.pid for each in self._seen())

    def kill(self) -> None:
        for each in self._seen():
            signal_process(each)

    def is_empty(self) -> bool:
        return not self._seen()

    def remove(self) -> None:
        return

    def _seen(self) -> list[ProcessSeen]:
        seen = look()
        return seen.with_descendants([*seen.tagged(self._tag), *self._roots()])
