"""How long does a change take through REST, at the leader and at a follower? Prints JSON.

    python -m bench.rest [--changes 300] [--runs 5]

Three daemons of a lab, each a process of its own, with `fsync`; one client on one connection that it keeps. Beside the
times, which neighbours on the machine stretch, what the asked daemon spent on a change: processor time and switches.
"""

import argparse
import http.client
import json
import os
import statistics
import time
from pathlib import Path
from urllib.parse import urlsplit

from bench.labs import Lab, lab, progress

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class Asked:
    """One node, and what its daemon spends."""

    def __init__(self, made: Lab, name: str) -> None:
        node = next(each for each in made.nodes() if each["name"] == name)
        where = urlsplit(str(node["api"]))
        self.name, self._pid = name, int(node["pid"])
        self._headers = {"Authorization": f"Bearer {made.token()}", "Content-Type": "application/json"}
        self._connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=30)

    def change(self, number: int) -> float:
        """Milliseconds for one."""
        body = json.dumps({"properties": {"description": f"change {number}"}})
        before = time.perf_counter()
        self._connection.request("PATCH", f"/v1/nodes/{self.name}", body=body, headers=self._headers)
        answer = self._connection.getresponse()
        data = answer.read()
        took_ms = (time.perf_counter() - before) * 1000
        if answer.status != 200:
            raise SystemExit(f"change {number}: {answer.status} {data[:300]!r}")
        return took_ms

    def spent(self) -> tuple[float, int]:
        """(milliseconds of processor time, context switches) of the daemon so far, all threads."""
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        switches = 0
        for task in Path(f"/proc/{self._pid}/task").iterdir():
            for line in (task / "status").read_text().splitlines():
                if "ctxt_switches" in line:
                    switches += int(line.split()[1])
        return (int(fields[11]) + int(fields[12])) * 1000 / TICKS_A_SECOND, switches


def measure(asked: Asked, changes: int, runs: int) -> dict[str, object]:
    for number in range(20):
        asked.change(-number)
    medians, fastest, processor, switches = [], [], [], []
    for run in range(runs):
        before = asked.spent()
        times = sorted(asked.change(run * changes + number) for number in range(changes))
        after = asked.spent()
        medians.append(statistics.median(times))
        fastest.append(times[len(times) // 10])
        processor.append((after[0] - before[0]) / changes)
        switches.append((after[1] - before[1]) / changes)
        progress(f"{asked.name} run {run}: p50 {medians[-1]:.2f} ms, p10 {fastest[-1]:.2f} ms")
    return {
        "p50_ms": {
            "median": round(statistics.median(medians), 2),
            "best": round(min(medians), 2),
            "worst": round(max(medians), 2),
        },
        "p10_ms": round(statistics.median(fastest), 2),
        "processor_ms_a_change": round(statistics.median(processor), 2),
        "context_switches_a_change": round(statistics.median(switches), 1),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changes", type=int, default=300)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    with lab() as made_lab:
        leader = made_lab.leader()
        follower = next(str(each["name"]) for each in made_lab.nodes() if each["name"] != leader)
        found = {
            "figure": "a change through REST, one client, three daemons of a lab",
            "at_the_leader": measure(Asked(made_lab, leader), given.changes, given.runs),
            "at_a_follower": measure(Asked(made_lab, follower), given.changes, given.runs),
        }
        print(json.dumps(found))
