"""A copy of a running node's folder is started as a second set of processes: it is refused, the first hears nothing."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.labs import lab
from clusterd.adapters.configuration import RUN_ID_VARIABLE
from tests.system.test_forgetting import Nodes, _stays, _wait_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]


@contextmanager
def copy_of(folder: Path, ports: dict[str, int]) -> Iterator[Path]:
    """The whole folder of a node elsewhere, with addresses of its own, and its guard and daemon. Yields the new folder."""
    there = folder.with_name("copied")
    shutil.copytree(folder, there, ignore=lambda where, names: [each for each in names if each.endswith(".sock")])
    text = (there / "node.toml").read_text().replace(f"{folder}/", f"{there}/")
    for key, port in ports.items():
        lines = text.splitlines()
        text = "\n".join(f'{key} = "127.0.0.1:{port}"' if line.startswith(f"{key} ") else line for line in lines)
    (there / "node.toml").write_text(text + "\n")
    given = dict(line.split(" = ", 1) for line in text.splitlines() if " = " in line and line[0] != "[")
    run_dir, cluster = given["run_dir"].strip('"'), given["cluster"].strip('"')
    environment = {**os.environ, RUN_ID_VARIABLE: "copied"}
    arguments = ["--run-dir", run_dir, "--cluster", cluster, "--node", "n1", "--run-id", "copied"]
    commands = (
        ("guard", [sys.executable, "-m", "clusterd.main.guard", *arguments, "--stop-budget-ms", "250"]),
        ("daemon", [sys.executable, "-m", "clusterd.main.daemon", "--config", str(there / "node.toml")]),
    )
    started = []
    try:
        for name, command in commands:
            with (there / f"{name}.log").open("wb") as log:
                started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
        yield there
    finally:
        for each in reversed(started):
            each.send_signal(signal.SIGKILL)
            each.wait(10)


def test_the_copy_is_refused_and_the_first_is_not_disturbed() -> None:
    with lab(profile="fast") as running:
        nodes = Nodes(running)
        service = {"name": "s", "type": "generic_service", "properties": {"command": ["sleep", "1000"]}}
        running.apply({"groups": [{"name": "g", "preferred_owners": ["n1"], "resources": [service]}]})
        before = running.group("g")["resources"][0]["pid"]
        with copy_of(nodes.data["n1"].parent, free_ports()) as folder:
            _wait_for(lambda: any("run.refused" in line for line in _log(folder)), "the copy to be refused")
            _wait_for(lambda: "node.doubled" in _events(running), "the timeline to tell it")
            _stays(lambda: nodes.is_quorate("n1") and running.group("g")["resources"][0]["pid"] == before, 5.0)
            assert "n1 runs twice" in json.dumps(nodes.ask("n2", "/v1/status"))
        event = next(each for each in running.ctl("events")["events"] if each["name"] == "node.doubled")
        assert event["node"] == "n1" and event["message"].count("127.0.0.1") == 2
        assert running.group("g")["owner"] == "n1"


def free_ports() -> dict[str, int]:
    found = {}
    for name in ("peer_listen", "api_listen"):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            found[name] = probe.getsockname()[1]
    return found


def _log(folder: Path) -> list[str]:
    return (folder / "daemon.log").read_text().splitlines()


def _events(running: Any) -> list[str]:
    return [each["name"] for each in running.ctl("events")["events"]]
