"""What a host does with those who connect: garbage, floods, several daemons."""

import asyncio
import json
import os
import secrets
import stat
import sys
from pathlib import Path

from clusterd.adapters.frames import FRAME_SIZE_MAX
from clusterd.reshost.output import KEPT_SIZE_MAX
from clusterd.wire import host_pb2
from tests.reshost.conftest import Bench

FLOOD = "import sys\nwhile True: sys.stdout.write('x' * 99 + '\\n')"


def resident_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


async def test_garbage_ends_only_its_own_connection(bench: Bench) -> None:
    path = bench.host.started.socket_path
    for garbage in (b"\xff\xff\xff\xff", (FRAME_SIZE_MAX + 1).to_bytes(4, "big"), b"\0\0\0\5hello", b"\0\0\0\0"):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(garbage + secrets.token_bytes(64))
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
    await bench.host.link.ping()


async def test_sockets_are_for_the_own_user_only(bench: Bench) -> None:
    for path in (bench.host.started.socket_path, os.path.join(bench.node.run_dir, "guard.sock")):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


async def test_flood_of_output_is_bounded_and_holds_nothing_up(bench: Bench) -> None:
    await bench.call("online", "generic_service", command=[sys.executable, "-S", "-E", "-I", "-c", FLOOD])
    for _ in range(20):
        await bench.host.link.ping()
        await asyncio.sleep(0.01)
    logs = await bench.control("logs")
    assert 0 < len(logs.control_body) <= KEPT_SIZE_MAX
    assert set(logs.control_body.splitlines()[1:-1]) == {b"x" * 99}
    assert resident_kib(bench.host.started.pid) < 60_000


async def test_every_connection_gets_events_and_the_newest_one_calls(bench: Bench) -> None:
    second = await bench.node.connect_host(bench.host.started)
    call = bench.node.call("online", "r", "dial", {"alive": "no"})
    assert (await bench.host.link.call(call)).outcome == host_pb2.OUTCOME_STALE
    assert (await second.link.call(call)).outcome == host_pb2.OUTCOME_DONE
    await bench.told(host_pb2.RESOURCE_EVENT_KIND_FAILED)
    await bench.node.host_said(second, host_pb2.RESOURCE_EVENT_KIND_FAILED)
    second.link.close()


SHOW = "import json, os, time; print(json.dumps(dict(os.environ)), flush=True); time.sleep(1000)"


async def test_workload_finds_its_names_and_nothing_of_ours(bench: Bench) -> None:
    command = [sys.executable, "-S", "-c", SHOW]
    answer = await bench.call("online", "generic_service", generation=7, command=command, environment={"COLOUR": "red"})
    assert answer.outcome == host_pb2.OUTCOME_DONE
    shown = b""
    while not shown.endswith(b"\n"):
        shown = (await bench.control("logs")).control_body
    found = json.loads(shown)
    names = {name: value for name, value in found.items() if name.startswith("CLUSTERD_")}
    assert names.pop("CLUSTERD_NODE_TAG").endswith(f":{bench.node.incarnation}:shared:r.7:")
    assert names == {
        "CLUSTERD_CLUSTER": "trial",
        "CLUSTERD_NODE": "n1",
        "CLUSTERD_GROUP": "trial-group",
        "CLUSTERD_RESOURCE": "r",
        "CLUSTERD_GENERATION": "7",
    }
    assert found["COLOUR"] == "red"
    assert not [name for name in found if name.startswith("PYTEST")]
