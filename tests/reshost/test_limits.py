"""Descriptors and the order in which memory is taken back: just below, at and above what a process may hold."""

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterd.adapters.containment_proc import process, tag_of
from clusterd.adapters.process_limits import DESCRIPTORS_RESERVED, Rank, is_near_descriptor_limit
from clusterd.reshost.trial import trial_node
from clusterd.wire import host_pb2
from tests.guard.survivors import Marked
from tests.reshost.conftest import Bench, contained

__all__ = ["contained"]

DONE, FAILED = host_pb2.OUTCOME_DONE, host_pb2.OUTCOME_FAILED


def limit_of(pid: int) -> str:
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    return next(line.split()[3] for line in lines if line.startswith("Max open files"))


def score_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text())


@pytest.fixture
def small_limit() -> Iterator[None]:
    """Before `bench`: as a login shell would start it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_node_raises_its_limit_and_gives_the_old_one_back(
    small_limit: None, bench: Bench, marked: Marked
) -> None:
    answer = await bench.call("online", "generic_service", command=marked.sleep())
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for pid in (bench.node.guard_pid, bench.host.started.pid):
        assert int(limit_of(pid)) == min(hard, 65_536)
    assert limit_of(answer.pid) == "256"
    await bench.call("terminate", "generic_service")


async def test_more_services_than_the_old_limit_allowed(small_limit: None, bench: Bench, marked: Marked) -> None:
    """Each costs the host a pipe and a pidfd."""
    for number in range(150):
        answer = await bench.call("online", "generic_service", resource=f"r{number}", command=marked.sleep())
        assert answer.outcome == DONE, answer.message
    for number in range(150):
        assert (await bench.call("terminate", "generic_service", resource=f"r{number}")).outcome == DONE
    assert marked.pids() == []


async def test_the_guard_goes_last_and_workloads_first(contained: str, bench: Bench, marked: Marked) -> None:
    answer = await bench.call("online", "generic_service", command=marked.sleep())
    guard, host, workload = (score_of(each) for each in (bench.node.guard_pid, bench.host.started.pid, answer.pid))
    assert guard < host < workload
    if guard < 0:  # where scores may be lowered
        assert (guard, host, workload) == (Rank.GUARD, Rank.HOST, Rank.WORKLOAD)
    await bench.call("terminate", "generic_service")


def test_ranks_are_in_order() -> None:
    assert Rank.GUARD < Rank.DAEMON <= Rank.HOST < Rank.WORKLOAD


def test_near_the_limit() -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert not is_near_descriptor_limit(soft - DESCRIPTORS_RESERVED - 1)
    assert is_near_descriptor_limit(soft - DESCRIPTORS_RESERVED)


async def test_a_host_that_is_full_refuses_starts_and_stops_all_the_same(contained: str, marked: Marked) -> None:
    """The hard limit is what nobody can raise: here it leaves room for some services only."""
    limit = DESCRIPTORS_RESERVED + 60
    with tempfile.TemporaryDirectory(prefix="rt-", dir="/tmp") as folder:
        async with trial_node(folder) as node:
            resource.prlimit(node.guard_pid, resource.RLIMIT_NOFILE, (limit, limit))
            bench = Bench(node, await node.start_host())
            outcomes = []
            while FAILED not in outcomes and len(outcomes) < limit:
                name = f"r{len(outcomes)}"
                answer = await bench.call("online", "generic_service", resource=name, command=marked.sleep())
                outcomes.append(answer.outcome)
            assert "descriptors" in answer.message
            assert outcomes.count(DONE) > 5
            for number in range(len(outcomes)):
                answer = await bench.call("terminate", "generic_service", resource=f"r{number}")
                assert answer.outcome == DONE, answer.message
            assert marked.pids() == []


def test_what_cannot_be_looked_at_is_not_gone() -> None:
    """Without a free descriptor nothing of /proc can be read: that says nothing about who runs."""
    script = """
import os, resource
from clusterd.adapters.containment_proc import process, processes, tag_of
resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
held = []
try:
    while True:
        held.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
for look in (lambda: process(os.getpid()), lambda: tag_of(os.getpid()), processes):
    try:
        look()
    except OSError:
        continue
    raise SystemExit(1)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
    assert process(os.getpid()) is not None
    assert tag_of(999_999_999) is None
