"""A lab that ends, or dies, leaves no mount and no loop device behind, and touches nobody else's."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.labs import Lab, lab
from clusterd.lab.leftovers import disk_folder, mounts, parse_mounts, take_away
from resource_types.physical_disk import mounting

pytestmark = [pytest.mark.lab]
needs_mounts = pytest.mark.skipif(bool(mounting.missing()), reason=mounting.missing() or "everything is here")


def test_mounts_as_the_kernel_lists_them() -> None:
    text = (
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        "90 22 7:0 / /tmp/a\\040b rw - ext4 /dev/loop0 rw,errors=continue\n"
        "half a line\n"
    )
    assert parse_mounts(text) == [("/", "/dev/sda1"), ("/tmp/a b", "/dev/loop0")]


def test_nothing_is_there_to_take_away(tmp_path: Path) -> None:
    before = mounts()
    take_away(tmp_path)
    assert mounts() == before


@needs_mounts
@pytest.mark.parametrize("how", ["down", "launcher killed"])
def test_a_mounted_disk_goes_with_its_lab(tmp_path: Path, how: str) -> None:
    with lab(nodes=1, profile="fast") as running:
        point = _mounted(running, tmp_path)
        status = running.ctl("lab", "status")
        folder = Path(status["dir"])
        assert _left(folder, point) != []
        if how == "down":
            running.ctl("lab", "down")
            assert _left(folder, point) == []
        else:
            os.kill(status["pid"], signal.SIGKILL)
            _until(lambda: _left(folder, point) == [], "the watcher takes everything away")
        assert list(point.iterdir()) == []


@needs_mounts
def test_a_new_lab_takes_away_what_a_dead_one_left(tmp_path: Path) -> None:
    with lab(nodes=1, profile="fast") as running:
        point = _mounted(running, tmp_path)
        status = running.ctl("lab", "status")
        folder, launcher = Path(status["dir"]), int(status["pid"])
        watcher = int(Path(f"/proc/{launcher}/stat").read_text().rpartition(")")[2].split()[1])
        for pid in (watcher, launcher):
            os.kill(pid, signal.SIGKILL)
        _until(lambda: running.ctl("lab", "status")["state"] == "stopped", "the lab is dead")
        assert _left(folder, point) != [], "nobody was there to take it away"
        running.ctl("lab", "up", "--nodes", "1")
        assert _left(folder, point) == []


def test_sockets_of_a_disk_and_of_a_killed_lab(tmp_path: Path) -> None:
    """An end in good order takes them away with the disk; what a killed node left goes with its lab."""
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(1 << 20))
    disk = {"name": "data", "type": "physical_disk", "properties": {"image": str(image)}}
    with lab(nodes=1) as running:
        folder = Path(running.ctl("lab", "status")["dir"])
        run_base = Path(json.loads((folder / "lab.json").read_text())["run_base"])
        running.apply({"groups": [{"name": "data", "resources": [disk]}]})
        assert len(_sockets(run_base)) == 2
        running.ctl("group", "offline", "data")
        assert _sockets(run_base) == []
        running.ctl("group", "online", "data")
        running.ctl("lab", "kill", "n1")
        assert len(_sockets(run_base)) == 2
        running.ctl("lab", "down")
        assert not disk_folder(run_base).exists()


def _sockets(run_base: Path) -> list[Path]:
    return sorted(disk_folder(run_base).glob("*/*"))


def _mounted(running: Lab, folder: Path) -> Path:
    """The mount point of a disk that is online."""
    image, point = folder / "disk.img", folder / "point"
    with image.open("wb") as file:
        file.truncate(16 << 20)
    properties = {"image": str(image), "mount_point": str(point), "format_when_empty": True}
    disk = {"name": "data", "type": "physical_disk", "properties": properties}
    running.apply({"groups": [{"name": "data", "resources": [disk]}]})
    (point / "file").write_text("x")
    return point


def _left(lab_folder: Path, point: Path) -> list[str]:
    below = f"{disk_folder(lab_folder)}/"
    found = [each.point for each in mounts() if each.point == str(point) or each.point.startswith(below)]
    for each in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            backing = each.read_text()
        except OSError:
            continue
        if backing.startswith(below):
            found.append(backing.strip())
    return found


def _until(is_true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 20
    while not is_true():
        assert time.monotonic() < end, what
        time.sleep(0.02)
