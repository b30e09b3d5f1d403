"""What does an idle node cost? Prints JSON.

    python -m bench.idle [--seconds 60] [--nodes 3]

Processor seconds per minute, and memory (proportional set size), of daemon, guard with its shadow, and shared host together.
"""

import argparse
import json
import os
import time
from pathlib import Path

from bench.labs import lab, progress, summary

TICKS = os.sysconf("SC_CLK_TCK")
SETTLE_S = 5


def measure(seconds: float, nodes: int) -> dict[str, object]:
    with lab(nodes=nodes) as running:
        running.ctl("wait", "--for", "cluster healthy")
        time.sleep(SETTLE_S)
        families = {node["name"]: _family(node) for node in running.nodes()}
        before = {name: sum(map(_cpu_s, pids)) for name, pids in families.items()}
        progress(f"watching {families} for {seconds:.0f} s")
        time.sleep(seconds)
        spent = [(sum(map(_cpu_s, pids)) - before[name]) * 60 / seconds for name, pids in families.items()]
        memory = [sum(map(_pss_mib, pids)) for pids in families.values()]
        resident = [sum(map(_rss_mib, pids)) for pids in families.values()]
    return {
        "figure": "an idle node: daemon, guard with shadow, shared host",
        "nodes": nodes,
        "seconds_watched": seconds,
        "cpu_seconds_per_minute": summary(spent),
        "memory_pss_mib": summary(memory, 1),
        "memory_rss_mib": summary(resident, 1),
    }


def _family(node: dict[str, object]) -> list[int]:
    """The processes that the lab names, and their children: the guard's shadow is one."""
    hosts = node["host_pids"]
    assert isinstance(hosts, list)
    named = [node["pid"], node["guard_pid"], *hosts]
    found = [pid for pid in named if isinstance(pid, int)]
    children = {int(child) for pid in found for child in _children(pid)}
    return sorted({*found, *children})


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _pss_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _rss_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--nodes", type=int, default=3)
    given = parser.parse_args()
    print(json.dumps(measure(given.seconds, given.nodes)))
