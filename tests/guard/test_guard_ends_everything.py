"""Whatever dies or stops, nothing of the node goes on past its lease, and only what is proven gone is named ended."""

import asyncio
import os
import signal

import pytest

from clusterd.adapters.boot_clock import now_ms
from clusterd.adapters.containment import PROCESS_TREE, NodeContainment
from clusterd.reshost.trial import TrialHost, TrialNode, start_guard, trial_node
from clusterd.wire import host_pb2
from tests.guard.survivors import Marked


async def running(node: TrialNode, marked: Marked, *, bare: bool) -> TrialHost:
    """A host with three services: a plain one and two that fork away from their parent."""
    host = await node.start_host()
    commands = {
        "plain": marked.sleep(),
        "away": marked.daemonise(bare=False),
        "hidden": marked.daemonise(bare=bare),
    }
    for name, command in commands.items():
        answer = await host.link.call(node.call("online", name, "generic_service", {"command": command}))
        assert answer.outcome == host_pb2.OUTCOME_DONE, answer.message
    await node.until(lambda: marked.is_settled(5), 5000, what="five processes")
    node.forget()
    return host


async def ended(node: TrialNode) -> host_pb2.IncarnationEnded:
    return (await node.guard_said("incarnation_ended")).incarnation_ended


async def test_lease_that_runs_out_ends_the_incarnation(kind: str, run_dir: str, marked: Marked, log: int) -> None:
    async with trial_node(run_dir, log=log) as node:
        host = await running(node, marked, bare=True)
        first = node.incarnation
        node.is_renewing = False
        node.guard.renew(first, now_ms() + 50)  # an earlier deadline does not shorten the lease
        over = await ended(node)
        assert (over.ended, marked.pids()) == (first, [])
        assert over.successor not in ("", first)
        await node.until(lambda: host.is_gone, 1000, what="the end of the host")
        state = (await node.guard_said("state")).state
        assert state.incarnation == over.successor
        assert list(state.ended_incarnations) == [first]
        assert (state.deadline_ms, list(state.hosts)) == (0, [])


async def test_killed_guard_takes_everything_along(kind: str, run_dir: str, marked: Marked, log: int) -> None:
    async with trial_node(run_dir, log=log) as node:
        # Without control groups, what has no tag and lost every parent cannot be told from a stranger's process.
        await running(node, marked, bare=kind != PROCESS_TREE)
        first = node.incarnation
        os.kill(node.guard_pid, signal.SIGKILL)
        assert await asyncio.to_thread(marked.gone_within, 1500)
        assert await node.ended(5000) == -signal.SIGKILL
        async with trial_node(run_dir, log=log) as successor:
            state = await successor.connect()
            assert first in state.ended_incarnations
            assert state.incarnation != first


async def test_killed_host_is_followed_by_its_workloads(kind: str, run_dir: str, marked: Marked, log: int) -> None:
    async with trial_node(run_dir, log=log) as node:
        host = await running(node, marked, bare=True)
        os.kill(host.started.pid, signal.SIGKILL)
        gone = (await node.guard_said("host_ended")).host_ended
        assert (gone.host_id, gone.because, gone.workloads_gone) == ("shared", "signal 9", True)
        assert marked.pids() == []
        node.forget()
        again = await node.start_host()
        assert again.inventory.incarnation == node.incarnation
        assert not again.inventory.resources


async def test_lease_is_renewed_while_a_host_dies(kind: str, run_dir: str, marked: Marked, log: int) -> None:
    async with trial_node(run_dir, log=log) as node:
        for _ in range(5):
            host = await running(node, marked, bare=kind != PROCESS_TREE)
            os.kill(host.started.pid, signal.SIGKILL)
            while not any(each.HasField("host_ended") for each in node.guard_events):
                node.guard.renew(node.incarnation, now_ms() + 5000)
                await asyncio.sleep(0)
            assert marked.pids() == []
            node.forget()
        state = await node.connect()
        assert state.incarnation == node.incarnation


async def test_stopped_host_is_killed_at_the_deadline(kind: str, run_dir: str, marked: Marked, log: int) -> None:
    async with trial_node(run_dir, log=log) as node:
        host = await running(node, marked, bare=True)
        os.kill(host.started.pid, signal.SIGSTOP)
        node.is_renewing = False
        await ended(node)
        assert marked.pids() == []


async def test_host_keeps_the_deadline_of_a_stopped_guard(kind: str, run_dir: str, marked: Marked, log: int) -> None:
    async with trial_node(run_dir, log=log) as node:
        await running(node, marked, bare=kind != PROCESS_TREE)
        node.is_renewing = False
        os.kill(node.guard_pid, signal.SIGSTOP)
        try:
            assert await asyncio.to_thread(marked.gone_within, 4500)
            assert not [each for each in node.guard_events if each.HasField("incarnation_ended")]
        finally:
            os.kill(node.guard_pid, signal.SIGCONT)
        assert (await ended(node)).ended == node.incarnation


async def test_stopped_guard_with_stopped_hosts_ends_all_when_it_goes_on(
    kind: str, run_dir: str, marked: Marked, log: int
) -> None:
    async with trial_node(run_dir, log=log) as node:
        host = await running(node, marked, bare=True)
        node.is_renewing = False
        os.kill(host.started.pid, signal.SIGSTOP)
        os.kill(node.guard_pid, signal.SIGSTOP)
        deadline_ms = now_ms() + 1700
        await node.until(lambda: now_ms() > deadline_ms, 3000, what="the deadline")
        os.kill(node.guard_pid, signal.SIGCONT)
        node.guard.renew(node.incarnation, now_ms() + 5000)  # too late: a passed deadline is not extended
        await ended(node)
        assert marked.pids() == []


@pytest.mark.parametrize("how", ["end_incarnation", "stop", "terminate"])
async def test_asked_to_end(kind: str, run_dir: str, marked: Marked, log: int, how: str) -> None:
    async with trial_node(run_dir, log=log) as node:
        await running(node, marked, bare=True)
        first = node.incarnation
        match how:
            case "end_incarnation":
                node.guard.end_incarnation("0" * 16, "somebody else's")
                node.guard.end_incarnation(first, "expelled")
            case "stop":
                node.guard.stop("told to")
            case _:
                node.process.terminate()
        over = await ended(node)
        assert (over.ended, marked.pids()) == (first, [])
        assert bool(over.successor) == (how == "end_incarnation")
        if how != "end_incarnation":
            assert await node.ended(5000) == 0
            assert not os.path.exists(os.path.join(run_dir, "guard.sock"))
            birthplace = NodeContainment.of(run_dir).node().birthplace()
            assert birthplace is None or not os.path.exists(birthplace)


async def test_killed_host_by_request_names_the_reason(kind: str, run_dir: str, marked: Marked, log: int) -> None:
    async with trial_node(run_dir, log=log) as node:
        await running(node, marked, bare=True)
        other = await node.start_host("own-1")
        survivor = Marked()
        command = {"command": survivor.sleep()}
        await other.link.call(node.call("online", "survivor", "generic_service", command))
        node.guard.kill_host("shared", "hung call online of web")
        gone = (await node.guard_said("host_ended")).host_ended
        assert gone.because == "killed: hung call online of web"
        assert marked.pids() == []
        assert len(survivor.pids()) == 1
    assert survivor.gone_within(1000)


async def test_restarted_daemon_finds_everything_as_it_was(kind: str, run_dir: str, marked: Marked, log: int) -> None:
    async with trial_node(run_dir, log=log) as node:
        first = await running(node, marked, bare=False)
        before, pids = node.incarnation, marked.pids()
        node.guard.close()
        first.link.close()
        state = await node.connect()
        assert (state.incarnation, [each.host_id for each in state.hosts]) == (before, ["shared"])
        again = await node.connect_host(state.hosts[0])
        states = {each.resource: (each.state, each.generation, each.pid > 0) for each in again.inventory.resources}
        assert states == dict.fromkeys(("plain", "away", "hidden"), ("online", 1, True))
        assert marked.pids() == pids


async def test_guard_replaces_its_shadow(kind: str, run_dir: str, marked: Marked, log: int) -> None:
    async with trial_node(run_dir, log=log) as node:
        children = f"/proc/{node.guard_pid}/task/{node.guard_pid}/children"

        def child() -> int:
            with open(children) as file:
                words = file.read().split()
            return int(words[0]) if words else 0

        shadow = child()
        os.kill(shadow, signal.SIGKILL)
        await node.until(lambda: child() not in (0, shadow), 2000, what="a new shadow")
        await running(node, marked, bare=False)
        os.kill(node.guard_pid, signal.SIGKILL)
        assert await asyncio.to_thread(marked.gone_within, 1500)


async def test_one_guard_for_one_run_directory(kind: str, run_dir: str, log: int) -> None:
    async with trial_node(run_dir, log=log):
        second = start_guard(run_dir, log=log)
        assert await second.ended(5000) == 65


async def test_no_command_without_a_lease(kind: str, run_dir: str, marked: Marked, log: int) -> None:
    async with trial_node(run_dir, log=log) as node:
        node.is_renewing = False
        node.forget()
        await ended(node)
        state = (await node.guard_said("state")).state
        node.incarnation = state.incarnation
        host = await node.start_host()
        call = node.call("online", "plain", "generic_service", {"command": marked.sleep()})
        assert (await host.link.call(call)).outcome == host_pb2.OUTCOME_STALE
        node.renew()
        call.incarnation = "0" * 16
        assert (await host.link.call(call)).outcome == host_pb2.OUTCOME_STALE
