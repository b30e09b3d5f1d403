"""How long does `lab up` of three nodes take until it is quorate? Prints JSON.

python -m bench.startup [--runs 10]
"""

import argparse
import json
import time

from bench.labs import lab, progress, summary


def measure(runs: int) -> dict[str, object]:
    taken = []
    for number in range(runs):
        before = time.perf_counter()
        with lab():
            taken.append(time.perf_counter() - before)
        progress(f"run {number + 1} of {runs}: {taken[-1]:.2f} s")
    return {"figure": "lab up of three nodes until quorate", "runs": runs, "seconds": summary(taken)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    print(json.dumps(measure(parser.parse_args().runs)))
