"""Kills, pauses and cuts real nodes at random while workloads write a ledger, and judges it. Not part of `make test`.

python -m tests.system.storm --minutes 10 [--profile fast] [--no-fence] [--seed 1] [--machines 2]

Machines are tiny guests: they are moved live and quick as well, and judged by what they say and write to their disks.
"""

import argparse
import contextlib
import itertools
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.labs import Lab, lab
from tests.system.guests import Guests
from tests.system.ledger import lives, overlaps_in

WORKLOAD = Path(__file__).parent / "ledger_workload.py"
GROUPS = 3


def storm(*, minutes: float, profile: str, has_fence: bool, seed: int, machines: int) -> dict[str, Any]:
    """Returns what was done and every broken promise."""
    rng = random.Random(seed)
    done: list[str] = []
    with (
        tempfile.TemporaryDirectory(prefix="st-", dir="/tmp") as folder,  # a short path: sockets lie below it
        lab(profile=profile, has_fence=has_fence) as running,
        Guests(Path(folder)) if machines else contextlib.nullcontext() as guests,
    ):
        ledgers = [Path(folder) / f"ledger{number}" for number in range(GROUPS)]
        names = [f"vm{number}" for number in range(machines)]
        groups = [_group(number, path) for number, path in enumerate(ledgers)]
        groups += [guests.group(name) for name in names if guests]
        running.apply({"groups": groups})
        until = time.monotonic() + minutes * 60
        while time.monotonic() < until:
            for _ in range(rng.choice((1, 1, 1, 2))):
                done.append(_hurt(running, rng, names, has_fence=has_fence))
            time.sleep(rng.uniform(0.2, 5.0))
            _mend(running)
            time.sleep(rng.uniform(0.0, 3.0))
        _mend(running)
        for node in running.nodes():
            running.ctl("wait", "--for", f"node {node['name']} up")
        for group in groups:
            running.ctl("group", "online", group["name"])  # a machine that failed too often rests
        running.ctl("wait", "--for", "cluster healthy")
        broken = [str(each) for path in ledgers for each in overlaps_in(path)]
        broken += guests.breaches() if guests else []
        runs = sum(len(lives(path)) for path in ledgers)
        longest = max(_longest_gap_s(path) for path in ledgers)
        boots = {name: guests.last(name).boots for name in names if guests}
        kept = {name: running.group(name)["generation"] for name in names}
    return {
        "minutes": minutes,
        "profile": profile,
        "fence": has_fence,
        "seed": seed,
        "faults": len(done),
        "lives": runs,
        "longest_time_away_s": round(longest, 2),
        "machines": {name: {"boots": boots[name], "generation": kept[name]} for name in names},
        "broken": broken,
    }


def _hurt(running: Lab, rng: random.Random, machines: list[str], *, has_fence: bool) -> str:
    node = rng.choice(["n1", "n2", "n3"])
    other = rng.choice([each for each in ("n1", "n2", "n3") if each != node])
    kills = [["lab", "kill", node, "--what", what] for what in ("node", "daemon", "guard", "host")]
    pauses = [["lab", "pause", node, "--what", what] for what in ("daemon", "guard", "host")]
    if has_fence:
        pauses.append(["lab", "pause", node, "--what", "node"])
    cuts = [["lab", "cut", node, other], ["lab", "cut", node, other, "--one-way"], ["lab", "isolate", node]]
    orders = [["group", "move", f"ledger{rng.randrange(GROUPS)}", node, "--no-wait"], ["lab", "stop", node]]
    moves = [
        ["group", "move", name, node, "--kind", kind, "--no-wait"] for name in machines for kind in ("live", "quick")
    ]
    # Moves are asked for often, so that faults meet them half-way.
    chosen = rng.choice(rng.choice([kills, pauses, cuts, orders, *([moves] * 3 if moves else [])]))
    running.ctl(*chosen, check=False)
    print(f"{time.strftime('%H:%M:%S')} {' '.join(chosen)}", file=sys.stderr, flush=True)
    return " ".join(chosen)


def _mend(running: Lab) -> None:
    running.ctl("lab", "heal", check=False)
    for node in running.nodes():
        for what in ("node", "daemon", "guard", "host"):
            running.ctl("lab", "resume", node["name"], "--what", what, check=False)
        running.ctl("lab", "start", node["name"], check=False)


def _group(number: int, path: Path) -> dict[str, Any]:
    command = [sys.executable, "-S", "-E", str(WORKLOAD), str(path)]
    resource = {
        "name": f"writer{number}",
        "type": "generic_service",
        "restart": {"delay": "0ms", "threshold": 1000},
        "properties": {"command": command},
    }
    return {"name": f"ledger{number}", "resources": [resource]}


def _longest_gap_s(path: Path) -> float:
    """The longest time in which nobody wrote."""
    times = sorted(int(line.split()[0]) for line in path.read_text().splitlines())
    return max((after - before for before, after in itertools.pairwise(times)), default=0) / 1e9


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--profile", choices=("default", "fast"), default="default")
    parser.add_argument("--no-fence", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--machines", type=int, default=0, help="how many tiny guests take part")
    given = parser.parse_args()
    verdict = storm(
        minutes=given.minutes,
        profile=given.profile,
        has_fence=not given.no_fence,
        seed=given.seed,
        machines=given.machines,
    )
    print(json.dumps(verdict, indent=1))
    sys.exit(1 if verdict["broken"] else 0)
