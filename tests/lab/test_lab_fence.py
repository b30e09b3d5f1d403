"""The power switch ends exactly the run that it is told, and says 'ended' only when it is."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from clusterd.adapters.fence import FenceAgent, FenceVerdict, LabFenceAgent, agent_for
from clusterd.model.errors import BadInput
from clusterd.model.ids import NodeId
from clusterd.model.records import FenceRecord
from tests.lab.seen import LabSeen, wait_for

pytestmark = pytest.mark.lab
MakeLab = Callable[..., LabSeen]
N1 = NodeId("n1")


def agent_of(lab: LabSeen) -> FenceAgent:
    return agent_for(FenceRecord("switch", "lab", parameters={"socket": str(lab.record.fence_socket)}))


async def test_off_ends_the_run_and_leaves_later_ones_alone(make_lab: MakeLab) -> None:
    lab = make_lab(node_count=2)
    lab.wait_workloads()
    agent, first = agent_of(lab), lab.node("n1")["run_id"]
    assert (await agent.status(N1, first)).verdict is FenceVerdict.RUNNING
    assert (await agent.off(N1, first)).verdict is FenceVerdict.ENDED
    assert lab.node("n1")["state"] == "killed"
    assert lab.node("n2")["state"] == "running"
    lab.ask("start", node="n1")
    lab.wait_workloads()
    later = lab.node("n1")
    for _ in range(2):
        assert (await agent.off(N1, first)).verdict is FenceVerdict.ENDED
    assert lab.node("n1") == later
    assert (await agent.status(N1, later["run_id"])).verdict is FenceVerdict.RUNNING
    assert (await agent.status(N1, first)).verdict is FenceVerdict.ENDED


async def test_what_the_launcher_never_started_is_unknown(make_lab: MakeLab) -> None:
    agent = agent_of(make_lab())
    assert (await agent.status(N1, "another")).verdict is FenceVerdict.UNKNOWN
    assert (await agent.off(N1, "another")).verdict is FenceVerdict.UNKNOWN
    assert (await agent.status(NodeId("n9"), "another")).verdict is FenceVerdict.UNKNOWN


@pytest.mark.parametrize("cgroups", [True, False], ids=["cgroup", "descent"])
async def test_a_stray_that_others_left_keeps_the_run_going(make_lab: MakeLab, cgroups: bool) -> None:
    lab = make_lab(cgroups=cgroups)
    lab.wait_workloads()
    agent, node = agent_of(lab), lab.node("n1")
    for pid in (node["pid"], node["guard_pid"]):
        os.kill(pid, signal.SIGKILL)
        assert (await agent.status(N1, node["run_id"])).verdict is FenceVerdict.RUNNING
    assert lab.node("n1")["workload_pids"]
    for pid in node["workload_pids"]:
        os.kill(pid, signal.SIGKILL)
    wait_for("the end of the run", lambda: lab.node("n1")["state"] == "killed")
    assert (await agent.status(N1, node["run_id"])).verdict is FenceVerdict.ENDED


async def test_off_works_on_a_frozen_node(make_lab: MakeLab) -> None:
    lab = make_lab()
    lab.wait_workloads()
    run_id = lab.node("n1")["run_id"]
    lab.ask("pause", node="n1", what="node")
    assert (await agent_of(lab).off(N1, run_id)).verdict is FenceVerdict.ENDED


async def test_no_launcher_proves_nothing(lab_root: Path) -> None:
    answer = await LabFenceAgent(lab_root / "fence.sock").status(N1, "any")
    assert answer.verdict is FenceVerdict.UNKNOWN


@pytest.mark.parametrize(
    ("record", "word"),
    [(FenceRecord("a", "ipmi"), "ipmi"), (FenceRecord("a", "lab"), "socket")],
)
def test_a_record_that_no_agent_fits_is_refused(record: FenceRecord, word: str) -> None:
    with pytest.raises(BadInput, match=word):
        agent_for(record)
