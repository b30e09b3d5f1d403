"""How is a workload contained where no control group can be made? I/O: /proc.

Ours is what carries the tag in the environment it was started with, what descends from that, and what descends from the
given roots. A process that lost its tag (`env -i`) and its parents (double fork) becomes a child of the nearest subreaper.
That is the keeper of the process that was started for the resource (`reshost/keeper.py`): what is below it belongs to the
resource, and it does not. When keepers were killed it is the host or the guard, and is found as a descendant of those.
"""

from collections.abc import Callable, Iterable

from clusterd.adapters.containment_proc import ProcessSeen, is_there, signal_process
from clusterd.adapters.containment_scan import look


class TreeScope:
    """Processes by tag prefix and by descent."""

    def __init__(
        self, tag: str, roots: Callable[[], Iterable[int]], keepers: Callable[[], Iterable[ProcessSeen]] = tuple
    ) -> None:
        self._tag, self._roots, self._keepers = tag, roots, keepers

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
        """A look at all processes can miss one that forks and ends meanwhile; a keeper that is there keeps something."""
        return not self._seen() and not any(is_there(each) for each in self._keepers())

    def remove(self) -> None:
        return

    def _seen(self) -> list[ProcessSeen]:
        seen = look()
        return seen.with_descendants([*seen.tagged(self._tag), *self._roots(), *seen.below(self._keepers())])
