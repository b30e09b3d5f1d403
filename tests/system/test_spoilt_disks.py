"""What does a real cluster do while the disk of a node is full, slow or frozen with it, and is it told?"""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.labs import Lab, lab

pytestmark = [pytest.mark.lab]

WITHIN_S = 20.0


def test_a_full_disk_of_the_leader_ends_nothing_and_is_told_once() -> None:
    with lab() as running:
        running.apply({"groups": [_sleeper("web")]})
        before = running.group("web")
        owner = before["owner"]
        _until(lambda: _lead(running, owner), "the owner leads")
        running.ctl("lab", "fill-disk", owner)
        running.ctl("node", "set", owner, "description=written while it is full")
        _until(lambda: running.ctl("quorum", "show")["leader"] not in (None, owner), "another one leads")
        running.ctl("node", "set", owner, "description=kept")
        _until(lambda: "disk-full" in _node(running, owner)["status"], "status says it")
        time.sleep(4.0)  # longer than a run lease
        held = running.group("web")
        assert (held["state"], held["owner"], held["generation"]) == ("online", owner, before["generation"])
        assert _told(running, "disk.filled") == [owner]
        waited = running.ctl("wait", "--for", "cluster healthy", "--timeout", "1s", check=False)
        assert "disk-full" in waited["conditions"][0]["now"]
        running.ctl("lab", "heal")
        running.ctl("wait", "--for", "cluster healthy")
        assert _told(running, "disk.recovered") == [owner]
        assert running.group("web")["resources"][0]["pid"] == before["resources"][0]["pid"]
        assert [each["data_dir"] for each in running.ctl("lab", "status")["nodes"] if each["state"] != "running"] == []


def test_a_failed_sync_ends_the_daemon_and_the_others_know_why() -> None:
    with lab() as running:
        running.apply({"groups": [_sleeper("web")]})
        owner = running.group("web")["owner"]
        running.ctl("lab", "break-disk", owner)
        running.ctl("node", "set", owner, "description=written while it fails")
        _until(lambda: _told(running, "disk.failed") == [owner], "the timeline says it")
        _until(lambda: running.group("web")["owner"] not in (owner, None), "another node has it")
        shown = _node(running, owner)
        assert "disk-failed" in shown["status"] and "EIO" in shown["because"]
        running.ctl("lab", "heal")
        running.ctl("lab", "start", owner)
        running.ctl("wait", "--for", f"node {owner} up")
        running.ctl("wait", "--for", "cluster healthy")
        assert _told(running, "disk.recovered") == [owner]


def test_a_slow_disk_is_named_with_its_figure_until_it_is_quick_again() -> None:
    with lab() as running:
        running.ctl("lab", "slow-disk", "n1", "900")
        running.ctl("node", "set", "n1", "description=x")
        _until(lambda: "disk-slow" in _node(running, "n1")["status"], "status says it")
        assert _node(running, "n1")["disk"]["took_ms"] >= 900
        _until(lambda: _told(running, "disk.slowed") == ["n1"], "the timeline says it")
        running.ctl("lab", "heal")
        _until(lambda: _told(running, "disk.recovered") == ["n1"], "it is quick again", within_s=40.0)
        running.ctl("wait", "--for", "cluster healthy")


def test_a_frozen_node_is_taken_over_and_thaws() -> None:
    with lab(has_fence=False) as running:
        running.apply({"groups": [_sleeper("web")]})
        owner = running.group("web")["owner"]
        running.ctl("lab", "freeze", owner)
        states = {each["name"]: each["state"] for each in running.ctl("lab", "status")["nodes"]}
        assert states[owner] == "paused"
        _until(lambda: running.group("web")["owner"] not in (owner, None), "another node has it")
        running.ctl("lab", "thaw", owner)
        running.ctl("wait", "--for", f"node {owner} up")
        running.ctl("wait", "--for", "group web online")
        assert running.group("web")["owner"] != owner


def test_a_data_folder_on_a_really_full_file_system(tmp_path: Path) -> None:
    with lab() as running:
        running.apply({"groups": [_sleeper("web")]})
        data = Path(next(each["data_dir"] for each in running.ctl("lab", "status")["nodes"] if each["name"] == "n2"))
        running.ctl("lab", "stop", "n2")
        kept = tmp_path / "kept"
        subprocess.run(["cp", "-a", str(data), str(kept)], check=True)
        if subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "small", str(data)], check=False
        ).returncode:
            pytest.skip("mounting a small file system needs root")
        try:
            subprocess.run(["cp", "-a", f"{kept}/.", str(data)], check=True)
            running.ctl("lab", "start", "n2")
            running.ctl("wait", "--for", "node n2 up")
            ballast = data / "ballast"
            with pytest.raises(OSError), ballast.open("wb", buffering=0) as file:
                while file.write(b"b" * 4096):
                    pass
            for number in range(60):
                running.ctl("node", "set", "n3", f"description={'d' * 200}{number}")
                if "disk-full" in _node(running, "n2")["status"]:
                    break
            _until(lambda: "disk-full" in _node(running, "n2")["status"], "status says it")
            assert running.ctl("wait", "--for", "node n2 up", "--timeout", "1s")["reached"] is True
            ballast.unlink()
            running.ctl("wait", "--for", "cluster healthy")
            running.ctl("lab", "kill", "n2")
        finally:
            subprocess.run(["umount", "-l", str(data)], check=True)


def _sleeper(name: str) -> dict[str, Any]:
    resource = {"name": f"{name}-r", "type": "generic_service", "properties": {"command": ["sleep", "100000"]}}
    return {"name": name, "preferred_owners": ["n1"], "resources": [resource]}


def _lead(running: Lab, node: str) -> bool:
    """Have `node` lead: whoever leads instead has its daemon restarted."""
    leader = running.ctl("quorum", "show")["leader"]
    if leader in (None, node):
        return bool(leader)
    running.ctl("lab", "stop", leader)
    running.ctl("lab", "start", leader)
    running.ctl("wait", "--for", f"node {leader} up")
    return False


def _node(running: Lab, name: str) -> dict[str, Any]:
    found: dict[str, Any] = running.ctl("node", "show", name)["nodes"][0]
    return found


def _told(running: Lab, event: str) -> list[str]:
    return [each["node"] for each in running.ctl("events")["events"] if each["name"] == event]


def _until(is_true: Callable[[], bool], what: str, within_s: float = WITHIN_S) -> None:
    until = time.monotonic() + within_s
    while not is_true():
        assert time.monotonic() < until, f"not within {within_s} s: {what}"
        time.sleep(0.05)
