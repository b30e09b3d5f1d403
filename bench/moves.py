"""How long does a planned move take, and how long is the service away meanwhile? Prints JSON.

    python -m bench.moves [--runs 20]

API request → the service answers on the other node, and the longest time between two answers around it. The service is
ready 20 ms after its start.
"""

import argparse
import json
import threading
import time

from bench.labs import ask, free_port, lab, progress, service_group, summary


class Watch:
    """Asks the service without pause and remembers when it answered, and who."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._is_over = False
        self.answers: list[tuple[float, str]] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._is_over:
            node = ask(self._port)
            if node is not None:
                self.answers.append((time.perf_counter(), node))
            time.sleep(0.0005)

    def stop(self) -> None:
        self._is_over = True
        self._thread.join()


def measure(runs: int) -> dict[str, object]:
    port = free_port()
    moves, gaps = [], []
    with lab() as running:
        running.apply(service_group("bench", port))
        names = [node["name"] for node in running.nodes()]
        addresses = {node["name"]: node["api"] for node in running.nodes()}
        token = running.token()
        for number in range(runs):
            owner = str(running.group("bench")["owner"])
            target = names[(names.index(owner) + 1) % len(names)]
            watch = Watch(port)
            time.sleep(0.1)
            before = time.perf_counter()
            running.post_with(addresses[target], token, "/v1/groups/bench/move", {"target": target})
            while not watch.answers or watch.answers[-1][1] != target:
                time.sleep(0.001)
            watch.stop()
            moves.append((next(at for at, node in watch.answers if node == target) - before) * 1000)
            last_before = max(at for at, node in watch.answers if node == owner)
            gaps.append((next(at for at, node in watch.answers if node == target) - last_before) * 1000)
            progress(f"run {number + 1} of {runs}: {moves[-1]:.0f} ms, away {gaps[-1]:.0f} ms")
            running.ctl("wait", "--for", f"group bench online on {target}")
    return {
        "figure": "planned move of a service that is ready 20 ms after its start",
        "runs": runs,
        "request_to_answer_ms": summary(moves, 1),
        "without_service_ms": summary(gaps, 1),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    print(json.dumps(measure(parser.parse_args().runs)))
