"""Does the demo's own content work: its manifest, its script and its server?"""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from clusterd.model.manifest import parse_manifest

DEMO = Path(__file__).parents[2] / "deploy" / "demo"
SERVER = [sys.executable, "-I", "-S", str(DEMO / "server.py")]


def environment(folder: Path) -> dict[str, str]:
    facts = {"CLUSTER": "demo", "NODE": "n1", "GROUP": "web", "RESOURCE": "web-server", "GENERATION": "3"}
    return {**os.environ, "TMPDIR": str(folder), **{f"CLUSTERD_{name}": value for name, value in facts.items()}}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(port: int, path: str) -> bytes:
    until = time.monotonic() + 10
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return bytes(answer.read())
        except OSError:
            if time.monotonic() > until:
                raise


def test_the_manifest_names_what_lies_beside_it() -> None:
    text = (DEMO / "web.yaml").read_text(encoding="utf-8").replace("${MANIFEST_DIR}", str(DEMO))
    [group] = parse_manifest(text).groups
    data, server = group.resources
    assert server.depends_on == "[web-data]"
    assert os.access(str(data.private["script_filepath"]), os.X_OK)
    command = server.private["command"]
    assert isinstance(command, list) and Path(str(command[-2])).is_file()
    assert server.private["ready"] == {"tcp": int(str(command[-1]))}


def test_the_script_prepares_and_checks(tmp_path: Path) -> None:
    def call(entry: str) -> int:
        return subprocess.run([str(DEMO / "prepare"), entry], env=environment(tmp_path), check=False).returncode

    assert call("looks_alive") == 1
    assert call("online") == 0
    assert [call(entry) for entry in ("looks_alive", "is_alive", "offline", "close", "terminate", "open")] == [0] * 6
    assert call("dance") == 3


@pytest.mark.parametrize("planted", ["a link", "a link inside", "a file"])
def test_the_script_writes_nowhere_that_somebody_else_prepared(tmp_path: Path, planted: str) -> None:
    """Its folder's name can be foreseen, and others may write to /tmp."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    base = tmp_path / f"clusterd-demo-{os.getuid()}"
    match planted:
        case "a link":
            base.symlink_to(elsewhere)
        case "a link inside":
            base.mkdir()
            (base / "demo").symlink_to(elsewhere)
        case _:
            base.write_text("")
    command = [str(DEMO / "prepare"), "online"]
    done = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "is no directory of ours: remove it" in done.stderr
    assert not list(elsewhere.iterdir())


def test_the_page_says_node_generation_and_process(tmp_path: Path) -> None:
    subprocess.run([str(DEMO / "prepare"), "online"], env=environment(tmp_path), check=True)
    port = free_port()
    child = subprocess.Popen([*SERVER, str(port)], env=environment(tmp_path), stdout=subprocess.DEVNULL)
    try:
        facts = json.loads(get(port, "/json"))
        assert (facts["node"], facts["generation"], facts["pid"], facts["visits"]) == ("n1", "3", child.pid, 1)
        assert b"<h1>n1</h1>" in get(port, "/")
        assert json.loads(get(port, "/json"))["visits"] == 3
        second = subprocess.run(
            [*SERVER, str(port)], env=environment(tmp_path), capture_output=True, check=False, text=True
        )
        assert second.returncode == 1
        assert f"port {port} cannot be used: Address already in use" in second.stderr
    finally:
        child.kill()
        child.wait()
