"""How fast is a durable commit through the database interface at the leader? Prints JSON.

python -m bench.commits
"""

import asyncio
import json
import statistics
import time

from bench.in_process import daemons, leader_of
from clusterd.runtime.daemon import Daemon
from clusterd.wire.records_pb2 import Put, Transaction

RUNS = 10
SINGLE_COMMITS = 100
CLIENTS = 64
COMMITS_A_CLIENT = 30
VALUE = b"x" * 200


async def measure() -> dict[str, object]:
    async with daemons() as nodes:
        leader = leader_of(nodes)
        await _one_client(leader, "warm", SINGLE_COMMITS)
        medians, rates = [], []
        for run in range(RUNS):
            medians.append(statistics.median(await _one_client(leader, f"one{run}", SINGLE_COMMITS)))
            rates.append(await _many_clients(leader, f"many{run}"))
    return {
        "figure": "commit at the leader, three nodes in one process, fsync on every node",
        "runs": RUNS,
        "p50_ms_one_client": {"median": round(statistics.median(medians), 2), "worst": round(max(medians), 2)},
        "per_second_64_clients": {"median": round(statistics.median(rates)), "worst": round(min(rates))},
    }


async def _one_client(leader: Daemon, name: str, count: int) -> list[float]:
    times = []
    for number in range(count):
        before = time.perf_counter()
        await _commit(leader, f"{name}.{number}", f"bench/{number % 50}")
        times.append((time.perf_counter() - before) * 1000)
    return times


async def _many_clients(leader: Daemon, name: str) -> float:
    async def client(number: int) -> None:
        for each in range(COMMITS_A_CLIENT):
            await _commit(leader, f"{name}.{number}.{each}", f"bench/{number}")

    before = time.perf_counter()
    await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    return CLIENTS * COMMITS_A_CLIENT / (time.perf_counter() - before)


async def _commit(leader: Daemon, request_id: str, key: str) -> None:
    transaction = Transaction(request_id=request_id, puts=[Put(key=key, value=VALUE)])
    result = await leader.clients.commit(transaction, 5000)
    if not result.succeeded:
        raise SystemExit(f"commit {request_id} conflicted: {result}")


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure())))
