"""How fast do virtual machines start, move and come back? Prints JSON.

    python -m bench.virtual_machines [--only start,live,linux,quick,loss,twelve] [--runs 10]

Guests of a lab with default settings, asked over the API, as in bench/moves.py; `loss` and `twelve` begin with the command
`lab kill`. Needs QEMU and nasm, for fenced disks also root, tgt and libiscsi7; for `linux` the guest that
tests/vm/test_linux_guest.py builds into a cache folder once.
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from bench.labs import Lab, lab, progress, summary
from clusterd.checkers import GuestLine
from tests.disk import tgt as tgt_part
from tests.disk.tgt import Tgt
from tests.system.guests import MISSING, WITHIN_S, Guests, guest, mend

KILL_RUNS = 5
LINUX = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "clusterd" / "guests"
LINUX_MORE = f"""kernel = "{LINUX}/vmlinuz"
initial_ramdisk = "{LINUX}/initrd.gz"
kernel_arguments = "console=ttyS0 quiet panic=-1"
guest_agent = "virtio"
"""
PHASES = (
    "last_of_memory_copied",
    "source_ended",
    "release_committed",
    "assignment_committed",
    "went_on",
)
"""What passes one after the other while the guest stands still."""
TWELVE = 12
LINES_LOOKED_AT = 20


class Move(NamedTuple):
    """Request → the guest runs there; how long no line came; and how often one comes otherwise. Of a live one also how long
    its processors stood still by QEMU's own times, as clusterctl tells it, and what that time went for."""

    seconds: float
    silent_ms: float
    line_every_ms: float
    still_ms: float | None
    phases_ms: dict[str, float]


class Bench:
    """One lab, its guests, and the storage that fences."""

    def __init__(self, running: Lab, guests: Guests, tgt: Tgt | None) -> None:
        self.running, self.guests, self._tgt = running, guests, tgt
        self._token = running.token()

    def disk(self) -> dict[str, Any]:
        """A logical unit of its own with the guest on it."""
        if self._tgt is None:
            raise SystemExit(f"not measured: {tgt_part.missing()}")
        unit = self._tgt.new_unit()
        with self._tgt.backing_file(unit).open("r+b") as file:
            file.write((self.guests.folder / "tiny.img").read_bytes())
        return {"iscsi": {"portal": self._tgt.portal, "target": unit, "unit": 1}}

    def have(self, name: str, **group: Any) -> None:
        self.running.apply({"groups": [self.guests.group(name, preferred_owners=["n1"], **group)]})
        self.guests.goes_on(name)

    def address(self, name: str) -> str:
        return str(next(node["api"] for node in self.running.nodes() if node["name"] == name))

    def post(self, address: str, path: str, body: dict[str, Any]) -> None:
        self.running.post_with(address, self._token, path, body)

    def moved(self, name: str, kind: str) -> Move:
        """To the next node."""
        owner = str(self.running.group(name)["owner"])
        target = f"n{int(owner[1:]) % 3 + 1}"
        address = self.address(target)
        before = self.guests.goes_on(name)
        begun = now_ns()
        self.post(address, f"/v1/groups/{name}/move", {"target": target, "kind": kind})
        first = self.first_after(name, before)
        if first.nonce != before.nonce:
            raise SystemExit(f"{name} lost its memory")
        self.running.ctl("wait", "--for", f"group {name} online on {target}")
        earlier = [line.at for line in self.guests.said[name] if line.generation == before.generation][
            -LINES_LOOKED_AT:
        ]
        every = (earlier[-1] - earlier[0]) / (len(earlier) - 1)
        still_ms, phases_ms = self.phases(name, owner, target) if kind == "live" else (None, {})
        return Move((first.at - begun) / 1e9, (first.at - earlier[-1]) / 1e6, every / 1e6, still_ms, phases_ms)

    def phases(self, name: str, owner: str, target: str) -> tuple[float, dict[str, float]]:
        """Of a live migration that came to pass: milliseconds from its last instruction here to its first there."""
        blackout_ms = self.running.group(name)["migration"]["blackout_ms"]
        chain = self.running.ctl("explain", "group", name)["chain"]
        went_on_ms = float(guest(self.running, name)["went_on_at_ms"])
        moments = [
            went_on_ms - blackout_ms,
            self.moment(owner, name, "offline-pending"),
            self.moment(owner, name, "offline"),
            in_chain(chain, f"gave it to {target}"),
            in_chain(chain, f"{target} brings {name} online"),
            went_on_ms,
        ]
        return blackout_ms, {
            phase: after - before for phase, (before, after) in zip(PHASES, pairwise(moments), strict=True)
        }

    def moment(self, node: str, resource: str, now: str) -> float:
        """When a resource was in that state last, by that node's log."""
        log = Path(self.running.ctl("lab", "status")["dir"], node, "daemon.log")
        for line in reversed(log.read_text(encoding="utf-8").splitlines()):
            said = json.loads(line) if line.startswith("{") else {}
            if said.get("event") == "resource.state-changed" and (said["resource"], said["now"]) == (resource, now):
                return datetime.fromisoformat(said["timestamp"]).timestamp() * 1000
        raise SystemExit(f"{node} does not say when {resource} was {now}")

    def first_after(self, name: str, before: GuestLine) -> GuestLine:
        """Its first line under a newer generation."""
        wait_until(lambda: self.guests.last(name).generation > before.generation)
        return next(line for line in self.guests.said[name] if line.generation > before.generation)

    def remove(self, *names: str) -> None:
        for name in names:
            self.running.ctl("group", "offline", name)
            self.running.ctl("group", "delete", name)


def in_chain(chain: list[dict[str, str]], ending: str) -> float:
    """When the last such step of a chain of causes was."""
    found = next(step["time"] for step in reversed(chain) if step["text"].endswith(ending))
    return datetime.fromisoformat(found).timestamp() * 1000


# ---- the figures ----


def start(bench: Bench, runs: int) -> dict[str, Any]:
    """Read from the file that keeps all of the console: nobody misses the first line there."""
    log = bench.guests.folder / "console.log"
    bench.have("start", more=f'serial_log = "{log}"', properties={"offline_action": "turn-off"})
    address = bench.address("n1")
    taken, alone = [], []
    for _ in range(runs):
        bench.running.ctl("resource", "offline", "start")
        log.unlink()
        begun = time.perf_counter()
        bench.post(address, "/v1/resources/start/online", {})
        taken.append(seconds_to_line(log, begun))
        bench.running.ctl("wait", "--for", "group start online")
        alone.append(qemu_alone(bench, log))
    bench.remove("start")
    beyond = [each - summary(alone)["median"] for each in taken]
    return {
        "start_request_to_line_s": summary(taken),
        "start_qemu_alone_s": summary(alone),
        "start_beyond_qemu_s": summary(beyond),
    }


def qemu_alone(bench: Bench, log: Path) -> float:
    """The very QEMU that the cluster started, started by itself: how long it and its firmware take."""
    guests, folder = bench.guests, bench.guests.folder / "alone"
    machine = bench.running.ctl("vm", "show", "start")["machines"][0]["guest"]
    words = Path(f"/proc/{machine['pid']}/cmdline").read_text(encoding="utf-8").split("\0")[:-1]
    there = {str(Path(machine["console"]).parent): folder, str(guests.image("start")): folder / "disk.img"}
    there[str(log)] = folder / "console.log"
    for old, new in there.items():
        words = [word.replace(old, str(new)) for word in words]
    folder.mkdir()
    shutil.copy(guests.folder / "tiny.img", folder / "disk.img")
    begun = time.perf_counter()
    with subprocess.Popen(words, stdin=subprocess.DEVNULL) as process:
        seconds = seconds_to_line(folder / "console.log", begun)
        process.kill()
    shutil.rmtree(folder)
    return seconds


def seconds_to_line(log: Path, begun: float) -> float:
    wait_until(lambda: log.exists() and b"N=" in log.read_bytes())
    return time.perf_counter() - begun


def live(bench: Bench, runs: int) -> dict[str, Any]:
    bench.have("live")
    bench.guests.order("live", "u")
    moves = moves_of(bench, "live", "live", runs)
    bench.remove("live")
    return told("live_tiny", moves)


def linux(bench: Bench, runs: int) -> dict[str, Any]:
    if not (LINUX / "vmlinuz").is_file():
        return {"live_linux": f"not measured: there is no guest in {LINUX}"}
    bench.have("linux", memory_mib=128, more=LINUX_MORE)
    moves = moves_of(bench, "linux", "live", runs)
    bench.remove("linux")
    return told("live_linux", moves)


def quick(bench: Bench, runs: int) -> dict[str, Any]:
    bench.have("quick", disk=bench.disk())
    moves = moves_of(bench, "quick", "quick", runs)
    bench.remove("quick")
    return told("quick_fenced_disk", moves)


def moves_of(bench: Bench, name: str, kind: str, runs: int) -> list[Move]:
    moves = []
    for number in range(runs):
        moves.append(bench.moved(name, kind))
        progress(f"{kind} move of {name}, {number + 1} of {runs}: {_words(moves[-1])}")
    return moves


def _words(move: Move) -> str:
    silent = f"no line for {move.silent_ms:.0f} ms, one every {move.line_every_ms:.1f} ms otherwise"
    if move.still_ms is None:
        return f"{move.seconds:.3f} s, {silent}"
    phases = ", ".join(f"{name} {ms:.0f}" for name, ms in move.phases_ms.items())
    return f"{move.seconds:.3f} s, stood still {move.still_ms:.0f} ms ({phases}), {silent}"


def told(name: str, moves: list[Move]) -> dict[str, Any]:
    still = [each.still_ms for each in moves if each.still_ms is not None]
    return {
        f"{name}_s": summary([each.seconds for each in moves]),
        **({f"{name}_blackout_ms": summary(still, 1)} if still else {}),
        **{
            f"{name}_blackout_{phase}_ms": summary([each.phases_ms[phase] for each in moves], 1)
            for phase in (PHASES if still else ())
        },
        f"{name}_no_line_ms": summary([each.silent_ms for each in moves], 1),
        f"{name}_line_every_ms": summary([each.line_every_ms for each in moves], 1),
    }


def loss(bench: Bench, runs: int) -> dict[str, Any]:
    """The same guest again and again: each time its owner loses its power."""
    return {"loss_fenced_disk_s": summary(losses(bench, ["loss"], runs))}


def twelve(bench: Bench, runs: int) -> dict[str, Any]:
    names = [f"twelve{number}" for number in range(TWELVE)]
    return {"loss_twelve_s": summary(losses(bench, names, runs))}


def losses(bench: Bench, names: list[str], runs: int) -> list[float]:
    groups = [bench.guests.group(name, disk=bench.disk(), preferred_owners=["n1"]) for name in names]
    bench.running.apply({"groups": groups})
    taken = []
    for number in range(runs):
        for name in names:
            if bench.running.group(name)["owner"] != "n1":
                bench.running.ctl("group", "move", name, "n1")
        wait_until(lambda: all(bench.guests.said[name] for name in names))
        before = {name: bench.guests.goes_on(name) for name in names}
        begun = now_ns()
        bench.running.ctl("lab", "kill", "n1")
        first = [bench.first_after(name, before[name]).at for name in names]
        taken.append((max(first) - begun) / 1e9)
        progress(f"power loss with {len(names)}, {number + 1} of {runs}: {taken[-1]:.3f} s")
        mend(bench.running)
    bench.remove(*names)
    return taken


FIGURES: dict[str, Callable[[Bench, int], dict[str, Any]]] = {
    "start": start,
    "live": live,
    "linux": linux,
    "quick": quick,
    "loss": loss,
    "twelve": twelve,
}


def measure(names: list[str], runs: int) -> dict[str, Any]:
    found: dict[str, Any] = {"figure": "virtual machines: start, move, loss of the owner", "runs": runs}
    with tempfile.TemporaryDirectory(prefix="bv-", dir="/tmp") as folder, storage() as tgt:
        for name in names:
            place = Path(folder, name)
            place.mkdir()
            with lab() as running, Guests(place, orders="" if name in ("linux", "start") else "fw") as guests:
                found |= FIGURES[name](Bench(running, guests, tgt), runs if name != "twelve" else KILL_RUNS)
                found["breaches"] = [*found.get("breaches", []), *guests.breaches()]
    return found


@contextlib.contextmanager
def storage() -> Iterator[Tgt | None]:
    if tgt_part.missing():
        yield None
        return
    folder = tgt_part.new_folder()
    tgt = Tgt(folder)
    tgt.start()
    try:
        yield tgt
    finally:
        tgt.stop()
        shutil.rmtree(folder)


def wait_until(is_true: Callable[[], bool]) -> None:
    end = time.monotonic() + WITHIN_S
    while not is_true():
        if time.monotonic() > end:
            raise SystemExit(f"not within {WITHIN_S} s")
        time.sleep(0.001)


def now_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--only", default=",".join(FIGURES), help="of these figures: " + ", ".join(FIGURES))
    options = parser.parse_args()
    if MISSING:
        sys.exit(f"not measured: {', '.join(MISSING)} not installed")
    print(json.dumps(measure(options.only.split(","), options.runs)))
