"""Every benchmark in turn, then the figures one below the other. Prints one JSON document; the table goes to standard error.

    python -m bench [--list] [NAME ...]

Names are those of the files in this folder; `failover` stands for itself with each kind of evidence and owner.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from bench.labs import progress

BENCHMARKS: Mapping[str, tuple[str, ...]] = {
    "decisions": ("decisions",),
    "simulator": ("simulator",),
    "commits": ("commits",),
    "startup": ("startup",),
    "restarts": ("restarts",),
    "moves": ("moves",),
    "failover": ("failover", "failover --leader", "failover --no-fence", "failover --leader --no-fence"),
    "many": ("many",),
    "idle": ("idle", "idle --nodes 16"),
    "doors": ("doors",),
    "loss": ("loss",),
    "rest": ("rest",),
    "disks": ("disks",),
    "virtual_machines": ("virtual_machines",),
}
LIMIT_S = 1800


def run(names: list[str]) -> int:
    """0 when every benchmark gave its figures."""
    found: dict[str, Any] = {}
    for name in names:
        for command in BENCHMARKS[name]:
            found[command] = _measure(command)
    for line in _table(found):
        progress(line)
    print(json.dumps(found))
    return 1 if any("error" in each for each in found.values()) else 0


def _measure(command: str) -> dict[str, Any]:
    module, *options = command.split()
    progress(f"== {command}")
    before = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, "-m", f"bench.{module}", *options], stdout=subprocess.PIPE, timeout=LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return {"error": f"it took longer than {LIMIT_S} s"}
    if done.returncode:
        return {"error": f"it ended with {done.returncode}"}
    figures: dict[str, Any] = json.loads(done.stdout)
    return {**figures, "took_s": round(time.monotonic() - before, 1)}


def _table(found: Mapping[str, Any]) -> Iterator[str]:
    """One line per figure: the median where there is one."""
    for command, figures in found.items():
        if "error" in figures:
            yield f"{command:32} {figures['error']}"
        for name, value in figures.items():
            if isinstance(value, dict) and "median" in value:
                yield f"{command:32} {name:40} {value['median']:>10} ({value['best']} to {value['worst']})"
            elif isinstance(value, int | float):
                yield f"{command:32} {name:40} {value:>10}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--list", action="store_true", help="name the benchmarks and run nothing")
    given = parser.parse_args()
    if given.list:
        print("\n".join(command for commands in BENCHMARKS.values() for command in commands))
        sys.exit(0)
    unknown = [name for name in given.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    sys.exit(run(given.names or list(BENCHMARKS)))
