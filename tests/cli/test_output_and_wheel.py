"""Does a command end well where its words cannot be written, no node answers yet, or only a wheel is installed?"""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from served_cluster import TOKEN, Result, Served

from clusterd.cli import session, vm_create

Clusterctl = Callable[..., Result]

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("output", ["table", "json", "yaml"])
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_words_that_cannot_be_encoded_are_written_all_the_same(served: Served, encoding: str, output: str) -> None:
    """After the work was done: a traceback would say that it was not."""
    served.call(lambda cluster: cluster.event("zażółć 🚀 → done"))
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "CLUSTERCTL_TOKEN": TOKEN, "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "clusterd.cli.main", "--endpoint", served.urls[0], "-o", output, "events"]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    # What people read is written as UTF-8 where the locale knows no more than ASCII.
    text = done.stdout.decode("utf-8" if (encoding, output) == ("ascii", "table") else encoding)
    assert "done" in text
    if output == "json":
        assert json.loads(text)["events"][-1]["message"] == "zażółć 🚀 → done"


def test_wait_waits_for_a_node_to_answer(
    served: Served, clusterctl: Clusterctl, environment: pytest.MonkeyPatch
) -> None:
    for number in range(2):
        served.stop_door(number)

    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            served.start_door(0)

    environment.setattr(session.time, "sleep", pause)
    result = clusterctl("wait", "--for", "node n1 up", "--timeout", "30s")
    assert (result.code, result.err, len(pauses)) == (0, "", 2)


def test_wait_says_in_the_end_that_none_answered(served: Served, clusterctl: Clusterctl) -> None:
    for number in range(2):
        served.stop_door(number)
    result = clusterctl("-o", "json", "wait", "--for", "node n1 up", "--timeout", "300ms")
    assert (result.code, result.error["code"]) == (1, "unreachable")


def test_the_console_is_that_of_a_node_that_answers(
    served: Served, clusterctl: Clusterctl, environment: pytest.MonkeyPatch
) -> None:
    for url in served.urls[:1]:
        found = clusterctl("console").out.strip()
        assert found.startswith(f"{url}/#code=")
        assert TOKEN not in found


def test_a_wheel_holds_what_the_commands_need() -> None:
    """And nothing that would stand beside other people's modules."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]
    assert told["packages"] == ["clusterd", "resource_types"]
    ((source, target),) = told["force-include"].items()
    assert {each.name for each in (ROOT / source).iterdir()} >= {"build-tiny.sh", "build-linux.sh", "tiny.asm"}
    assert ROOT / target == vm_create.INSTALLED_GUESTS
