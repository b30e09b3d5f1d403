"""What does a network that loses packets do to running workloads? Prints JSON.

    python -m bench.loss [--percent 40] [--seconds 90] [--no-fence]

Three nodes, six groups of one service, two on each node; then so many of a hundred packets are lost on every peer port, on
streams and as datagrams. Counted: answers of a service from another run of it than before, and leaders.
"""

import argparse
import json
import time

from bench.labs import Lab, ask_run, free_port, lab, progress, service_group, wait_for_answer

GROUPS = 6
LOOK_EVERY_S = 2.0


def measure(percent: int, seconds: float, *, has_fence: bool) -> dict[str, object]:
    with lab(has_fence=has_fence) as running:
        names = [str(node["name"]) for node in running.nodes()]
        ports = {f"g{number}": free_port() for number in range(GROUPS)}
        for number, (name, port) in enumerate(ports.items()):
            group = service_group(name, port)
            home = names[number % len(names)]
            group["groups"][0]["preferred_owners"] = [home, *(each for each in names if each != home)]
            running.apply(group)
        for port in ports.values():
            wait_for_answer(port)
        running.ctl("wait", "--for", "cluster healthy")
        runs = {name: ask_run(port) for name, port in ports.items()}
        leaders = [running.leader()]
        running.ctl("lab", "loss", str(percent))
        progress(f"losing {percent} % for {seconds:.0f} s, leader {leaders[0]}")
        changes = _watch(running, ports, runs, leaders, seconds)
        running.ctl("lab", "heal")
        time.sleep(5)
        changes += _changed(ports, runs)
        terms = [event for event in running.ctl("events")["events"] if event["name"] == "node.expelled"]
    return {
        "figure": f"{GROUPS} groups on three nodes, {percent} % of the packets of all peer ports lost",
        "seconds_watched": seconds,
        "has_fence": has_fence,
        "workloads_restarted_or_moved": changes,
        "nodes_expelled": len(terms),
        "leader_changes_seen": len(leaders) - 1,
    }


def _watch(running: Lab, ports: dict[str, int], runs: dict[str, str | None], leaders: list[str], seconds: float) -> int:
    changes, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(LOOK_EVERY_S)
        changes += _changed(ports, runs)
        leader = next((n["name"] for n in running.ctl("node", "list")["nodes"] if n["is_leader"]), None)
        if leader is not None and leader != leaders[-1]:
            leaders.append(str(leader))
    return changes


def _changed(ports: dict[str, int], runs: dict[str, str | None]) -> int:
    """How many services answer from another run than they did, or did not answer at all."""
    changes = 0
    for name, port in ports.items():
        run = ask_run(port)
        if run != runs[name]:
            progress(f"{name}: {runs[name]} -> {run}")
            changes += run is not None
            runs[name] = run or runs[name]
    return changes


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--percent", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("--no-fence", action="store_true")
    given = parser.parse_args()
    print(json.dumps(measure(given.percent, given.seconds, has_fence=not given.no_fence)))
