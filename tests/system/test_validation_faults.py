"""Does validation find what is wrong with real nodes, and leave alone what runs on them?

n2 has no QEMU. n3 does not see the shared folder, its clock is two minutes ahead, and it runs another version.
"""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.labs import Lab, lab
from tests.system.guests import MISSING, Guests, guest

NEEDED = [] if shutil.which("unshare") and os.geteuid() == 0 else ["root and unshare"]
pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(180),
    pytest.mark.skipif(bool(MISSING + NEEDED), reason=f"not there: {', '.join(MISSING + NEEDED)}"),
]

OTHER_NODE = """
import importlib.metadata
import time

time_ns, version = time.time_ns, importlib.metadata.version
time.time_ns = lambda: time_ns() + 120_000_000_000
importlib.metadata.version = lambda package: "9.9" if package == "clusterd" else version(package)
"""
"""Python reads it before anything else, in every process of n3's daemon."""


@pytest.fixture
def guests() -> Iterator[Guests]:
    with tempfile.TemporaryDirectory(prefix="gs-", dir="/tmp") as folder, Guests(Path(folder)) as found:
        yield found


@pytest.fixture
def running(guests: Guests, tmp_path: Path) -> Iterator[Lab]:
    """The guest's disk and definition are in the shared folder."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "sitecustomize.py").write_text(OTHER_NODE)
    (tmp_path / "n2-path").mkdir()
    for place in ("/usr/local/bin", "/usr/sbin", "/usr/bin"):
        for path in Path(place).iterdir():
            if not path.name.startswith("qemu") and not (tmp_path / "n2-path" / path.name).exists():
                (tmp_path / "n2-path" / path.name).symlink_to(path)
    script = tmp_path / "as-node"
    script.write_text(_as_node(guests.folder, tmp_path))
    node = ["/bin/sh", str(script), "{node}", sys.executable, "-m"]
    run = ["--run-dir", "{run_dir}", "--cluster", "{cluster}", "--node", "{node}", "--run-id", "{run_id}"]
    programs = {
        "guard": [*node, "clusterd.main.guard", *run],
        "daemon": [*node, "clusterd.main.daemon", "--config", "{configuration}"],
    }
    (tmp_path / "programs.json").write_text(json.dumps(programs))
    with lab(profile="fast", more=["--programs", str(tmp_path / "programs.json")]) as made:
        yield made


def _as_node(shared: Path, folder: Path) -> str:
    return f"""
node=$1; shift
case $node in
n2) PATH={folder}/n2-path; export PATH ;;
n3) PYTHONPATH={folder}/other${{PYTHONPATH:+:$PYTHONPATH}}; export PYTHONPATH
    exec unshare --mount sh -c 'mount -t tmpfs none {shared} && exec "$@"' sh "$@" ;;
esac
exec "$@"
"""


def test_every_fault_is_found_and_nothing_is_disturbed(running: Lab, guests: Guests) -> None:
    image = guests.image("shop")
    shutil.copy(guests.folder / "tiny.img", image)
    os.truncate(image, 1 << 20)
    running.apply({"groups": [guests.group("shop", disk={"image": str(image)}, preferred_owners=["n1"])]})
    before = guests.goes_on("shop")
    process = guest(running, "shop")["pid"]
    generation = running.group("shop")["generation"]

    report = running.ctl("validate", check=False)

    assert report["outcome"] == "not-approved"
    assert _failed(report, "hypervisor") == ["n2"]
    assert _failed(report, "disks-reachable") == ["shop-disk from n3"]
    (definition,) = _found(report, "definitions", "failure")
    assert definition["about"] == "shop-configuration"
    assert "n2 cannot own it: it has no QEMU" in definition["saw"]
    assert "is not to be had on n3" in definition["saw"]
    assert set(_failed(report, "clock-offsets")) == {"n1 → n3", "n2 → n3", "n3 → n1", "n3 → n2"}
    assert [each["about"] for each in _found(report, "same-version", "warning")] == ["n3"]
    assert all(each["advice"] for test in report["tests"] for each in test["findings"] if _is_wrong(each))
    for name in ("reservations", "communication", "same-kernel", "groups-well"):
        assert _found(report, name, "failure") == [], name

    after = guests.goes_on("shop")
    assert (after.nonce, after.boots) == (before.nonce, before.boots)
    assert guest(running, "shop")["pid"] == process
    assert running.group("shop")["generation"] == generation
    assert guests.breaches() == []


def _found(report: dict[str, Any], test: str, verdict: str) -> list[dict[str, Any]]:
    (found,) = [each for each in report["tests"] if each["name"] == test]
    return [each for each in found["findings"] if each["verdict"] == verdict]


def _failed(report: dict[str, Any], test: str) -> list[str]:
    return [each["about"] for each in _found(report, test, "failure")]


def _is_wrong(finding: dict[str, Any]) -> bool:
    return finding["verdict"] in ("warning", "failure")
