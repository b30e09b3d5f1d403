"""How long is a service away when its process is killed, with restart delay 0? Prints JSON.

python -m bench.restarts [--runs 20]
"""

import argparse
import json
import os
import signal
import time

from bench.labs import ask, free_port, lab, progress, service_group, summary


def measure(runs: int) -> dict[str, object]:
    port = free_port()
    taken = []
    restart = {"action": "restart", "threshold": 1000, "period": "1s", "delay": "0ms"}
    with lab() as running:
        running.apply(service_group("bench", port, restart=restart))
        for number in range(runs):
            running.ctl("wait", "--for", "group bench online")
            pid = int(running.group("bench")["resources"][0]["pid"])
            before = time.perf_counter()
            os.kill(pid, signal.SIGKILL)
            while ask(port) is not None:
                pass
            while ask(port) is None:
                time.sleep(0.001)
            taken.append((time.perf_counter() - before) * 1000)
            progress(f"run {number + 1} of {runs}: {taken[-1]:.0f} ms")
            time.sleep(0.2)
    return {"figure": "workload killed → answers again in place", "runs": runs, "milliseconds": summary(taken, 1)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    print(json.dumps(measure(parser.parse_args().runs)))
