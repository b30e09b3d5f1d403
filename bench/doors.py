"""How long is a node not heard while clients lean on its API? Prints JSON.

    python -m bench.doors [--seconds 8]

The clients lean on the node that leads; another node tells how long it has not heard that one, which is asked every 20 ms:
the longest age seen is the longest gap between two heartbeats (they are sent every 250 ms). Under twenty plans of a manifest
of 9,000 groups at once, 200 clients that ask for the status as fast as they are answered, and 1,250 connections that say
half a request and no more, with writers beside them.
"""

import argparse
import asyncio
import json
import resource
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import aiohttp

from bench.labs import Lab, lab, progress

PLANS, GROUPS = 20, 9000
CLIENTS, HALF_OPEN, WRITERS = 200, 1250, 8
ASK_EVERY_S = 0.02
INTERVAL_MS = 250
CALL_WITHIN_S = 30
UNANSWERED = 0


class Leaned:
    """The node that is leaned on, and the one that watches it."""

    def __init__(self, made: Lab) -> None:
        leader = made.leader()
        urls = {str(each["name"]): str(each["api"]) for each in made.nodes()}
        self.name, self.url = leader, urls[leader]
        self.watcher = next(url for name, url in urls.items() if name != leader)
        self._headers = {"Authorization": f"Bearer {made.token()}"}

    def session(self, connections: int = 0) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=connections)
        timeout = aiohttp.ClientTimeout(total=CALL_WITHIN_S)
        return aiohttp.ClientSession(headers=self._headers, connector=connector, timeout=timeout)

    async def age_ms(self, session: aiohttp.ClientSession) -> int:
        async with session.get(f"{self.watcher}/v1/nodes") as answer:
            nodes = (await answer.json())["nodes"]
        return int(next(each["heartbeat_age_ms"] or 0 for each in nodes if each["name"] == self.name))


async def longest_gap_ms(leaned: Leaned, lean: Callable[[], Awaitable[object]]) -> int:
    """While somebody leans."""
    longest = 0
    async with leaned.session() as session:
        leaning = asyncio.ensure_future(lean())
        while not leaning.done():
            longest = max(longest, await leaned.age_ms(session))
            await asyncio.sleep(ASK_EVERY_S)
        await leaning
    return longest


async def plans(leaned: Leaned) -> Counter[int]:
    text = "groups:\n" + "".join(f"  - name: bench-group-{number}\n    resources: []\n" for number in range(GROUPS))
    answers: Counter[int] = Counter()

    async def plan(session: aiohttp.ClientSession) -> None:
        try:
            async with session.post(f"{leaned.url}/v1/apply", params={"plan": "1"}, data=text) as answer:
                await answer.read()
                answers[answer.status] += 1
        except TimeoutError:
            answers[UNANSWERED] += 1  # it waits for its turn, and is not waited for any longer

    async with leaned.session() as session:
        await asyncio.gather(*(plan(session) for _ in range(PLANS)))
    return answers


async def busy_clients(leaned: Leaned, seconds: float) -> Counter[int]:
    until = time.monotonic() + seconds
    answers: Counter[int] = Counter()

    async def client(session: aiohttp.ClientSession) -> None:
        while time.monotonic() < until:
            async with session.get(f"{leaned.url}/v1/status") as answer:
                await answer.read()
                answers[answer.status] += 1

    async with leaned.session() as session:
        await asyncio.gather(*(client(session) for _ in range(CLIENTS)))
    return answers


async def half_open(leaned: Leaned, seconds: float) -> Counter[int]:
    """Each that is let go comes again at once."""
    until = time.monotonic() + seconds
    where = urlsplit(leaned.url)
    answers: Counter[int] = Counter()

    async def half() -> None:
        while time.monotonic() < until:
            try:
                reader, writer = await asyncio.open_connection(where.hostname, where.port)
                writer.write(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n")
                async with asyncio.timeout(max(0.01, until - time.monotonic())):
                    await reader.read()
                writer.close()
            except (OSError, TimeoutError):
                await asyncio.sleep(0.1)

    async def writer(number: int, session: aiohttp.ClientSession) -> None:
        while time.monotonic() < until:
            body = {"properties": {"description": str(time.monotonic_ns())}}
            try:
                async with session.patch(f"{leaned.url}/v1/nodes/{leaned.name}", json=body) as answer:
                    await answer.read()
                    answers[answer.status] += 1
            except (OSError, aiohttp.ClientError):
                answers[UNANSWERED] += 1

    async with leaned.session() as session:
        writing = [writer(each, session) for each in range(WRITERS)]
        await asyncio.gather(*(half() for _ in range(HALF_OPEN)), *writing)
    return answers


async def measure(made: Lab, seconds: float) -> dict[str, object]:
    leaned = Leaned(made)
    found: dict[str, object] = {"figure": "longest time in which the leader was not heard", "interval_ms": INTERVAL_MS}
    leans: dict[str, Callable[[], Awaitable[Counter[int]]]] = {
        f"{PLANS}_plans_of_{GROUPS}_groups": lambda: plans(leaned),
        f"{CLIENTS}_busy_clients": lambda: busy_clients(leaned, seconds),
        f"{HALF_OPEN}_half_open": lambda: half_open(leaned, seconds),
    }
    for name, lean in leans.items():
        answers: list[Counter[int]] = []

        async def leaning(lean: Callable[[], Awaitable[Counter[int]]] = lean) -> None:
            answers.append(await lean())  # noqa: B023  # awaited before the next round

        gap_ms = await longest_gap_ms(leaned, leaning)
        found[name] = {"longest_gap_ms": gap_ms, "answers": {str(key): value for key, value in answers[0].items()}}
        progress(f"{name}: {found[name]}")
    found["leads_still"] = made.leader() == leaned.name
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8)
    given = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 16384), most))
    with lab() as made_lab:
        print(json.dumps(asyncio.run(measure(made_lab, given.seconds))))
