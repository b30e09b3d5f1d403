"""`clusterctl lab`: the exact shapes and exit codes that scripts rely on."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from clusterd.lab.commands import lab
from clusterd.lab.layout import MACHINES_MARK, MACHINES_NAME, find_lab
from clusterd.lab.locks import lock
from clusterd.lab.removal import remove_lab, sweep
from clusterd.model.errors import Refused
from tests.lab.seen import PROGRAMS, LabSeen

pytestmark = pytest.mark.lab


def call(*arguments: str, output: str = "json", name: str = "t") -> Result:
    return CliRunner().invoke(lab, list(arguments), obj={"lab": name, "output": output})


def test_status_has_the_agreed_shape(make_lab: Callable[..., LabSeen]) -> None:
    make_lab(node_count=2).wait_workloads()
    shown: dict[str, Any] = json.loads(call("status").stdout)
    assert {"schema", "name", "dir", "profile", "fence", "nodes"} <= set(shown)
    assert (shown["schema"], shown["name"], shown["profile"], shown["fence"]) == (1, "t", "default", True)
    node = shown["nodes"][0]
    agreed = "name state daemon_state pid guard_pid host_pids workload_pids api peer netns data_dir"
    assert set(agreed.split()) <= set(node)
    assert node["api"].startswith("http://127.0.0.1:") and node["peer"].startswith("127.0.0.1:")
    assert node["netns"] is None


def test_up_reuse_refuse_down(lab_root: Path, tmp_path: Path) -> None:
    programs = tmp_path / "programs.json"
    programs.write_bytes(msgspec.json.encode(PROGRAMS))
    up = ("up", "--nodes", "1", "--programs", str(programs))
    try:
        first = call(*up)
        assert first.exit_code == 0, first.output
        pid = json.loads(call("list").stdout)["labs"][0]["pid"]
        assert call("up").exit_code == 0
        assert json.loads(call("list").stdout)["labs"][0]["pid"] == pid
        refused = call("up", "--nodes", "2")
        assert refused.exit_code == 3
        assert json.loads(refused.stderr)["error"]["code"] == "refused"
        assert call("kill", "n1").exit_code == 0
        assert json.loads(call("status").stdout)["nodes"][0]["state"] == "killed"
    finally:
        assert call("down").exit_code == 0
    assert json.loads(call("list").stdout)["labs"][0]["state"] == "stopped"
    assert json.loads(call("status").stdout)["nodes"][0]["state"] == "stopped"
    assert call("down").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "name", "exit_code", "code"),
    [
        (["kill", "n9"], "t", 3, "not-found"),
        (["cut", "n1", "n1"], "t", 64, "bad-input"),
        (["kill", "n1"], "nowhere", 3, "not-found"),
        (["kill", "n1"], "../t", 64, "bad-input"),
    ],
)
def test_errors(make_lab: Callable[..., LabSeen], arguments: list[str], name: str, exit_code: int, code: str) -> None:
    make_lab()
    result = call(*arguments, name=name)
    assert result.exit_code == exit_code
    error = json.loads(result.stderr)["error"]
    assert error["code"] == code and error["message"] and error["hint"]
    assert error["retryable"] is False
    plain = call(*arguments, name=name, output="table")
    assert plain.exit_code == exit_code and plain.stderr.startswith("error: ")


def test_orders_to_a_lab_that_ended(make_lab: Callable[..., LabSeen]) -> None:
    make_lab()
    assert call("down").exit_code == 0
    result = call("kill", "n1")
    assert result.exit_code == 1
    assert json.loads(result.stderr)["error"]["code"] == "unreachable"


def test_down_deletes_a_lab_for_good(lab_root: Path, tmp_path: Path) -> None:
    programs = tmp_path / "programs.json"
    programs.write_bytes(msgspec.json.encode(PROGRAMS))
    folder = tmp_path / "elsewhere"
    up = ("up", "--nodes", "1", "--dir", str(folder), "--programs", str(programs))
    assert call(*up).exit_code == 0
    record = find_lab("t")
    machines = folder / MACHINES_NAME
    machines.mkdir()
    for each in (MACHINES_MARK, "tiny1.toml"):
        (machines / each).touch()
    with pytest.raises(Refused):
        remove_lab(record)
    gone = call("down", "--delete")
    assert (gone.exit_code, json.loads(gone.stdout)["state"]) == (0, "deleted")
    assert not folder.exists()
    assert [each.name for each in lab_root.iterdir() if each.name.startswith("t")] == []
    assert json.loads(call("list").stdout)["labs"] == []
    assert call("down", "--delete").exit_code == 0
    assert call(*up).exit_code == 0
    assert call("down", "--delete").exit_code == 0


def test_locks_and_logs_of_labs_that_are_no_more_are_swept(tmp_path: Path) -> None:
    for name in ("old", "young", "held", "there"):
        for suffix in ("lock", "log"):
            (tmp_path / f"{name}.{suffix}").touch()
    for name in ("old", "held", "there"):
        os.utime(tmp_path / f"{name}.lock", (0, 0))
    (tmp_path / "there").mkdir()
    held = lock(tmp_path / "held.lock")
    assert held is not None
    sweep(tmp_path)
    os.close(held)
    left = sorted(each.name for each in tmp_path.iterdir())
    assert left == ["held.lock", "held.log", "there", "there.lock", "there.log", "young.lock", "young.log"]
