"""How long until 500 resources are online, and until a third of them is back after the loss of a node? Prints JSON.

    python -m bench.many [--groups 100] [--runs 1] [--no-fence]

100 groups of five `sleep`s. The return is counted beyond the detection: from the moment at which the first group was given
to another node.
"""

import argparse
import json
import time
from datetime import datetime
from typing import Any

from bench.labs import Lab, lab, progress, summary

PER_GROUP = 5
PATIENCE_S = 120


def measure(*, groups: int, runs: int, has_fence: bool) -> dict[str, object]:
    up, back = [], []
    for number in range(runs):
        with lab(has_fence=has_fence) as running:
            before = time.perf_counter()
            running.apply(_manifest(groups), wait=False)
            _wait_until_online(running, groups)
            up.append(time.perf_counter() - before)
            progress(f"run {number + 1}: {groups * PER_GROUP} resources online in {up[-1]:.1f} s")
            lost = max(_owners(running).items(), key=lambda each: each[1])[0]
            running.ctl("lab", "kill", lost)
            _wait_until_given(running, lost)
            _wait_until_online(running, groups)
            back.append(_return_s(running))
            progress(f"run {number + 1}: those of {lost} back in {back[-1]:.1f} s")
    return {
        "figure": f"{groups * PER_GROUP} resources",
        "runs": runs,
        "all_online_s": summary(up),
        "third_back_beyond_detection_s": summary(back),
    }


def _manifest(groups: int) -> dict[str, Any]:
    def resource(group: int, number: int) -> dict[str, Any]:
        command = ["sleep", "1000000"]
        return {"name": f"r{group}-{number}", "type": "generic_service", "properties": {"command": command}}

    return {
        "groups": [
            {"name": f"g{group}", "resources": [resource(group, number) for number in range(PER_GROUP)]}
            for group in range(groups)
        ]
    }


def _groups(running: Lab) -> list[dict[str, Any]]:
    return list(running.ctl("group", "list")["groups"])


def _owners(running: Lab) -> dict[str, int]:
    found: dict[str, int] = {}
    for group in _groups(running):
        found[str(group["owner"])] = found.get(str(group["owner"]), 0) + 1
    return found


def _wait_until_online(running: Lab, count: int) -> None:
    until = time.perf_counter() + PATIENCE_S
    while time.perf_counter() < until:
        states = [group["state"] for group in _groups(running)]
        if states.count("online") == count:
            return
        time.sleep(0.05)
    raise SystemExit(f"only {states.count('online')} of {count} groups were online after {PATIENCE_S} s")


def _wait_until_given(running: Lab, lost: str) -> None:
    until = time.perf_counter() + PATIENCE_S
    while time.perf_counter() < until:
        if lost not in _owners(running):
            return
        time.sleep(0.02)
    raise SystemExit(f"no group of {lost} was given to another node within {PATIENCE_S} s")


def _return_s(running: Lab) -> float:
    """From the first reassignment after the last loss to the last group that came online, by the timeline."""
    events = running.ctl("events", "--last", "2000")["events"]
    at = {each["sequence"]: datetime.fromisoformat(each["time"]) for each in events}
    ended = max(each["sequence"] for each in events if each["name"] == "node.ended")
    later = [each for each in events if each["sequence"] > ended]
    given = min(at[each["sequence"]] for each in later if each["name"] == "group.assigned")
    online = max(at[each["sequence"]] for each in later if each["name"] == "group.state-changed")
    return (online - given).total_seconds()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--groups", type=int, default=100)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--no-fence", action="store_true")
    options = parser.parse_args()
    print(json.dumps(measure(groups=options.groups, runs=options.runs, has_fence=not options.no_fence)))
