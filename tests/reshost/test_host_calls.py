"""What a host answers to calls: outcomes, generations, deadlines."""

import asyncio
import time

import pytest

from clusterd.reshost.resource import KILLED
from clusterd.wire import host_pb2
from tests.guard.survivors import Marked
from tests.reshost.conftest import Bench

DONE, FAILED, STALE = host_pb2.OUTCOME_DONE, host_pb2.OUTCOME_FAILED, host_pb2.OUTCOME_STALE
HUNG, STILL_RUNNING = host_pb2.OUTCOME_HUNG, host_pb2.OUTCOME_STILL_RUNNING


@pytest.mark.parametrize(
    ("word", "outcome", "message"),
    [
        ("succeed", DONE, ""),
        ("fail", FAILED, "online of r: the valve is closed"),
        ("elsewhere", host_pb2.OUTCOME_NOT_ON_THIS_NODE, "online of r: there is no valve here"),
        ("broken", FAILED, "online of r: ZeroDivisionError: a defect of the type"),
    ],
)
async def test_outcome_of_online(bench: Bench, word: str, outcome: "host_pb2.Outcome.ValueType", message: str) -> None:
    answer = await bench.call("online", online=word)
    assert (answer.outcome, answer.message) == (outcome, message)
    assert (await bench.call("terminate")).outcome == DONE
    assert await bench.inventory() == {}


async def test_what_a_start_or_stop_warned_of_is_told_once(bench: Bench) -> None:
    answer = await bench.call("online", online="warn", offline="warn")
    assert (answer.outcome, answer.message) == (DONE, "the needle was bent back")
    answer = await bench.call("online", online="warn", offline="warn")
    assert (answer.outcome, answer.message) == (DONE, ""), "it was online already"
    answer = await bench.call("offline", online="warn", offline="warn")
    assert (answer.outcome, answer.message) == (DONE, "the needle was bent back")
    assert (await bench.call("online")).message == ""
    assert (await bench.call("terminate")).message == ""


async def test_what_is_said_while_it_comes_online_is_told_after_the_answer(bench: Bench) -> None:
    answer = await bench.call("online", online="already-off")
    assert (answer.outcome, answer.message) == (DONE, "it was off when it came")
    told = await bench.told(host_pb2.RESOURCE_EVENT_KIND_STOPPED_ITSELF)
    assert told.message == "it switched itself off"
    assert (await bench.call("terminate")).outcome == DONE


async def test_refusals_before_anything_is_done(bench: Bench) -> None:
    unknown = await bench.call("online", type_name="nothing")
    assert unknown.outcome == host_pb2.OUTCOME_UNKNOWN_TYPE
    assert "there is: curious, dial, generic_script, generic_service" in unknown.message
    assert "broken.py: RuntimeError: this plug-in is broken" in unknown.message
    assert "Unfinished: it does not implement online, offline, is_alive" in unknown.message
    wrong = await bench.call("online", onlin="succeed", wait="soon")
    assert wrong.outcome == host_pb2.OUTCOME_BAD_PROPERTIES
    assert "onlin: no such property; did you mean online?" in wrong.message
    assert "wait: expected a duration such as 500ms" in wrong.message
    garbage = bench.node.call("online", "r", "dial")
    garbage.properties_json = b"\xff{"
    assert (await bench.host.link.call(garbage)).outcome == host_pb2.OUTCOME_BAD_PROPERTIES
    for name in ("../etc", "", "a" * 64, "r\n"):
        assert (await bench.call("online", resource=name)).outcome == FAILED


async def test_generations(bench: Bench, marked: Marked) -> None:
    first = await bench.call("online", "generic_service", generation=5, command=marked.sleep())
    again = await bench.call("online", "generic_service", generation=5, command=marked.sleep())
    assert (first.outcome, again.outcome, again.pid) == (DONE, DONE, first.pid)
    newer = await bench.call("online", "generic_service", generation=6, command=marked.sleep())
    assert newer.outcome == STILL_RUNNING
    assert marked.pids() == [first.pid]
    for verb in ("online", "offline", "terminate", "is_alive"):
        assert (await bench.call(verb, "generic_service", generation=4)).outcome == STALE
    assert marked.pids() == [first.pid]
    assert (await bench.call("offline", "generic_service", generation=5)).outcome == DONE
    assert (await bench.call("online", "generic_service", generation=6, command=marked.sleep())).outcome == DONE
    assert (await bench.call("offline", "generic_service", generation=5)).outcome == STALE
    inventory = await bench.host.link.hello(cluster="trial", node="n1", daemon_run="again")
    assert inventory.stale_count == 5
    assert [(each.state, each.generation) for each in inventory.resources] == [("online", 6)]


async def test_pending_timeout_fails_the_call_and_terminate_frees_it(bench: Bench, marked: Marked) -> None:
    bench.node.deadlines.pending_timeout_ms = 200
    answer = await bench.call("online", online="wait", wait="60s", command=marked.sleep())
    assert answer.outcome == FAILED
    assert "online of r: online made no progress for 200 ms" in answer.message
    assert (await bench.call("terminate")).outcome == DONE
    assert marked.pids() == []
    assert (await bench.call("online", generation=2)).outcome == DONE


async def test_progress_restarts_the_pending_timeout(bench: Bench) -> None:
    bench.node.deadlines.pending_timeout_ms = 300
    steps: list[str] = []
    call = bench.node.call("online", "r", "dial", {"online": "progress", "wait": 800})
    answer = await bench.host.link.call(call, lambda progress: steps.append(progress.message))
    assert answer.outcome == DONE
    assert steps == [f"step {step}" for step in range(10)]


async def test_thread_that_never_returns_counts_as_hung(bench: Bench, marked: Marked) -> None:
    bench.node.deadlines.pending_timeout_ms = 100
    bench.node.deadlines.deadlock_timeout_ms = 400
    answer = await bench.call("online", online="hang", wait="30s", command=marked.sleep())
    assert answer.outcome == FAILED
    event = await bench.told(host_pb2.RESOURCE_EVENT_KIND_HUNG)
    assert "online of r never returned; the resource host must be killed" in event.message
    terminated = await bench.call("terminate")
    assert terminated.outcome == HUNG
    assert marked.pids() == []
    assert (await bench.call("online")).outcome == HUNG
    other = await bench.call("online", resource="other")
    assert other.outcome == DONE


async def test_deadlock_before_the_pending_timeout(bench: Bench) -> None:
    bench.node.deadlines.deadlock_timeout_ms = 200
    answer = await bench.call("online", online="hang", wait="30s")
    assert answer.outcome == HUNG
    assert "did not return for 200 ms" in answer.message


async def test_terminate_wakes_what_is_under_way(bench: Bench, marked: Marked) -> None:
    online = asyncio.create_task(bench.call("online", online="wait", wait="60s", command=marked.sleep()))
    await bench.node.until(lambda: marked.is_settled(1), 3000, what="its process")
    began = time.monotonic()
    assert (await bench.call("terminate")).outcome == DONE
    assert time.monotonic() - began < 1
    assert marked.pids() == []
    assert (await online).message == "online of r was given up because it was terminated"


async def test_nothing_starts_after_terminate(bench: Bench, marked: Marked) -> None:
    online = asyncio.create_task(bench.call("online", online="late-start", wait="60s", command=marked.sleep()))
    await bench.node.until(lambda: marked.is_settled(1), 3000, what="its process")
    assert (await bench.call("terminate")).outcome == DONE
    assert (await online).outcome == FAILED
    assert marked.pids() == []


async def test_failed_offline_says_so_and_terminate_ends_it(bench: Bench, marked: Marked) -> None:
    await bench.call("online", offline="fail", command=marked.sleep())
    answer = await bench.call("offline")
    assert (answer.outcome, answer.message) == (FAILED, "offline of r: the valve is closed")
    assert len(marked.pids()) == 1
    assert (await bench.inventory())["r"].state == "failed"
    assert (await bench.call("terminate")).outcome == DONE
    assert marked.pids() == []


async def test_offline_leaves_nothing_whatever_the_type_did(contained: str, bench: Bench, marked: Marked) -> None:
    await bench.call("online", command=marked.daemonise(bare=True))
    await bench.node.until(lambda: marked.is_settled(2), 5000, what="two processes")
    assert (await bench.call("offline")).outcome == DONE
    assert marked.pids() == []


async def test_failed_online_is_cleared_away_by_the_next(bench: Bench, marked: Marked) -> None:
    await bench.call("online", online="fail", command=marked.sleep())
    first = marked.pids()
    assert (await bench.call("online", command=marked.sleep())).outcome == DONE
    assert len(first) == len(marked.pids()) == 1
    assert first != marked.pids()


async def test_controls(bench: Bench) -> None:
    assert (await bench.control("echo")).outcome == FAILED
    await bench.call("online")
    assert (await bench.control("echo", body=b"!")).control_body == b"echo r!"
    unknown = await bench.control("spin")
    assert (unknown.outcome, "no such control" in unknown.message) == (FAILED, True)


async def test_many_resources_at_once(contained: str, bench: Bench, marked: Marked) -> None:
    calls = [
        bench.call("online", "generic_service", resource=f"r{number}", command=marked.sleep()) for number in range(170)
    ]
    began = time.monotonic()
    answers = await asyncio.gather(*calls)
    assert {answer.outcome for answer in answers} == {DONE}
    assert time.monotonic() - began < 5
    assert len(marked.pids()) == 170
    stops = [bench.call("terminate", "generic_service", resource=f"r{number}") for number in range(170)]
    assert {answer.outcome for answer in await asyncio.gather(*stops)} == {DONE}
    assert marked.pids() == []


async def test_slow_calls_do_not_hold_up_others(bench: Bench) -> None:
    slow = [asyncio.create_task(bench.call("online", resource=f"s{n}", online="wait", wait="30s")) for n in range(60)]
    began = time.monotonic()
    assert (await bench.call("online", resource="quick")).outcome == DONE
    assert time.monotonic() - began < 1
    await asyncio.gather(*(bench.call("terminate", resource=f"s{number}") for number in range(60)))
    assert {answer.outcome for answer in await asyncio.gather(*slow)} == {FAILED}


async def test_a_kill_asks_nobody_first(bench: Bench, marked: Marked) -> None:
    """A terminate of a type that hangs would wait for it; a kill does not."""
    await bench.call("online", "slow_end", command=marked.sleep())
    call = bench.node.call("terminate", "r", "slow_end")
    call.reason = KILLED
    under_way = asyncio.ensure_future(bench.host.link.call(call))
    await bench.node.until(lambda: not marked.pids(), 1000, what="the end of its processes")
    assert (await under_way).outcome == DONE


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ("tag", "'CLUSTERD_NODE_TAG': is set by the cluster"),
        ("number", "the environment is a mapping of texts, not 'A': 1"),
        ("equals", "the name of a variable is not empty and has no '='"),
        ("half", "text has no half characters"),
        ("folder", "a working directory is a text without NUL"),
        ("user", "a user is named by a text without NUL"),
    ],
)
async def test_what_a_type_cannot_start_harms_nobody_else(
    bench: Bench, marked: Marked, mistake: str, message: str
) -> None:
    await bench.call("online", resource="other", command=marked.sleep())
    answer = await bench.call("online", online="bad-start", command=[mistake])
    assert answer.outcome == FAILED
    assert message in answer.message
    assert marked.is_settled(1)
    await bench.call("terminate", resource="other")
