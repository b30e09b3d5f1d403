"""Kills, pauses and cuts real nodes at random while a workload writes a ledger, and judges it. Not part of `make test`.

python -m tests.system.storm --minutes 10 [--profile fast] [--no-fence] [--seed 1]
"""

import argparse
import itertools
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.labs import Lab, lab
from tests.system.ledger import lives, overlaps_in

WORKLOAD = Path(__file__).parent / "ledger_workload.py"
GROUPS = 3


def storm(*, minutes: float, profile: str, has_fence: bool, seed: int) -> dict[str, Any]:
    """Returns what was done and every broken promise."""
    rng = random.Random(seed)
    done: list[str] = []
    with (
        tempfile.TemporaryDirectory(prefix="clusterd-storm-") as folder,
        lab(profile=profile, has_fence=has_fence) as running,
    ):
        ledgers = [Path(folder) / f"ledger{number}" for number in range(GROUPS)]
        running.apply({"groups": [_group(number, path) for number, path in enumerate(ledgers)]})
        until = time.monotonic() + minutes * 60
        while time.monotonic() < until:
            for _ in range(rng.choice((1, 1, 1, 2))):
                done.append(_hurt(running, rng, has_fence=has_fence))
            time.sleep(rng.uniform(0.2, 5.0))
            _mend(running)
            time.sleep(rng.uniform(0.0, 3.0))
        _mend(running)
        running.ctl("wait", "--for", "cluster healthy")
        for number in range(GROUPS):
            running.ctl("wait", "--for", f"group ledger{number} online")
        broken = [str(each) for path in ledgers for each in overlaps_in(path)]
        runs = sum(len(lives(path)) for path in ledgers)
        longest = max(_longest_gap_s(path) for path in ledgers)
    return {
        "minutes": minutes,
        "profile": profile,
        "fence": has_fence,
        "seed": seed,
        "faults": len(done),
        "lives": runs,
        "longest_time_away_s": round(longest, 2),
        "overlaps": broken,
    }


def _hurt(running: Lab, rng: random.Random, *, has_fence: bool) -> str:
    node = rng.choice(["n1", "n2", "n3"])
    other = rng.choice([each for each in ("n1", "n2", "n3") if each != node])
    kills = [["lab", "kill", node, "--what", what] for what in ("node", "daemon", "guard", "host")]
    pauses = [["lab", "pause", node, "--what", what] for what in ("daemon", "guard", "host")]
    if has_fence:
        pauses.append(["lab", "pause", node, "--what", "node"])
    cuts = [["lab", "cut", node, other], ["lab", "cut", node, other, "--one-way"], ["lab", "isolate", node]]
    orders = [["group", "move", f"ledger{rng.randrange(GROUPS)}", node, "--no-wait"], ["lab", "stop", node]]
    chosen = rng.choice(rng.choice([kills, pauses, cuts, orders]))
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
    given = parser.parse_args()
    verdict = storm(minutes=given.minutes, profile=given.profile, has_fence=not given.no_fence, seed=given.seed)
    print(json.dumps(verdict, indent=1))
    sys.exit(1 if verdict["overlaps"] else 0)
