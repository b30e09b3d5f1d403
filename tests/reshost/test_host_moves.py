"""What a host does with what migrates live: prepared, moved, resumed, forgotten; and what it tells a new daemon."""

import asyncio
from pathlib import Path
from typing import Any

from clusterd.wire import host_pb2
from tests.reshost.conftest import Bench
from tests.reshost.plugins.mover import STOOD_STILL_MS

DONE, FAILED, STALE = host_pb2.OUTCOME_DONE, host_pb2.OUTCOME_FAILED, host_pb2.OUTCOME_STALE


async def call(bench: Bench, verb: str, resource: str, generation: int, **given: Any) -> host_pb2.CallResult:
    prepared, reason = given.pop("prepared", ""), given.pop("reason", "")
    message = bench.node.call(verb, resource, "mover", given, generation)
    message.prepared, message.reason = prepared, reason
    return await bench.host.link.call(message)


async def states(bench: Bench) -> dict[str, str]:
    return {name: each.state for name, each in (await bench.inventory()).items()}


def last_count(folder: Path) -> int:
    return int((folder / "ledger").read_text().splitlines()[-1].split()[-1])


async def test_it_goes_on_where_it_stood_still(bench: Bench, tmp_path: Path) -> None:
    """Two names stand for the two nodes."""
    given = {"folder": str(tmp_path)}
    assert (await call(bench, "online", "here", 1, **given)).outcome == DONE
    prepared = await call(bench, "prepare", "there", 2, **given)
    assert prepared.outcome == DONE
    assert await states(bench) == {"here": "online", "there": "prepared"}
    await asyncio.sleep(0.05)
    moved = await call(bench, "migrate", "here", 1, prepared=prepared.prepared, **given)
    again = await call(bench, "migrate", "here", 1, prepared=prepared.prepared, **given)
    assert (moved.outcome, again.outcome) == (DONE, DONE)
    assert STOOD_STILL_MS <= moved.since_ms <= again.since_ms < 60_000, "whoever asks later hears of a longer time"
    stood_still_at = last_count(tmp_path)
    assert (await call(bench, "terminate", "here", 1, reason="migrated")).outcome == DONE
    assert await states(bench) == {"here": "moved", "there": "prepared"}, "a new daemon must hear that it moved"
    assert (await call(bench, "online", "there", 2, **given)).outcome == DONE
    await asyncio.sleep(0.05)
    counts = [int(line.split()[-1]) for line in (tmp_path / "ledger").read_text().splitlines()]
    assert counts == list(range(1, counts[-1] + 1))
    assert counts[-1] > stood_still_at
    assert (await call(bench, "terminate", "here", 1)).outcome == DONE
    assert await states(bench) == {"there": "online"}


async def test_a_cancelled_move_leaves_it_running(bench: Bench, tmp_path: Path) -> None:
    given = {"folder": str(tmp_path), "slow": "20s"}
    await call(bench, "online", "here", 1, **given)
    moving = asyncio.create_task(call(bench, "migrate", "here", 1, prepared=str(tmp_path / "m"), **given))
    joined = asyncio.create_task(call(bench, "migrate", "here", 1, prepared=str(tmp_path / "m"), **given))
    await asyncio.sleep(0.1)
    assert (await call(bench, "cancel_migration", "here", 1)).outcome == DONE
    assert [(await each).outcome for each in (moving, joined)] == [FAILED, FAILED]
    assert await states(bench) == {"here": "online"}
    before = last_count(tmp_path)
    await asyncio.sleep(0.05)
    assert last_count(tmp_path) > before


async def test_what_was_moved_goes_on_here_when_nobody_took_it(bench: Bench, tmp_path: Path) -> None:
    given = {"folder": str(tmp_path)}
    await call(bench, "online", "here", 1, **given)
    await asyncio.sleep(0.05)
    assert (await call(bench, "migrate", "here", 1, prepared=str(tmp_path / "m"), **given)).outcome == DONE
    stood_still_at = last_count(tmp_path)
    for _ in range(2):
        assert (await call(bench, "resume", "here", 1, **given)).outcome == DONE
    await asyncio.sleep(0.05)
    assert last_count(tmp_path) > stood_still_at
    assert await states(bench) == {"here": "online"}


async def test_what_was_prepared_is_forgotten(bench: Bench, tmp_path: Path) -> None:
    given = {"folder": str(tmp_path)}
    first = await call(bench, "prepare", "there", 2, **given)
    second = await call(bench, "prepare", "there", 2, **given)
    assert first.prepared != second.prepared
    assert (await call(bench, "terminate", "there", 2)).outcome == DONE
    assert await states(bench) == {}
    assert (tmp_path / "notes").read_text().splitlines() == ["n1 abandoned", "n1 abandoned"]
    assert (await call(bench, "prepare", "there", 1, **given)).outcome == STALE
    # Under another generation nothing of it goes on.
    await call(bench, "prepare", "there", 2, **given)
    (tmp_path / "ledger").write_text("")
    assert (await call(bench, "online", "there", 3, **given)).outcome == DONE
    assert (tmp_path / "notes").read_text().count("abandoned") == 3


async def test_refusals(bench: Bench, tmp_path: Path) -> None:
    given = {"folder": str(tmp_path)}
    assert (await call(bench, "migrate", "here", 1, prepared="x", **given)).outcome == FAILED
    await call(bench, "online", "here", 2, **given)
    assert (await call(bench, "migrate", "here", 1, prepared="x", **given)).outcome == STALE
    gone = await call(bench, "migrate", "here", 2, prepared="/nowhere/m", **given)
    assert (gone.outcome, gone.message) == (FAILED, "migrate of here: the other side is gone")
    plain = await bench.host.link.call(bench.node.call("prepare", "plain", "dial", {}, 1))
    assert plain.outcome == FAILED
    assert "does not implement it" in plain.message
