"""Is what somebody started by hand found, what a cluster started not taken for that, and is nothing left of the look?"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterd.wire import host_pb2
from tests.guard.survivors import Marked
from tests.reshost.conftest import Bench

DONE, FAILED = host_pb2.OUTCOME_DONE, host_pb2.OUTCOME_FAILED
LISTEN = """
import socket, time
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
time.sleep(99)
"""
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("CLUSTERD_")}


async def look(bench: Bench, type_name: str, **properties: Any) -> host_pb2.CallResult:
    body = json.dumps({"group": "g", "resource": "r", "properties": properties}).encode()
    call = host_pb2.ResourceCall(verb=host_pb2.VERB_CONTROL, type=type_name, control_verb="is-there", control_body=body)
    return await bench.host.link.call(call)


async def found(bench: Bench, type_name: str, **properties: Any) -> str:
    answer = await look(bench, type_name, **properties)
    assert answer.outcome == DONE, answer.message
    return answer.control_body.decode()


@pytest.fixture
def by_hand(marked: Marked) -> Iterator[subprocess.Popen[bytes]]:
    """What an operator starts in a shell of his own."""
    process = subprocess.Popen(marked.sleep(), env=ENVIRONMENT)
    yield process
    process.kill()
    process.wait()


async def test_a_command_that_somebody_started_by_hand(
    bench: Bench, marked: Marked, by_hand: subprocess.Popen[bytes]
) -> None:
    told = await found(bench, "generic_service", command=marked.sleep())
    assert told.startswith(f"process {by_hand.pid} (")
    assert await found(bench, "generic_service", command=[*marked.sleep(), "7"]) == ""
    assert await bench.inventory() == {}


async def test_what_a_cluster_started_is_no_stray(bench: Bench, marked: Marked) -> None:
    assert (await bench.call("online", "generic_service", command=marked.sleep())).outcome == DONE
    assert marked.pids(), "it runs"
    assert await found(bench, "generic_service", command=marked.sleep()) == ""
    assert (await bench.call("terminate", "generic_service")).outcome == DONE


@pytest.fixture
def listener() -> Iterator[tuple[int, int]]:
    """Its pid and its port."""
    command = [sys.executable, "-I", "-c", LISTEN]
    process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    yield process.pid, int(process.stdout.readline())
    process.kill()
    process.communicate()


async def test_somebody_listens_on_its_port(bench: Bench, listener: tuple[int, int]) -> None:
    pid, port = listener
    told = await found(bench, "generic_service", command=["another", "name"], ready={"tcp": port})
    assert f"pid {pid}" in told and f"listens on port {port}" in told
    os.kill(pid, signal.SIGKILL)
    while await found(bench, "generic_service", command=["another", "name"], ready={"tcp": port}):
        await asyncio.sleep(0)


@pytest.fixture
def program(tmp_path: Path) -> Iterator[tuple[int, str]]:
    """A script that was started by its own name: its pid and path."""
    script = tmp_path / "serve"
    script.write_text("#!/bin/sh -e\necho here; read line\n")
    script.chmod(0o755)
    process = subprocess.Popen([str(script), "x"], env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"here\n"
    yield process.pid, str(script)
    process.kill()
    process.communicate()


async def test_a_script_that_is_run_as_a_program(bench: Bench, program: tuple[int, str]) -> None:
    pid, path = program
    assert f"process {pid} " in await found(bench, "generic_service", command=[path], startup_parameters=["x"])
    assert await found(bench, "generic_service", command=[path], startup_parameters=["y"]) == ""


def script_of(folder: Path, is_alive: str) -> str:
    path = folder / "script"
    path.write_text(f'#!/bin/sh\n[ "$1" = is_alive ] || exit 9\n{is_alive}\n')
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("is_alive", "told"),
    [
        ("exit 0", "is_alive says yes"),
        ('echo "$CLUSTERD_RESOURCE of $CLUSTERD_GROUP"', "r of g"),
        ("exit 1", ""),
    ],
)
async def test_a_script_is_asked(bench: Bench, tmp_path: Path, is_alive: str, told: str) -> None:
    said = await found(bench, "generic_script", script_filepath=script_of(tmp_path, is_alive))
    assert told in said and bool(told) == bool(said)


async def test_what_the_look_of_a_script_leaves_is_ended(bench: Bench, tmp_path: Path, marked: Marked) -> None:
    sleep = " ".join(f"'{each}'" for each in marked.sleep())
    path = script_of(tmp_path, f"{sleep} & exit 1")
    assert await found(bench, "generic_script", script_filepath=path) == ""
    assert marked.gone_within(2000)


@pytest.mark.parametrize(
    ("type_name", "words"),
    [("generic_script", "is_alive"), ("dial", "dial has no way to look"), ("nothing", "there is no resource type")],
)
async def test_what_cannot_be_told_is_said(bench: Bench, tmp_path: Path, type_name: str, words: str) -> None:
    given = {"script_filepath": script_of(tmp_path, "exit 3")} if type_name == "generic_script" else {}
    answer = await look(bench, type_name, **given)
    assert answer.outcome != DONE and words in answer.message


async def test_a_question_that_is_none(bench: Bench) -> None:
    call = host_pb2.ResourceCall(verb=host_pb2.VERB_CONTROL, type="dial", control_verb="is-there", control_body=b"[]")
    answer = await bench.host.link.call(call)
    assert answer.outcome == FAILED and "cannot be read" in answer.message


async def test_a_script_that_is_not_on_this_node_runs_nothing(bench: Bench, tmp_path: Path) -> None:
    assert await found(bench, "generic_script", script_filepath=str(tmp_path / "none")) == ""
