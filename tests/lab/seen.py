"""A lab of stand-in programs, seen from outside."""

import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clusterd.lab.control import ask
from clusterd.lab.layout import LabRecord
from clusterd.lab.options import Programs
from clusterd.lab.processes import descendants, process_info, send_signal, snapshot

DUMMIES = Path(__file__).parent / "dummies"
PROGRAMS = Programs(
    guard=(sys.executable, "-I", "-S", str(DUMMIES / "guard.py"), "{run_dir}", "{node}"),
    daemon=(sys.executable, "-I", "-S", str(DUMMIES / "daemon.py"), "{configuration}"),
    host_mark="dummy-host",
)
WAIT_MAX_S = 10


def wait_for(what: str, is_true: Callable[[], Any]) -> None:
    """Return when `is_true`, fail after a bounded time."""
    until = time.monotonic() + WAIT_MAX_S
    while not is_true():
        assert time.monotonic() < until, f"waited {WAIT_MAX_S} s for: {what}"
        time.sleep(0.01)


@dataclass
class LabSeen:
    """A running lab, seen from outside."""

    record: LabRecord
    watcher_pid: int
    seen: dict[int, int] = field(default_factory=dict)

    def ask(self, verb: str, **arguments: Any) -> dict[str, Any]:
        return ask(self.record, verb, **arguments)

    def node(self, name: str) -> dict[str, Any]:
        return next(each for each in self.ask("status")["nodes"] if each["name"] == name)

    def wait_workloads(self) -> None:
        """Until every node has its workload and both strays, and take note of every process."""
        wait_for("workloads", lambda: all(len(each["workload_pids"]) == 3 for each in self.ask("status")["nodes"]))
        self.note_processes()

    def note_processes(self) -> None:
        self.seen.update({each.pid: each.start_ticks for each in descendants(snapshot(), [self.watcher_pid])})

    def still_alive(self) -> list[int]:
        """Processes that were ever noted and run yet."""
        found = [(pid, ticks, process_info(pid)) for pid, ticks in self.seen.items()]
        return [pid for pid, ticks, info in found if info and info.is_alive and info.start_ticks == ticks]

    def kill_survivors(self) -> None:
        for pid in self.still_alive():
            info = process_info(pid)
            if info is not None and info.start_ticks == self.seen[pid]:
                send_signal(info, signal.SIGKILL)
