"""Nothing of a lab survives what should end it, and nothing else is touched."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from clusterd.adapters.link_cuts import LinkCuts
from clusterd.lab.control import LabError, start_launcher
from clusterd.lab.layout import LabRecord
from clusterd.lab.options import LabOptions
from clusterd.lab.processes import process_info
from tests.lab.seen import PROGRAMS, WAIT_MAX_S, LabSeen, wait_for

pytestmark = pytest.mark.lab
MakeLab = Callable[..., LabSeen]

both_ways = pytest.mark.parametrize("cgroups", [True, False], ids=["cgroup", "descent"])


@both_ways
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda each: each.name)
def test_nothing_survives_the_launcher(make_lab: MakeLab, cgroups: bool, number: signal.Signals) -> None:
    lab = make_lab(node_count=2, cgroups=cgroups)
    lab.wait_workloads()
    assert len(lab.seen) == 2 + 2 * 6
    os.kill(lab.record.pid, number)
    wait_for("the end of everything", lambda: not lab.still_alive())


def test_nothing_survives_the_watcher(make_lab: MakeLab) -> None:
    lab = make_lab(cgroups=False)
    lab.wait_workloads()
    os.kill(lab.watcher_pid, signal.SIGKILL)
    wait_for("the end of everything", lambda: not lab.still_alive())


@both_ways
def test_a_killed_node_leaves_no_stray(make_lab: MakeLab, cgroups: bool) -> None:
    lab = make_lab(node_count=2, cgroups=cgroups)
    lab.wait_workloads()
    before, other = lab.node("n1"), lab.node("n2")
    lab.ask("kill", node="n1", what="node")
    pids = [before["pid"], before["guard_pid"], *before["host_pids"], *before["workload_pids"]]
    assert not [pid for pid in pids if (info := process_info(pid)) and info.is_alive]
    after = lab.node("n1")
    assert (after["state"], after["daemon_state"], after["pid"]) == ("killed", "killed", None)
    assert lab.node("n2") == other


@both_ways
def test_a_new_guard_finds_nothing_of_the_old_one(make_lab: MakeLab, cgroups: bool) -> None:
    lab = make_lab(cgroups=cgroups)
    lab.wait_workloads()
    before = lab.node("n1")
    os.kill(before["guard_pid"], signal.SIGKILL)
    wait_for("the end of the guard", lambda: lab.node("n1")["guard_state"] == "killed")
    between = lab.node("n1")
    assert (between["state"], between["pid"], between["guard_pid"]) == ("running", before["pid"], None)
    lab.ask("start", node="n1")
    assert not [pid for pid in before["workload_pids"] if (info := process_info(pid)) and info.is_alive]
    lab.wait_workloads()
    assert lab.node("n1")["run_id"] == before["run_id"]


def test_a_killed_daemon_is_started_again_in_the_same_run(make_lab: MakeLab) -> None:
    lab = make_lab()
    lab.wait_workloads()
    before = lab.node("n1")
    lab.ask("kill", node="n1", what="daemon")
    between = lab.node("n1")
    assert (between["state"], between["daemon_state"], between["guard_pid"]) == (
        "running",
        "killed",
        before["guard_pid"],
    )
    lab.ask("start", node="n1")
    after = lab.node("n1")
    assert after["run_id"] == before["run_id"] and after["pid"] != before["pid"]
    assert after["workload_pids"] == before["workload_pids"]


def test_a_stopped_node_starts_as_a_new_run(make_lab: MakeLab) -> None:
    lab = make_lab()
    lab.wait_workloads()
    before = lab.node("n1")
    lab.ask("stop", node="n1")
    lab.note_processes()
    stopped = lab.node("n1")
    assert (stopped["state"], stopped["daemon_state"], stopped["workload_pids"]) == ("stopped", "stopped", [])
    lab.ask("start", node="n1")
    assert lab.node("n1")["state"] == "running"
    assert lab.node("n1")["run_id"] != before["run_id"]


def test_a_killed_host_takes_nothing_else_with_it(make_lab: MakeLab) -> None:
    lab = make_lab()
    lab.wait_workloads()
    before = lab.node("n1")
    lab.ask("kill", node="n1", what="host")
    wait_for("no host", lambda: not lab.node("n1")["host_pids"])
    after = lab.node("n1")
    assert (after["pid"], after["guard_pid"]) == (before["pid"], before["guard_pid"])


@pytest.mark.parametrize("what", ["node", "daemon", "guard", "host"])
def test_pause_and_resume(make_lab: MakeLab, what: str) -> None:
    lab = make_lab()
    lab.wait_workloads()
    node = lab.node("n1")
    parts = {"daemon": [node["pid"]], "guard": [node["guard_pid"]], "host": node["host_pids"]}
    everything = [*parts["daemon"], *parts["guard"], *parts["host"], *node["workload_pids"]]

    def stopped() -> set[int]:
        return {pid for pid in everything if (info := process_info(pid)) and info.is_stopped}

    expected = set(parts.get(what, everything))
    lab.ask("pause", node="n1", what=what)
    wait_for("the pause", lambda: stopped() == expected)
    shown = lab.node("n1")
    assert shown["state"] == ("paused" if what == "node" else "running")
    assert shown["daemon_state"] == ("paused" if what in ("node", "daemon") else "running")
    lab.ask("resume", node="n1", what=what)
    wait_for("the resumption", lambda: not stopped())
    assert lab.node("n1")["state"] == "running"


def test_a_paused_node_can_be_killed_and_stopped(make_lab: MakeLab) -> None:
    lab = make_lab(node_count=2)
    lab.wait_workloads()
    for name in ("n1", "n2"):
        lab.ask("pause", node=name, what="node")
    lab.ask("kill", node="n1", what="node")
    lab.ask("stop", node="n2")
    assert [each["state"] for each in lab.ask("status")["nodes"]] == ["killed", "stopped"]


def test_a_lab_in_the_foreground_ends_with_its_terminal(lab_root: Path) -> None:
    record, watcher = start_launcher(LabOptions(name="t", node_count=1, is_attached=True, programs=PROGRAMS))
    lab = LabSeen(record, watcher.pid)
    lab.wait_workloads()
    watcher.communicate(timeout=WAIT_MAX_S)
    assert not lab.still_alive()


def test_two_labs_at_once(make_lab: MakeLab) -> None:
    first, second = make_lab("one"), make_lab("two")
    assert first.record.nodes[0].api != second.record.nodes[0].api
    first.ask("kill", node="n1", what="node")
    assert second.node("n1")["state"] == "running"


def test_a_name_has_one_launcher(make_lab: MakeLab) -> None:
    make_lab("one")
    with pytest.raises(LabError, match="is running") as caught:
        start_launcher(LabOptions(name="one", node_count=1, programs=PROGRAMS))
    assert caught.value.code == "refused"


def test_a_daemon_that_cannot_start_is_reported_with_its_last_words(make_lab: MakeLab) -> None:
    guard = PROGRAMS.guard
    broken = type(PROGRAMS)(guard=guard, daemon=("/bin/sh", "-c", "echo the disk is on fire; exit 3"), host_mark="x")
    with pytest.raises(LabError, match=r"daemon of n1 ended with status 3.*the disk is on fire"):
        make_lab(programs=broken)


def test_a_command_that_does_not_exist_is_reported(make_lab: MakeLab) -> None:
    broken = type(PROGRAMS)(guard=PROGRAMS.guard, daemon=("/no/such/daemon",), host_mark="x")
    with pytest.raises(LabError, match="No such file"):
        make_lab(programs=broken)


def test_links_are_cut_and_mended(make_lab: MakeLab) -> None:
    lab = make_lab(node_count=2)
    before = lab.node("n2")["pid"]

    def seen(record: LabRecord, index: int) -> LinkCuts:
        return LinkCuts.load(Path(record.nodes[index].data_dir) / "links.seen")

    lab.ask("cut", **{"from": "n1", "to": "n2", "one_way": True})
    wait_for("n1 to know", lambda: seen(lab.record, 0) == LinkCuts(drop_to=("n2",)))
    wait_for("n2 to know", lambda: seen(lab.record, 1) == LinkCuts(drop_from=("n1",)))
    lab.ask("isolate", node="n2")
    wait_for("n2 to know", lambda: seen(lab.record, 1) == LinkCuts(("n1",), ("n1",)))
    lab.ask("heal", nodes=["n2", "n1"])
    wait_for("n2 to know", lambda: seen(lab.record, 1) == LinkCuts())
    assert lab.node("n2")["pid"] == before
