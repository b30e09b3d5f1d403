"""How big is this machine, and how busy? I/O: reads /proc, at most every ten seconds."""

import os
from collections import deque
from collections.abc import Callable
from pathlib import Path

from clusterd.node.events import MachineMeasured

MEASURE_EVERY_S = 10.0
WINDOW_COUNT = 30
"""Measurements that the average of the processors is taken over: five minutes."""
_KIB_A_MIB = 1024


class Machine:
    """Measures, and remembers enough for the average."""

    def __init__(self, read: Callable[[str], str] = lambda path: Path(path).read_text(encoding="ascii")) -> None:
        self._read = read
        self._ticks: deque[tuple[int, int]] = deque(maxlen=WINDOW_COUNT + 1)

    def measure(self) -> MachineMeasured:
        """What is not to be had on this kernel counts as 0, which limits nothing."""
        memory = self._memory_kib()
        total, available = memory.get("MemTotal", 0), memory.get("MemAvailable", 0)
        return MachineMeasured(
            memory_mib=total // _KIB_A_MIB,
            cores=len(os.sched_getaffinity(0)),
            processor_percent=self._processor_percent(),
            memory_percent=round(100 * (total - available) / total) if total else 0,
        )

    def _memory_kib(self) -> dict[str, int]:
        try:
            lines = self._read("/proc/meminfo").splitlines()
        except OSError:
            return {}
        pairs = (line.split(":", 1) for line in lines if ":" in line)
        return {name: int(rest.split()[0]) for name, rest in pairs if rest.split()}

    def _processor_percent(self) -> int:
        """Busy over all ticks since the oldest measurement that is kept."""
        try:
            fields = [int(each) for each in self._read("/proc/stat").split("\n", 1)[0].split()[1:9]]
        except (OSError, ValueError):
            return 0
        idle = sum(fields[3:5])
        self._ticks.append((sum(fields) - idle, sum(fields)))
        (busy_then, all_then), (busy_now, all_now) = self._ticks[0], self._ticks[-1]
        return round(100 * (busy_now - busy_then) / (all_now - all_then)) if all_now > all_then else 0
