"""What does a workload get of its host? Its standard descriptors, and nothing by which it could speak for anybody."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterd.adapters.containment_proc import process, processes
from clusterd.wire import host_pb2
from tests.reshost.conftest import Bench, contained
from tests.vm.conftest import GUESTS, needs_qemu

__all__ = ["contained"]

DONE = host_pb2.OUTCOME_DONE
PYTHON = [sys.executable, "-S", "-E", "-I", "-c"]
SHOW = """
import json, os, socket, sys, time
held = {}
for each in os.listdir("/proc/self/fd"):
    try:
        held[each] = os.readlink("/proc/self/fd/" + each)
    except OSError:
        pass  # the descriptor of the listing itself
with open(sys.argv[1], "a") as file:
    file.write(json.dumps(held) + "\\n")
if "NOTIFY_SOCKET" in os.environ:
    address = os.environ["NOTIFY_SOCKET"].replace("@", "\\0", 1)
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1", address)
if sys.argv[2] == "fork" and os.fork():
    os._exit(0)
if sys.argv[2] != "end":
    time.sleep(1000)
"""
# For users who may not read the folder of this test's Python.
SHELL_SHOW = """
list=; for each in 0 1 2 3 4 5 6 7 8 9 10 11 12; do
  if [ -e /proc/$$/fd/$each ]; then list="$list${list:+, }\\"$each\\": \\"$(readlink /proc/$$/fd/$each)\\""; fi
done
echo "{$list}" >> "$1"; exec sleep 1000
"""


def show(told: Path, then: str = "stay") -> list[str]:
    return [*PYTHON, SHOW, str(told), then]


def holdings(told: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in told.read_text().splitlines()]


STARTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "command": lambda told: {"command": show(told)},
    "forking": lambda told: {"command": show(told, "fork"), "forking": True},
    "notify": lambda told: {"command": show(told), "ready": "notify"},
    "ready command": lambda told: {"command": ["sleep", "1000"], "ready": {"command": show(told, "end")}},
    "health command": lambda told: {"command": ["sleep", "1000"], "health_command": show(told, "end")},
    "user": lambda told: {"command": ["sh", "-c", SHELL_SHOW, "sh", str(told)], "user": "nobody"},
    "script": lambda told: {"script_filepath": str(told.parent / "script")},
}


@pytest.fixture
def told() -> Iterator[Path]:
    """A file that every user may write."""
    with tempfile.TemporaryDirectory(prefix="held-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "told"
        path.touch()
        path.chmod(0o666)
        yield path


@pytest.mark.parametrize("how", STARTS)
async def test_it_holds_its_standard_descriptors_only(contained: str, bench: Bench, how: str, told: Path) -> None:
    if how == "user" and os.geteuid() != 0:
        pytest.skip("only root can start something as somebody else")
    script = told.parent / "script"
    script.write_text(f"#!{sys.executable} -SEI\nimport sys\nsys.argv = ['-c', {str(told)!r}, 'end']\n{SHOW}")
    script.chmod(0o755)
    type_name = "generic_script" if how == "script" else "generic_service"
    properties = STARTS[how](told)
    answer = await bench.call("online", type_name, **properties)
    assert answer.outcome == DONE, answer.message
    if how in ("health command", "script"):
        assert (await bench.call("is_alive", type_name, **properties)).health == host_pb2.HEALTH_YES
    seen = holdings(await found(bench, told))
    assert [sorted(each) for each in seen] == [["0", "1", "2"]] * len(seen)
    assert {each["0"] for each in seen} == {"/dev/null"}
    assert all(each["1"] == each["2"] and each["1"].startswith("pipe:") for each in seen)


async def found(bench: Bench, told: Path) -> Path:
    await bench.node.until(lambda: told.read_text().endswith("\n") or None, 5000, what="the list of the workload")
    return told


@pytest.fixture
def guest(tmp_path: Path) -> Path:
    subprocess.run(["sh", str(GUESTS / "build-tiny.sh"), str(tmp_path)], check=True)
    return tmp_path / "tiny.img"


@needs_qemu
async def test_a_machine_shares_nothing_with_its_host(contained: str, bench: Bench, guest: Path, told: Path) -> None:
    definition = told.parent / "vm.toml"
    definition.write_text(f'memory_mib = 1\nguest_agent = "none"\n[[disks]]\nid = "a"\npath = "{guest}"\nbus = "ide"\n')
    answer = await bench.call("online", "virtual_machine", configuration=str(definition), run_folder=str(told.parent))
    assert answer.outcome == DONE, answer.message
    assert "qemu" in Path(f"/proc/{answer.pid}/comm").read_text()
    assert shared_with_node(bench, answer.pid) == set()


def shared_with_node(bench: Bench, pid: int) -> set[str]:
    """Sockets and pipes beyond the standard ones that a workload has in common with guard, hosts and spawners."""
    own = _held(pid, above=2)
    nodes = [bench.node.guard_pid, bench.host.started.pid]
    nodes += [each.pid for each in processes().values() if each.parent_pid in nodes and each.pid != pid]
    return own & {held for each in nodes if process(each) for held in _held(each, above=-1)}


def _held(pid: int, *, above: int) -> set[str]:
    folder = f"/proc/{pid}/fd"
    return {
        os.readlink(f"{folder}/{each}") for each in os.listdir(folder) if int(each) > above and each.isdecimal()
    } - {"/dev/null"}
