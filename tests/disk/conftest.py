"""A target, a host, and the proof that a test leaves no process, mount, loop device or target behind."""

import os
import shutil
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
    for folder in own[1:]:
        shutil.rmtree(folder, ignore_errors=True)
    assert left == [], "the test left something behind"


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
