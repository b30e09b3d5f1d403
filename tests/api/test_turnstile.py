"""Do many requests at once leave the loop to others in between, in the order in which they came?"""

import asyncio

from clusterd.api.turnstile import Turnstile


async def test_a_few_enter_in_each_turn() -> None:
    turnstile, turn, entered = Turnstile(4), [0], list[tuple[int, int]]()

    async def enter(number: int) -> None:
        await turnstile.enter()
        entered.append((number, turn[0]))

    tasks = [asyncio.create_task(enter(number)) for number in range(42)]
    while not all(each.done() for each in tasks):
        turn[0] += 1
        await asyncio.sleep(0)
    turns = [at for _, at in entered]
    assert [number for number, _ in entered] == list(range(42))
    assert max(turns.count(each) for each in set(turns)) <= 4
    assert len(set(turns)) >= 42 // 4


async def test_who_is_alone_waits_for_nobody() -> None:
    turnstile = Turnstile(1)
    for _ in range(3):
        entering = turnstile.enter()
        try:
            entering.send(None)
        except StopIteration:
            pass
        else:
            raise AssertionError("it waited")
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def test_who_is_gone_takes_no_turn() -> None:
    turnstile = Turnstile(1)
    tasks = [asyncio.create_task(turnstile.enter()) for _ in range(20)]
    await asyncio.sleep(0)
    for each in tasks[1:-1]:
        each.cancel()
    async with asyncio.timeout(1):
        await tasks[-1]
