"""However many calls hang, a stop gets its thread: each sort of call has a bound of its own."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clusterd.adapters.call_record import CallRecord
from clusterd.reshost.threads import CHECKS_BUSY_MAX, QUESTIONS_BUSY_MAX, CallThreads, TooManyCalls


@pytest.fixture
def gate() -> threading.Event:
    return threading.Event()


@pytest.fixture
async def threads(tmp_path: Path, gate: threading.Event) -> AsyncIterator[CallThreads]:
    made = CallThreads(CallRecord(str(tmp_path / "calls")))
    yield made
    gate.set()
    async with asyncio.timeout(10):
        while not made.is_idle:
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("verb", "most", "others"),
    [
        ("definitions", QUESTIONS_BUSY_MAX, ["is_alive", "online", "terminate"]),
        ("is_alive", CHECKS_BUSY_MAX, ["definitions", "online", "offline", "terminate", "close"]),
    ],
)
async def test_one_sort_takes_no_place_of_another(
    threads: CallThreads, gate: threading.Event, verb: str, most: int, others: list[str]
) -> None:
    held = [threads.run(gate.wait, resource=f"r{number}", verb=verb) for number in range(most)]
    with pytest.raises(TooManyCalls, match=str(most)):
        threads.run(gate.wait, resource="one more", verb=verb)
    async with asyncio.timeout(10):
        for each in others:
            assert await threads.run(lambda: 7, resource="r", verb=each) == 7
    gate.set()
    await asyncio.gather(*held)
    async with asyncio.timeout(10):
        assert await threads.run(lambda: 8, resource="again", verb=verb) == 8
