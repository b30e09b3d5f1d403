"""What forks away twice into a session of its own and clears its environment ends with its resource, with control groups and
without: real processes."""

import os
import signal
import sys
from pathlib import Path

import pytest

from clusterd.adapters.containment_proc import processes
from clusterd.wire import host_pb2
from tests.guard.survivors import DAEMONISE, Marked
from tests.reshost.conftest import Bench, contained

__all__ = ["contained"]

DONE = host_pb2.OUTCOME_DONE


def service(marked: Marked, **more: object) -> tuple[str, dict[str, object]]:
    return "generic_service", {"command": marked.daemonise(bare=True), **more}


def script(marked: Marked, folder: Path, when: str = "online") -> tuple[str, dict[str, object]]:
    """One that leaves a hidden process behind at that moment."""
    program = folder / "daemon.py"
    program.write_text(DAEMONISE)
    path = folder / "script"
    path.write_text(f"#!/bin/sh\n[ $1 = {when} ] && {sys.executable} -SEI {program} {marked.mark} bare\nexit 0\n")
    path.chmod(0o755)
    return "generic_script", {"script_filepath": str(path)}


async def online(bench: Bench, kind: tuple[str, dict[str, object]], resource: str = "r") -> None:
    answer = await bench.call("online", kind[0], resource, **kind[1])
    assert answer.outcome == DONE, answer.message


async def settled(bench: Bench, marked: Marked, count: int) -> None:
    await bench.node.until(lambda: marked.is_settled(count) or None, 5000, what=f"{count} processes")


@pytest.mark.parametrize("verb", ["offline", "terminate"])
async def test_of_a_service_nothing_is_left(contained: str, bench: Bench, marked: Marked, verb: str) -> None:
    await online(bench, service(marked))
    await settled(bench, marked, 2)
    assert (await bench.call(verb, "generic_service")).outcome == DONE
    assert marked.pids() == []


async def test_it_is_asked_first_and_has_the_grace(
    contained: str, bench: Bench, marked: Marked, tmp_path: Path
) -> None:
    """As the rest of the service: with SIGTERM, not with SIGKILL."""
    program, told = tmp_path / "daemon.py", tmp_path / "told"
    obey = f"trap 'echo asked >{told}; exit 0' TERM; while :; do sleep 0.05; done"
    program.write_text(
        DAEMONISE.replace('"/bin/sleep", ["sleep", sys.argv[1]]', f'"/bin/sh", ["sh", "-c", {obey!r}, sys.argv[1]]')
    )
    command = ["sh", "-c", f"{sys.executable} -SEI {program} {marked.mark} bare; exec sleep {marked.mark}"]
    await online(bench, ("generic_service", {"command": command, "stop_grace": "5s"}))
    await bench.node.until(lambda: len(marked.pids()) == 2 or None, 5000, what="both")
    assert (await bench.call("offline", "generic_service")).outcome == DONE
    assert told.read_text() == "asked\n" and marked.pids() == []


async def test_it_outlives_its_main_process_and_ends_with_the_resource(
    contained: str, bench: Bench, marked: Marked
) -> None:
    await online(bench, service(marked, forking=False))
    await settled(bench, marked, 2)
    main = next(each for each in marked.pids() if Path(f"/proc/{each}/environ").read_bytes())
    os.kill(main, signal.SIGKILL)
    await bench.told(host_pb2.RESOURCE_EVENT_KIND_FAILED)
    assert (await bench.call("terminate", "generic_service")).outcome == DONE
    assert marked.pids() == []


async def test_what_a_script_leaves_ends_with_it(contained: str, bench: Bench, marked: Marked, tmp_path: Path) -> None:
    await online(bench, script(marked, tmp_path))
    await settled(bench, marked, 1)
    assert (await bench.call("offline", "generic_script")).outcome == DONE
    assert marked.pids() == []


async def test_what_a_check_hides_ends_with_the_check(
    contained: str, bench: Bench, marked: Marked, tmp_path: Path
) -> None:
    await online(bench, script(marked, tmp_path, "is_alive"))
    for _ in range(3):
        assert (await bench.call("is_alive", "generic_script")).outcome == DONE
        assert marked.pids() == []


async def test_that_of_another_resource_goes_on(contained: str, bench: Bench, marked: Marked) -> None:
    other = Marked()
    try:
        await online(bench, service(marked))
        await online(bench, service(other), "other")
        await settled(bench, marked, 2)
        await settled(bench, other, 2)
        assert (await bench.call("offline", "generic_service")).outcome == DONE
        assert marked.pids() == [] and other.is_settled(2)
        assert (await bench.call("offline", "generic_service", "other")).outcome == DONE
        assert other.pids() == []
    finally:
        other.kill()


async def test_a_killed_host_leaves_nothing_either(contained: str, bench: Bench, marked: Marked) -> None:
    """The guard becomes the parent of what is left then."""
    await online(bench, service(marked))
    await settled(bench, marked, 2)
    os.kill(bench.host.started.pid, signal.SIGKILL)
    await bench.node.until(lambda: not marked.pids() or None, 5000, what="the end of everything")


async def test_nothing_of_ours_stays_behind(contained: str, bench: Bench, marked: Marked) -> None:
    """Keepers end with what they keep."""
    before = _below(bench.host.started.pid)
    await online(bench, service(marked))
    await settled(bench, marked, 2)
    assert (await bench.call("offline", "generic_service")).outcome == DONE
    await bench.node.until(lambda: _below(bench.host.started.pid) == before or None, 5000, what="the keepers' end")


def _below(root: int) -> set[int]:
    found, seen = {root}, processes()
    while more := {each.pid for each in seen.values() if each.parent_pid in found} - found:
        found |= more
    return found
