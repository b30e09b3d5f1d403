"""Which process of a service in the background is the main one, and what follows when that ends: real processes."""

import os
import signal
from pathlib import Path

from clusterd.wire import host_pb2
from tests.guard.survivors import Marked
from tests.reshost.conftest import Bench, contained

__all__ = ["contained"]

DONE, FAILED = host_pb2.OUTCOME_DONE, host_pb2.OUTCOME_FAILED


async def online(bench: Bench, text: str, **more: object) -> host_pb2.CallResult:
    bench.node.deadlines.looks_alive_interval_ms = 50
    return await bench.call("online", "generic_service", command=["sh", "-c", text], forking=True, **more)


async def test_a_helper_does_not_keep_it_online(contained: str, bench: Bench, marked: Marked, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    text = f"sleep 1000 & sleep {marked.mark} & sleep 0.2; echo $! > {pid_file}"
    answer = await online(bench, text, pid_file=str(pid_file))
    assert answer.outcome == DONE, answer.message
    marked.kill()
    await bench.told(host_pb2.RESOURCE_EVENT_KIND_FAILED)


async def test_the_one_that_the_others_descend_from(contained: str, bench: Bench, marked: Marked) -> None:
    """As nginx: a master and its workers. The worker alone is no service."""
    master = "sleep 1000 & wait"
    answer = await online(bench, f"sh -c '{master}' {marked.mark} & exit 0")
    assert answer.outcome == DONE, answer.message
    # The shell has gone on before what it left in the background became what it is; its worker looks like it for a moment.
    [main] = await bench.node.until(
        lambda: pids if len(pids := marked.pids()) == 1 else None, 5000, what="the main process"
    )
    for _ in range(3):
        assert (await bench.call("looks_alive", "generic_service")).health == host_pb2.HEALTH_YES
    os.kill(main, signal.SIGKILL)
    await bench.told(host_pb2.RESOURCE_EVENT_KIND_FAILED)


async def test_several_side_by_side_are_told(bench: Bench, marked: Marked) -> None:
    answer = await online(bench, f"sleep 1000 & sleep {marked.mark} & exit 0")
    assert answer.outcome == DONE
    concern = await bench.told(host_pb2.RESOURCE_EVENT_KIND_CONCERN)
    assert "name its pid_file" in concern.message
    marked.kill()
    assert (await bench.call("looks_alive", "generic_service")).health == host_pb2.HEALTH_YES


async def test_a_main_process_that_is_replaced(bench: Bench, marked: Marked, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    text = f"sleep 1000 & sleep {marked.mark} & echo $! > {pid_file}; sleep 0.1"
    await online(bench, text, pid_file="pid", working_directory=str(tmp_path))
    other = next(int(each) for each in os.listdir("/proc") if each.isdigit() and _is_other(int(each), pid_file))
    pid_file.write_text(f"{other}\n")
    marked.kill()
    for _ in range(3):
        assert (await bench.call("looks_alive", "generic_service")).health == host_pb2.HEALTH_YES


def _is_other(pid: int, pid_file: Path) -> bool:
    main = int(pid_file.read_text())
    try:
        same = os.getsid(pid) == os.getsid(main)
        return same and pid != main and Path(f"/proc/{pid}/comm").read_text().strip() == "sleep"
    except OSError:
        return False


async def test_a_pid_file_that_names_a_stranger(bench: Bench, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    for text in (f"{os.getpid()}", "1", "-5", "", "x" * 100, "99999999999999999999"):
        bench.node.deadlines.pending_timeout_ms = 1000
        pid_file.write_text(text)
        answer = await online(bench, "sleep 1000 & exit 0", pid_file=str(pid_file))
        assert answer.outcome == FAILED, text
        assert "left no process behind that" in answer.message
        await bench.call("terminate", "generic_service")


async def test_a_pid_file_without_forking_is_refused(bench: Bench) -> None:
    answer = await bench.call("online", "generic_service", command=["sleep", "9"], pid_file="/run/x.pid")
    assert answer.outcome == FAILED and "set forking: true" in answer.message
