"""How fast does a fenced disk change hands? A logical unit of tgt, mounted; needs root, tgt and QEMU. Prints JSON.

python -m bench.disks [--runs 10]
"""

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.labs import progress, summary
from clusterd.reshost.trial import TrialHost, TrialNode, trial_node
from clusterd.wire import host_pb2
from resource_types.physical_disk import mounting
from tests.disk import tgt as tgt_part
from tests.disk.tgt import Tgt

WRITTEN_BYTES = 32 << 20


class Disks:
    """Two resources on one logical unit, which take it from each other."""

    def __init__(self, node: TrialNode, host: TrialHost, tgt: Tgt, folder: str) -> None:
        self._node, self._host, self._folder = node, host, folder
        self._unit = {"portal": tgt.portal, "target": tgt.new_unit(), "unit": 1}
        self.generation = 0

    def point(self, name: str) -> Path:
        return Path(self._folder, "mounts", name)

    async def call(self, verb: str, name: str, generation: int) -> float:
        """Milliseconds."""
        properties = {"iscsi": self._unit, "mount_point": str(self.point(name)), "format_when_empty": True}
        before = time.perf_counter()
        call = self._node.call(verb, f"bench-{name}-{os.getpid()}", "physical_disk", properties, generation)
        answer = await self._host.link.call(call)
        if answer.outcome != host_pb2.OUTCOME_DONE:
            sys.exit(f"{verb} of disk {name}: {answer.message}")
        return (time.perf_counter() - before) * 1000

    async def online(self, name: str) -> float:
        self.generation += 1
        return await self.call("online", name, self.generation)


async def measure(runs: int) -> dict[str, Any]:
    folder = tgt_part.new_folder()
    tgt = Tgt(folder)
    tgt.start()
    try:
        with tempfile.TemporaryDirectory(prefix="bd-", dir="/tmp") as run_dir:
            async with trial_node(run_dir) as node:
                node.deadlines.pending_timeout_ms = 20_000
                node.deadlines.is_alive_interval_ms = node.deadlines.looks_alive_interval_ms = 60_000
                return await figures(Disks(node, await node.start_host(), tgt, folder), runs)
    finally:
        tgt.stop()
        shutil.rmtree(folder)


async def figures(disks: Disks, runs: int) -> dict[str, Any]:
    online, offline, takeover = [], [], []
    await disks.online("a")
    await disks.call("offline", "a", disks.generation)
    for _ in range(runs):
        online.append(await disks.online("a"))
        offline.append(await disks.call("offline", "a", disks.generation))
    await disks.online("a")
    old, new = "a", "b"
    for number in range(runs):
        await asyncio.to_thread((disks.point(old) / f"file-{number}").write_bytes, bytes(100_000))
        takeover.append(await disks.online(new))
        await disks.call("terminate", old, disks.generation - 1)
        old, new = new, old
        progress(f"takeover {number + 1} of {runs}: {takeover[-1]:.0f} ms")
    speed = await asyncio.to_thread(written_per_second, disks.point(old) / "large")
    await disks.call("offline", old, disks.generation)
    return {
        "figure": "fenced disk: the owner lives and is preempted, decision → mounted",
        "runs": runs,
        "milliseconds": summary(takeover, 1),
        "online_milliseconds": summary(online, 1),
        "offline_milliseconds": summary(offline, 1),
        "written_mib_per_second": round(speed / (1 << 20)),
    }


def written_per_second(path: Path) -> float:
    before = time.perf_counter()
    with path.open("wb") as file:
        for _ in range(WRITTEN_BYTES >> 20):
            file.write(bytes(1 << 20))
        file.flush()
        os.fsync(file.fileno())
    return WRITTEN_BYTES / (time.perf_counter() - before)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    options = parser.parse_args()
    if lacks := tgt_part.missing() or mounting.missing():
        sys.exit(f"not measured: {lacks}")
    print(json.dumps(asyncio.run(measure(options.runs))))
