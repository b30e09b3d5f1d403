"""How long is a service away after the power loss of its owner? Prints JSON.

    python -m bench.failover [--no-fence] [--profile fast] [--leader] [--runs 10]

Kill of everything that the owner runs → the service answers on another node. With --leader the owner is also the leader of
the consensus, otherwise it is not.
"""

import argparse
import json
import time

from bench.labs import Lab, free_port, lab, progress, service_group, summary, wait_for_answer


def measure(*, runs: int, profile: str, has_fence: bool, is_leader: bool) -> dict[str, object]:
    port = free_port()
    taken = []
    with lab(profile=profile, has_fence=has_fence) as running:
        running.apply(service_group("bench", port))
        for number in range(runs):
            owner = prepare(running, is_leader=is_leader)
            before = time.perf_counter()
            running.ctl("lab", "kill", owner)
            command_s = time.perf_counter() - before
            seconds = wait_for_answer(port, other_than=owner) - before
            taken.append(seconds)
            progress(f"run {number + 1} of {runs}: {seconds:.3f} s (kill command {command_s:.3f} s)")
            running.ctl("lab", "start", owner)
            running.ctl("wait", "--for", "cluster healthy")
    return {
        "figure": "power loss of the owner: kill → the service answers elsewhere",
        "profile": profile,
        "fence": has_fence,
        "owner_is_leader": is_leader,
        "runs": runs,
        "seconds": summary(taken),
    }


def prepare(running: Lab, *, is_leader: bool) -> str:
    """Have the group on the leader, or on a node that is none; returns the owner."""
    leader = running.leader()
    owner = str(running.group("bench")["owner"])
    if (owner == leader) != is_leader:
        others = [node["name"] for node in running.nodes() if node["name"] != owner]
        owner = leader if is_leader else next(name for name in others if name != leader)
        running.ctl("group", "move", "bench", owner)
    return owner


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--profile", choices=("default", "fast"), default="default")
    parser.add_argument("--no-fence", action="store_true")
    parser.add_argument("--leader", action="store_true", help="the owner also leads")
    options = parser.parse_args()
    print(
        json.dumps(
            measure(
                runs=options.runs,
                profile=options.profile,
                has_fence=not options.no_fence,
                is_leader=options.leader,
            )
        )
    )
