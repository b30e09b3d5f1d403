"""What runs on this machine, with tags and descent? I/O: /proc, read once for everybody who asks at the same time.

To look at every process takes some milliseconds, and a host that stops two hundred workloads looks for each of them several
times. So whoever waits for a look shares the first one that began after it asked: it is as new as one of its own.
"""

import threading
import time
from collections.abc import Iterable

from clusterd.adapters.containment_proc import ProcessSeen, processes, tag_of


class MachineSeen:
    """Everything that ran at one moment, as far as we may see it."""

    def __init__(self) -> None:
        self.processes = processes()
        self._tags = [(tag, pid) for pid in self.processes if (tag := tag_of(pid)) is not None]
        self._children: dict[int, list[int]] = {}
        for each in self.processes.values():
            self._children.setdefault(each.parent_pid, []).append(each.pid)

    def tagged(self, prefix: str) -> list[int]:
        return [pid for tag, pid in self._tags if tag.startswith(prefix)]

    def with_descendants(self, roots: Iterable[int]) -> list[ProcessSeen]:
        """`roots` that still run, and everything that descends from them."""
        found: set[int] = set()
        todo = [pid for pid in roots if pid in self.processes]
        while todo:
            pid = todo.pop()
            if pid not in found:
                found.add(pid)
                todo += self._children.get(pid, ())
        return [self.processes[pid] for pid in found]

    def below(self, keepers: Iterable[ProcessSeen]) -> list[int]:
        """The children of those of them that are there still, under the same start time."""
        there = (each for each in keepers if self._is_there(each))
        return [pid for each in there for pid in self._children.get(each.pid, ())]

    def _is_there(self, known: ProcessSeen) -> bool:
        now = self.processes.get(known.pid)
        return now is not None and now.start_ticks == known.start_ticks


class SharedLook:
    """The newest look at the machine, and when it began."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began_ns = -1
        self._seen: MachineSeen | None = None

    def look(self) -> MachineSeen:
        """A look that began after this call. May be called in any thread."""
        asked_ns = time.monotonic_ns()
        with self._lock:
            if self._seen is None or self._began_ns <= asked_ns:
                began_ns = time.monotonic_ns()
                self._seen = MachineSeen()
                self._began_ns = began_ns
            return self._seen


_SHARED = SharedLook()


def look() -> MachineSeen:
    return _SHARED.look()
