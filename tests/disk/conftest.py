"""A target, a host, and the proof that a test leaves no process, mount, loop device or target behind."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from resource_types.physical_disk import mounts
from resource_types.physical_disk.places import places
from tests.disk import tgt as tgt_part
from tests.disk.tgt import Tgt
from tests.reshost.conftest import bench

__all__ = ["bench"]
DISKS = tuple(f"disk-{number}-{os.getpid()}" for number in range(4))
"""Resources that no other test process on this machine has."""


@pytest.fixture(scope="session")
def tgt() -> Iterator[Tgt]:
    if reason := tgt_part.missing():
        pytest.skip(reason)
    folder = tgt_part.new_folder()
    target = Tgt(folder)
    target.start()
    try:
        yield target
    finally:
        target.stop()
        shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def leaves_nothing(tmp_path: Path) -> Iterator[None]:
    own = [str(tmp_path), *(places("trial", "n1", name).folder for name in DISKS)]
    yield
    left = [each for each in _everything() if any(folder in each for folder in own)]
    left += [folder for folder in own[1:] if os.path.exists(folder)]
    _take_away(own)  # so that one test's mess is not told of all that follow
    for folder in own[1:]:
        shutil.rmtree(folder, ignore_errors=True)
    assert left == [], "the test left something behind"


def _take_away(folders: list[str]) -> None:
    for each in reversed(list(mounts.mounts())):
        if any(folder in f"{each.point} {each.source}" for folder in folders):
            subprocess.run(["umount", "-l", each.point], check=False)
    for name in os.listdir("/sys/block"):
        backing = mounts.backing_of(name) if name.startswith("loop") else ""
        if backing and any(folder in backing for folder in folders):
            subprocess.run(["losetup", "-d", f"/dev/{name}"], check=False)
    for each in reversed(list(mounts.mounts())):
        if any(folder in each.point for folder in folders):
            subprocess.run(["umount", "-l", each.point], check=False)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mounts and loop devices belong to the whole machine: these tests run one after the other, with the labs."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.lab)


def _everything() -> Iterator[str]:
    """Every mount, bound loop device and process of this machine."""
    for each in mounts.mounts():
        yield f"mount {each.point} of {each.source}"
    for name in os.listdir("/sys/block"):
        if name.startswith("loop") and (backing := mounts.backing_of(name)):
            yield f"/dev/{name} on {backing}"
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            yield f"process {entry}: {_words(entry)}"


def _words(pid: str) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
