"""A script on its good and its bad days."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from clusterd.wire import host_pb2
from tests.guard.survivors import Marked
from tests.reshost.conftest import Bench

DONE, FAILED = host_pb2.OUTCOME_DONE, host_pb2.OUTCOME_FAILED
Write = Callable[[str], str]


@pytest.fixture
def script(tmp_path: Path) -> Write:
    """Writes a shell script whose cases are given; every call is noted in `calls`."""

    def write(cases: str) -> str:
        path = tmp_path / "script"
        path.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/calls\ncase "$1" in\n{cases}\n*) exit 3;;\nesac\n')
        path.chmod(0o755)
        return str(path)

    return write


def calls(script_path: str) -> list[str]:
    return (Path(script_path).parent / "calls").read_text().split()


async def online(bench: Bench, path: str, **properties: object) -> host_pb2.CallResult:
    return await bench.call("online", "generic_script", script_filepath=path, **properties)


async def test_order_of_entry_points(bench: Bench, script: Write) -> None:
    path = script("online|offline) exit 0;;")
    assert (await online(bench, path)).outcome == DONE
    assert (await bench.call("offline", "generic_script")).outcome == DONE
    made = [each for each in calls(path) if not each.endswith("alive")]
    assert made == ["open", "online", "offline", "close"]


async def test_terminate_then_close(bench: Bench, script: Write) -> None:
    path = script("online) exit 0;;")
    await online(bench, path)
    assert (await bench.call("terminate", "generic_script")).outcome == DONE
    assert [each for each in calls(path) if not each.endswith("alive")] == ["open", "online", "terminate", "close"]


@pytest.mark.parametrize("verb", ["offline", "terminate"])
async def test_what_online_left_running_is_gone(bench: Bench, script: Write, marked: Marked, verb: str) -> None:
    path = script(f"online) setsid sleep {marked.mark} & sleep {marked.mark} & ;;")
    assert (await online(bench, path)).outcome == DONE
    await bench.node.until(lambda: marked.is_settled(2), 2000, what="what it left running")
    assert (await bench.call(verb, "generic_script")).outcome == DONE
    assert marked.pids() == []


async def test_checks(bench: Bench, script: Write, tmp_path: Path) -> None:
    bench.node.deadlines.looks_alive_interval_ms = 600_000
    bench.node.deadlines.is_alive_interval_ms = 600_000
    path = script(f"online) exit 0;; is_alive) test -e {tmp_path}/sick && echo 'the pump stopped' && exit 1; exit 0;;")
    await online(bench, path)
    assert (await bench.call("is_alive", "generic_script")).health == host_pb2.HEALTH_YES
    assert (await bench.call("looks_alive", "generic_script")).health == host_pb2.HEALTH_UNKNOWN
    (tmp_path / "sick").touch()
    answer = await bench.call("is_alive", "generic_script")
    assert answer.health == host_pb2.HEALTH_NO
    assert "is_alive exited with status 1; its last output: the pump stopped" in answer.message


async def test_finds_names_and_properties(bench: Bench, script: Write, tmp_path: Path) -> None:
    path = script(f'online) echo "$CLUSTERD_RESOURCE $CLUSTERD_GENERATION $COLOUR" > {tmp_path}/seen;;')
    await online(bench, path, environment={"COLOUR": "red"})
    assert (tmp_path / "seen").read_text() == "r 1 red\n"


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("online) echo 'no pressure' >&2; exit 7;;", "online exited with status 7; its last output: no pressure"),
        ("online) kill -SEGV $$;;", "online ended by signal 11"),
        ("online) printf '\\377\\376\\000\\001'; exit 1;;", "online exited with status 1"),
        ("open) echo 'locked'; exit 1;;", "open exited with status 1; its last output: locked"),
    ],
)
async def test_failures_and_their_words(bench: Bench, script: Write, case: str, message: str) -> None:
    answer = await online(bench, script(case))
    assert answer.outcome == FAILED
    assert message in answer.message
    assert (await bench.call("terminate", "generic_script")).outcome == DONE


async def test_missing_and_not_executable(bench: Bench, script: Write, tmp_path: Path) -> None:
    missing = await online(bench, str(tmp_path / "missing"))
    assert missing.outcome == host_pb2.OUTCOME_NOT_ON_THIS_NODE
    assert "install it there at the same path" in missing.message
    path = script("online) exit 0;;")
    os.chmod(path, 0o644)
    refused = await online(bench, path)
    assert (refused.outcome, "is no executable file: chmod +x it" in refused.message) == (FAILED, True)
    assert "is not absolute" in (await online(bench, "script")).message


async def test_never_returns(bench: Bench, script: Write, marked: Marked) -> None:
    bench.node.deadlines.pending_timeout_ms = 500
    path = script(f"online) sleep {marked.mark};;")
    answer = await online(bench, path)
    assert answer.outcome == FAILED
    assert "did not return from online within" in answer.message
    began = time.monotonic()
    assert (await bench.call("terminate", "generic_script")).outcome == DONE
    assert time.monotonic() - began < 2
    assert marked.pids() == []
    assert "terminate" not in calls(path)  # it hung, so it is not called again until it was recycled
    script("online) exit 0;;")
    assert (await online(bench, path)).outcome == DONE


async def test_megabytes_of_output(bench: Bench, script: Write) -> None:
    answer = await online(
        bench, script("online) head -c 20000000 /dev/zero | tr '\\0' x; echo; echo the end; exit 1;;")
    )
    assert answer.outcome == FAILED
    assert answer.message.endswith(("…", "the end"))
    assert len(answer.message) < 5000
    assert len((await bench.control("logs")).control_body) <= 65536


async def test_what_is_inside_may_be_unwell_while_the_script_runs(bench: Bench, script: Write, tmp_path: Path) -> None:
    bench.node.deadlines.is_alive_interval_ms = bench.node.deadlines.looks_alive_interval_ms = 50
    sick = tmp_path / "sick"
    sick.touch()
    path = script(
        f"online|offline) exit 0;;\nis_alive) test -e {sick} && echo 'the queue is full' && exit 70; exit 0;;"
    )
    assert (await online(bench, path, embedded_failure_status=70)).outcome == DONE
    told = await bench.told(host_pb2.RESOURCE_EVENT_KIND_EMBEDDED_FAILED)
    assert told.message == "the queue is full"
    sick.unlink()
    await bench.told(host_pb2.RESOURCE_EVENT_KIND_EMBEDDED_WELL)
    assert (await bench.inventory())["r"].state == "online"
