"""How a host watches what is online: events and polls."""

import os
import signal
import time
from pathlib import Path

import pytest

from clusterd.wire import host_pb2
from tests.guard.survivors import Marked
from tests.reshost.conftest import Bench

KIND_FAILED = host_pb2.RESOURCE_EVENT_KIND_FAILED


async def test_end_of_the_process_is_an_event(bench: Bench, marked: Marked) -> None:
    bench.node.deadlines.is_alive_interval_ms = 600_000
    pid = (await bench.call("online", "generic_service", command=marked.sleep())).pid
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    event = await bench.told(KIND_FAILED)
    assert time.monotonic() - began < 0.5
    assert (event.resource, event.generation) == ("r", 1)
    assert event.message == f"process {pid} (sleep) ended by signal 9"
    assert (await bench.inventory())["r"].state == "failed"


@pytest.mark.parametrize(("word", "message"), [("no", "is_alive said no"), ("reason", "the tank is empty")])
async def test_is_alive_no_fails_it(bench: Bench, word: str, message: str) -> None:
    await bench.call("online", alive=word)
    assert (await bench.told(KIND_FAILED)).message == message


async def test_looks_alive_no_is_confirmed_at_once(bench: Bench) -> None:
    bench.node.deadlines.is_alive_interval_ms = 600_000
    bench.node.deadlines.looks_alive_interval_ms = 20
    await bench.call("online", looks="no", alive="no")
    assert (await bench.told(KIND_FAILED, 2000)).message == "is_alive said no"


async def test_looks_alive_alone_fails_nothing(bench: Bench) -> None:
    bench.node.deadlines.looks_alive_interval_ms = 10
    bench.node.deadlines.is_alive_interval_ms = 20
    await bench.call("online", looks="no")
    await bench.call("online", resource="other", alive="no")
    await bench.told(KIND_FAILED)
    assert [event.resource for event in bench.host.events] == ["other"]


@pytest.mark.parametrize("word", ["cannot-tell", "broken"])
async def test_doubt_is_told_once(bench: Bench, word: str) -> None:
    bench.node.deadlines.is_alive_interval_ms = 20
    await bench.call("online", alive=word)
    doubt = await bench.told(host_pb2.RESOURCE_EVENT_KIND_DOUBT)
    await bench.call("online", resource="other", alive="no")
    await bench.told(KIND_FAILED)
    assert [event.resource for event in bench.host.events] == ["r", "other"]
    found = (await bench.inventory())["r"]
    assert (found.state, found.doubt) == ("online", doubt.message)
    assert doubt.message


async def test_a_quick_check_that_cannot_tell_is_settled_by_the_thorough_one(bench: Bench) -> None:
    bench.node.deadlines.looks_alive_interval_ms = 20
    bench.node.deadlines.is_alive_interval_ms = 60_000
    await bench.call("online", looks="cannot-tell", alive="no")
    assert (await bench.told(KIND_FAILED)).message == "is_alive said no"


async def test_check_that_never_returns_is_told(bench: Bench) -> None:
    bench.node.deadlines.deadlock_timeout_ms = 200
    bench.node.deadlines.is_alive_interval_ms = 50
    await bench.call("online", alive="hang", wait="30s")
    event = await bench.told(host_pb2.RESOURCE_EVENT_KIND_HUNG)
    assert "is_alive did not return for 200 ms" in event.message


@pytest.mark.parametrize(
    ("word", "kind", "message"),
    [
        ("tell-failed", KIND_FAILED, "the needle fell"),
        ("tell-stopped", host_pb2.RESOURCE_EVENT_KIND_STOPPED_ITSELF, "the work is done"),
    ],
)
async def test_type_tells_by_itself(
    bench: Bench, word: str, kind: "host_pb2.ResourceEventKind.ValueType", message: str
) -> None:
    bench.node.deadlines.is_alive_interval_ms = 600_000
    await bench.call("online", online=word)
    assert (await bench.told(kind)).message == message


async def test_offline_during_a_slow_check_does_not_wait_for_it(bench: Bench, marked: Marked) -> None:
    bench.node.deadlines.is_alive_interval_ms = 20
    await bench.call("online", "generic_service", command=["sleep", "1000"], health_command=marked.sleep())
    await bench.node.until(lambda: marked.is_settled(1), 3000, what="the health command")
    began = time.monotonic()
    assert (await bench.call("offline", "generic_service")).outcome == host_pb2.OUTCOME_DONE
    assert time.monotonic() - began < 1
    assert bench.host.events == []


async def test_no_failure_is_told_for_a_wanted_end(bench: Bench, marked: Marked) -> None:
    for generation, verb in ((1, "offline"), (2, "terminate")):
        command = marked.sleep()
        await bench.call("online", "generic_service", generation=generation, command=command)
        await bench.call(verb, "generic_service", generation=generation)
    await bench.host.link.ping()
    assert bench.host.events == []


async def test_what_failed_and_is_not_stopped_is_checked_further(bench: Bench, tmp_path: Path) -> None:
    """Under maintenance nobody stops it: it is told when it is well again, and when it fails again."""
    flag = tmp_path / "well"
    flag.touch()
    bench.node.deadlines.is_alive_interval_ms = 20
    await bench.call("online", flag=str(flag))
    flag.unlink()
    await bench.told(KIND_FAILED)
    assert (await bench.inventory())["r"].state == "failed"
    flag.touch()
    assert (await bench.told(host_pb2.RESOURCE_EVENT_KIND_CHECK_PASSED)).message == "is_alive says yes again"
    assert (await bench.inventory())["r"].state == "online"
    flag.unlink()
    await bench.node.until(lambda: len(bench.host.events) == 3, 3000, what="the second failure")
    assert bench.host.events[-1].kind == KIND_FAILED


async def test_what_was_stopped_after_its_failure_is_checked_no_more(bench: Bench, tmp_path: Path) -> None:
    flag = tmp_path / "well"
    bench.node.deadlines.is_alive_interval_ms = 20
    await bench.call("online", flag=str(flag))
    await bench.told(KIND_FAILED)
    assert (await bench.call("terminate")).outcome == host_pb2.OUTCOME_DONE
    flag.touch()
    await bench.call("online", resource="other", alive="no")
    await bench.node.until(lambda: len(bench.host.events) == 2, 3000, what="the other's failure")
    assert [event.kind for event in bench.host.events] == [KIND_FAILED, KIND_FAILED]


async def test_times_that_change_while_it_runs_are_taken(bench: Bench) -> None:
    bench.node.deadlines.is_alive_interval_ms = bench.node.deadlines.looks_alive_interval_ms = 600_000
    await bench.call("online", alive="no")
    assert bench.host.events == []
    bench.node.deadlines.is_alive_interval_ms = 20
    stale = await bench.call("times", generation=2)
    assert stale.outcome == host_pb2.OUTCOME_STALE
    assert (await bench.call("times")).outcome == host_pb2.OUTCOME_DONE
    await bench.told(KIND_FAILED)


async def test_the_workload_inside_complains_and_is_well_again(bench: Bench) -> None:
    await bench.call("online")
    for _ in range(2):
        await bench.control("complain", body=b"the application hangs")
    told = await bench.told(host_pb2.RESOURCE_EVENT_KIND_EMBEDDED_FAILED)
    assert told.message == "the application hangs"
    found = (await bench.inventory())["r"]
    assert (found.state, found.embedded_failure) == ("online", "the application hangs")
    await bench.control("complain")
    await bench.told(host_pb2.RESOURCE_EVENT_KIND_EMBEDDED_WELL)
    assert len(bench.host.events) == 2
    assert (await bench.inventory())["r"].embedded_failure == ""
