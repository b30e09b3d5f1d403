"""What a host does when it is asked to fence: it is bounded, nothing of it is left, and nothing starts beside it."""

import asyncio
from pathlib import Path
from typing import Any

from clusterd.reshost.conformance import conformance
from clusterd.wire import host_pb2
from tests.reshost.conftest import PLUGINS, Bench

DONE, FAILED, STALE = host_pb2.OUTCOME_DONE, host_pb2.OUTCOME_FAILED, host_pb2.OUTCOME_STALE


async def call(bench: Bench, verb: str, generation: int, path: Path, **given: Any) -> host_pb2.CallResult:
    return await bench.call(verb, "unit", "r", generation, file=str(path / "claim"), **given)


def claimed(path: Path) -> str:
    return (path / "claim").read_text()


async def test_nothing_is_left_of_it_and_the_next_generation_starts(bench: Bench, tmp_path: Path) -> None:
    for before in (0, 3):
        answer = await call(bench, "fence", 3, tmp_path)
        assert (answer.outcome, answer.prepared) == (DONE, f"claimed after {before}")
        assert "r" not in await bench.inventory()
    assert (await call(bench, "online", 2, tmp_path)).outcome == STALE
    assert (await call(bench, "online", 4, tmp_path)).outcome == DONE
    assert claimed(tmp_path) == "4"


async def test_it_fails_where_the_storage_refuses(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "claim").write_text("9")
    answer = await call(bench, "fence", 3, tmp_path)
    assert answer.outcome == FAILED
    assert "generation 9 has it" in answer.message
    assert "r" not in await bench.inventory()


async def test_it_is_bounded(bench: Bench, tmp_path: Path) -> None:
    bench.node.deadlines.pending_timeout_ms = 200
    assert (await call(bench, "fence", 3, tmp_path, slow="20s")).outcome == FAILED
    assert not (tmp_path / "claim").exists()
    assert (await call(bench, "terminate", 3, tmp_path)).outcome == DONE
    assert "r" not in await bench.inventory()
    assert (await call(bench, "online", 4, tmp_path)).outcome == DONE


async def test_a_terminate_ends_it(bench: Bench, tmp_path: Path) -> None:
    fencing = asyncio.create_task(call(bench, "fence", 3, tmp_path, slow="20s"))
    while "r" not in await bench.inventory():
        await asyncio.sleep(0.005)
    assert (await call(bench, "terminate", 3, tmp_path)).outcome == DONE
    assert (await fencing).outcome == FAILED
    assert "r" not in await bench.inventory()
    assert not (tmp_path / "claim").exists()


async def test_a_start_waits_for_one_that_is_under_way(bench: Bench, tmp_path: Path) -> None:
    fencing = asyncio.create_task(call(bench, "fence", 3, tmp_path, slow="200ms"))
    while "r" not in await bench.inventory():
        await asyncio.sleep(0.005)
    answer = await call(bench, "online", 4, tmp_path)
    assert (await fencing).outcome == DONE
    assert answer.outcome == DONE
    assert claimed(tmp_path) == "4"


async def test_a_type_that_offers_none(bench: Bench) -> None:
    assert (await bench.call("fence", "scenery", "r", 3)).outcome == FAILED
    assert "r" not in await bench.inventory()


async def test_what_runs_here_is_not_fenced(bench: Bench, tmp_path: Path) -> None:
    assert (await call(bench, "online", 1, tmp_path)).outcome == DONE
    answer = await call(bench, "fence", 3, tmp_path)
    assert answer.outcome == host_pb2.OUTCOME_STILL_RUNNING
    assert claimed(tmp_path) == "1"


async def test_the_suite_tries_it(tmp_path: Path) -> None:
    results = {each.name: each for each in await conformance(str(PLUGINS / "unit.py"), {"file": str(tmp_path / "c")})}
    tried = results["a fence leaves nothing but its claim"]
    assert tried.passed, tried.message
    assert tried.message.startswith("claimed after")
