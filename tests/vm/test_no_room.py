"""For which errors of a disk does QEMU let a guest stand still? A real QEMU, a guest of one sector, its errors."""

import errno
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from resource_types.machine_definition.definition import Bus, Disk
from resource_types.virtual_machine.command_line import _disk_device
from resource_types.virtual_machine.concerns import Topic
from resource_types.virtual_machine.guest_watch import GuestWatch
from tests.vm.conftest import needs_qemu

pytestmark = needs_qemu
WITHIN_S = 30
# It writes one sector of its disk through the firmware (INT 13h, AH=03h), then stands still.
WRITES_A_SECTOR = bytes.fromhex("b80103bb007cb90200ba8000cd13f4ebfd")


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="nr-", dir="/tmp") as name:
        Path(name, "image").write_bytes(WRITES_A_SECTOR.ljust(510, b"\0") + b"\x55\xaa" + bytes(1 << 20))
        yield Path(name)


def error_told(folder: Path, number: int) -> dict[str, Any]:
    """What QEMU says of a write that failed with `number`, for a disk as our machines have it."""
    inject = [{"event": "write_aio", "errno": number, "iotype": "write"}]
    file = {"driver": "file", "filename": str(folder / "image")}
    block = {
        "driver": "raw",
        "node-name": "disk-d",
        "file": {"driver": "blkdebug", "image": file, "inject-error": inject},
    }
    device = _disk_device(Disk("d", path=str(folder / "image"), bus=Bus.VIRTIO), 0)
    words = ["-machine", "pc,accel=tcg", "-display", "none", "-nodefaults", "-S", "-qmp", "stdio"]
    command = ["qemu-system-x86_64", *words, "-blockdev", json.dumps(block), "-device", device]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None and child.stdout is not None
        try:
            for order in ("qmp_capabilities", "cont"):
                child.stdin.write(json.dumps({"execute": order}).encode() + b"\n")
            child.stdin.flush()
            until = time.monotonic() + WITHIN_S
            for line in child.stdout:
                said = json.loads(line)
                if said.get("event") == "BLOCK_IO_ERROR":
                    return dict(said["data"])
                assert time.monotonic() < until
        finally:
            child.kill()
    raise AssertionError("QEMU ended without a word")


def test_a_full_storage_lets_the_guest_stand_still(folder: Path) -> None:
    said, watch = error_told(folder, errno.ENOSPC), GuestWatch()
    assert (said["action"], said["nospace"]) == ("stop", True)
    watch.take("BLOCK_IO_ERROR", said, 0)
    assert "goes on when there is some" in watch.concerns.of(Topic.NO_ROOM) and not watch.io_error


def test_a_used_up_quota_does_not_and_what_helps_is_told(folder: Path) -> None:
    """QEMU (7.2) waits for ENOSPC and nothing else, unless it is to wait for every error: then a broken disk would hang the
    guest instead of telling it. So the guest has its error, and the person is told what does not have this."""
    said, watch = error_told(folder, errno.EDQUOT), GuestWatch()
    assert (said["action"], said["nospace"]) == ("report", False)
    watch.take("BLOCK_IO_ERROR", said, 0)
    assert "Disk quota exceeded" in watch.io_error and "raise the quota" in watch.io_error
    assert not watch.concerns.of(Topic.NO_ROOM)


def test_any_other_error_is_told_as_it_is(folder: Path) -> None:
    said, watch = error_told(folder, errno.EIO), GuestWatch()
    watch.take("BLOCK_IO_ERROR", said, 0)
    assert said["action"] == "report" and watch.io_error == "disk d: a write failed: Input/output error"
