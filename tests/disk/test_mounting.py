"""Mounted disks on a real host: real QEMU, FUSE and loop devices. Needs root."""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterd.wire import host_pb2
from resource_types.physical_disk import mounting, mounts
from resource_types.physical_disk.places import places, root_folder
from tests.disk.conftest import DISKS
from tests.disk.test_resource import DONE, FAILED, call, status
from tests.disk.tgt import Tgt
from tests.reshost.conftest import Bench

pytestmark = pytest.mark.skipif(bool(mounting.missing()), reason=mounting.missing() or "it can")
FIRST, SECOND = DISKS[:2]
SIZE_BYTES = 64 << 20
LATE_WRITE = "import os, sys; f = os.open(sys.argv[1], 65); os.write(f, b'late'); os.fsync(f)"


def image(folder: Path, name: str = "image", *options: str) -> Path:
    path = folder / name
    path.write_bytes(b"")
    os.truncate(path, SIZE_BYTES)
    subprocess.run(["mkfs.ext4", "-q", "-F", *options, path], check=True, timeout=30)
    return path


@pytest.fixture
def disk(tmp_path: Path) -> dict[str, Any]:
    return {"image": str(image(tmp_path)), "mount_point": str(tmp_path / "mnt"), "arb_interval": "1s"}


@pytest.fixture
def unit(tgt: Tgt, tmp_path: Path) -> Iterator[dict[str, Any]]:
    yield {
        "iscsi": {"portal": tgt.portal, "target": tgt.new_unit(), "unit": 1},
        "mount_point": str(tmp_path / "mnt"),
        "format_when_empty": True,
        "arb_interval": "1s",
    }


def run(*words: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(each) for each in words], check=check, timeout=30, capture_output=True, text=True)


@contextlib.contextmanager
def no_sweeping() -> Iterator[None]:
    """No disk of a test beside this one takes away what this one looks at."""
    with open(os.path.join(root_folder(), "starting"), "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def sitting_in(folder: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(["sleep", "1000"], cwd=folder)


async def online(bench: Bench, resource: str, generation: int, properties: dict[str, Any]) -> int:
    """The pid of its session."""
    bench.node.deadlines.pending_timeout_ms = 20_000
    answer = await call(bench, "online", resource, generation, **properties)
    assert answer.outcome == DONE, answer.message
    assert answer.pid > 1
    return answer.pid


async def offline(bench: Bench, resource: str, generation: int) -> None:
    answer = await call(bench, "offline", resource, generation)
    assert answer.outcome == DONE, answer.message


async def test_what_was_written_is_there_for_the_next_owner(bench: Bench, unit: dict[str, Any]) -> None:
    point = Path(unit["mount_point"])
    await online(bench, FIRST, 1, unit)
    (point / "file").write_text("of the first owner")
    seen = await status(bench, FIRST)
    assert seen["mount_point"] == str(point)
    assert seen["volume"]["file_system"]
    await offline(bench, FIRST, 1)
    assert not (point / "file").exists()
    await online(bench, SECOND, 2, unit)
    assert (point / "file").read_text() == "of the first owner"
    assert (await call(bench, "is_alive", SECOND, 2)).health == host_pb2.HEALTH_YES
    await offline(bench, SECOND, 2)


async def test_node_of_its_own_in_the_mount_point(bench: Bench, disk: dict[str, Any], tmp_path: Path) -> None:
    await online(bench, FIRST, 1, {**disk, "mount_point": f"{tmp_path}/{{node}}/data"})
    assert (tmp_path / "n1/data/lost+found").exists()
    await offline(bench, FIRST, 1)


async def test_frozen_owner_is_fenced_under_its_file_system(bench: Bench, unit: dict[str, Any], tmp_path: Path) -> None:
    """What it writes after it thaws stays in its memory; the next owner's files are whole."""
    bench.node.deadlines.looks_alive_interval_ms = bench.node.deadlines.is_alive_interval_ms = 60_000
    old_point, new_point = tmp_path / "old", tmp_path / "new"
    pid = await online(bench, FIRST, 1, {**unit, "mount_point": str(old_point)})
    (old_point / "file").write_text("old")
    run("sync", "-f", old_point)
    os.kill(pid, signal.SIGSTOP)
    await online(bench, SECOND, 2, {**unit, "mount_point": str(new_point)})
    (new_point / "file").write_text("new")
    run("sync", "-f", new_point)
    os.kill(pid, signal.SIGCONT)
    late = run(sys.executable, "-c", LATE_WRITE, old_point / "late", check=False)
    assert late.returncode != 0, "a fenced owner's fsync succeeded"
    await bench.told(host_pb2.RESOURCE_EVENT_KIND_FAILED)
    assert (await call(bench, "terminate", FIRST, 1)).outcome == DONE
    await offline(bench, SECOND, 2)
    await online(bench, SECOND, 3, {**unit, "run_check": 5})
    assert (Path(unit["mount_point"]) / "file").read_text() == "new"
    await offline(bench, SECOND, 3)


async def test_mount_inside_a_mount(bench: Bench, disk: dict[str, Any], tmp_path: Path) -> None:
    inner = {**disk, "image": str(image(tmp_path, "inner")), "mount_point": f"{disk['mount_point']}/inner"}
    await online(bench, FIRST, 1, disk)
    await online(bench, SECOND, 1, inner)
    busy = await call(bench, "offline", FIRST, 1)
    assert busy.outcome == FAILED
    assert f"{inner['mount_point']} is mounted below it; take that offline first" in busy.message
    await offline(bench, SECOND, 1)
    await offline(bench, FIRST, 1)
    await online(bench, SECOND, 1, inner)
    hidden = await call(bench, "online", FIRST, 1, **disk)
    assert hidden.outcome == FAILED
    assert "make its resource depend on this one" in hidden.message
    assert (await call(bench, "terminate", FIRST, 1)).outcome == DONE
    await offline(bench, SECOND, 1)


async def test_busy_mount_names_who_holds_it(bench: Bench, disk: dict[str, Any]) -> None:
    await online(bench, FIRST, 1, disk)
    holder = sitting_in(disk["mount_point"])
    try:
        answer = await call(bench, "offline", FIRST, 1)
        assert answer.outcome == FAILED
        assert f"process {holder.pid} (sleep, its working folder)" in answer.message
    finally:
        holder.kill()
        holder.wait()
    await offline(bench, FIRST, 1)


async def test_terminate_does_not_wait_for_who_holds_it(bench: Bench, disk: dict[str, Any]) -> None:
    await online(bench, FIRST, 1, disk)
    holder = sitting_in(disk["mount_point"])
    try:
        assert (await call(bench, "terminate", FIRST, 1)).outcome == DONE
        assert mounts.mount_at(disk["mount_point"]) is None
    finally:
        holder.kill()
        holder.wait()
    await online(bench, FIRST, 2, disk)
    await offline(bench, FIRST, 2)


@pytest.mark.parametrize("is_asked_first", [True, False])
async def test_what_a_stranger_in_the_mount_wrote_is_on_the_disk(
    bench: Bench, disk: dict[str, Any], is_asked_first: bool
) -> None:
    """It keeps its file open, syncs nothing, and stays: the move goes on without it, and nothing that it wrote is gone."""
    await online(bench, FIRST, 1, disk)
    path = Path(disk["mount_point"]) / "lines"
    with path.open("w") as stranger:
        stranger.write("written before\n")
        stranger.flush()
        if is_asked_first:
            busy = await call(bench, "offline", FIRST, 1)
            assert busy.outcome == FAILED
            assert f"process {os.getpid()}" in busy.message
            stranger.write("written after the refusal\n")
            stranger.flush()
        assert (await call(bench, "terminate", FIRST, 1)).outcome == DONE
    await online(bench, FIRST, 2, disk)
    there = path.read_text().splitlines()
    await offline(bench, FIRST, 2)
    assert there == ["written before", *(["written after the refusal"] if is_asked_first else [])]


async def test_maintenance_that_somebody_in_the_mount_prevents(bench: Bench, disk: dict[str, Any]) -> None:
    """It is as far as it got, and can be taken back."""
    await online(bench, FIRST, 1, disk)
    holder = sitting_in(disk["mount_point"])
    try:
        answer = await bench.control("maintenance", FIRST, b"2")
        assert answer.outcome == FAILED
        assert f"process {holder.pid}" in answer.message
        assert (await status(bench, FIRST))["maintenance"] == 1
    finally:
        holder.kill()
        holder.wait()
    assert await status(bench, FIRST, "maintenance", b"0") == {"maintenance": 0}
    assert len(mounts.loops_of(places("trial", "n1", FIRST).device)) == 1
    await offline(bench, FIRST, 1)


async def test_what_a_killed_run_left_is_taken_away(bench: Bench, disk: dict[str, Any]) -> None:
    """A dead FUSE file, a bound loop device and a mount on it; the host that made them is dead as well."""
    await online(bench, FIRST, 1, disk)
    (Path(disk["mount_point"]) / "file").write_text("x")
    place = places("trial", "n1", FIRST)
    with no_sweeping():
        os.kill(bench.host.started.pid, signal.SIGKILL)
        await bench.node.guard_said("host_ended")
        bench.node.forget()
        assert mounts.loops_of(place.device)
        assert mounts.mount_at(disk["mount_point"]) is not None
    bench.host = await bench.node.start_host()
    await online(bench, FIRST, 2, disk)
    assert len(mounts.loops_of(place.device)) == 1
    await offline(bench, FIRST, 2)


async def test_mount_point_of_somebody_else(bench: Bench, disk: dict[str, Any], tmp_path: Path) -> None:
    os.mkdir(disk["mount_point"])
    run("mount", "-t", "tmpfs", "none", disk["mount_point"])
    try:
        answer = await call(bench, "online", FIRST, 1, **disk)
        assert answer.outcome == FAILED
        assert "is in use: none is mounted there" in answer.message
        assert (await call(bench, "terminate", FIRST, 1)).outcome == DONE
        assert mounts.mount_at(disk["mount_point"]) is not None
    finally:
        run("umount", disk["mount_point"])


async def test_daemon_that_serves_the_file_is_killed(bench: Bench, disk: dict[str, Any]) -> None:
    await online(bench, FIRST, 1, disk)
    words = places("trial", "n1", FIRST).nbd
    pids = run("pgrep", "-f", f"qemu-storage-daemon.*{words}")
    os.kill(int(pids.stdout), signal.SIGKILL)
    await bench.told(host_pb2.RESOURCE_EVENT_KIND_FAILED)
    assert (await call(bench, "terminate", FIRST, 1)).outcome == DONE


async def test_file_system_that_became_read_only(bench: Bench, disk: dict[str, Any]) -> None:
    await online(bench, FIRST, 1, disk)
    run("mount", "-o", "remount,ro", disk["mount_point"])
    answer = await call(bench, "is_alive", FIRST, 1)
    assert answer.health == host_pb2.HEALTH_NO
    assert "became read-only" in answer.message
    assert (await call(bench, "terminate", FIRST, 1)).outcome == DONE


# ---- which volume ----


async def test_volume_by_its_file_system(bench: Bench, disk: dict[str, Any], tmp_path: Path) -> None:
    right, wrong = "11111111-2222-4333-8444-555555555555", "99999999-2222-4333-8444-555555555555"
    disk["image"] = str(image(tmp_path, "other", "-U", right))
    answer = await call(bench, "online", FIRST, 1, **disk, volume_id=wrong)
    assert answer.outcome == FAILED
    assert wrong in answer.message and right in answer.message
    assert (await call(bench, "terminate", FIRST, 1)).outcome == DONE
    await online(bench, FIRST, 2, {**disk, "volume_id": right})
    await offline(bench, FIRST, 2)


async def test_volume_by_what_is_written_on_it(bench: Bench, disk: dict[str, Any]) -> None:
    await online(bench, FIRST, 1, disk)
    assert await status(bench, FIRST, "adopt-volume", b"payroll") == {"volume_id": "payroll"}
    again = await bench.control("adopt-volume", FIRST, b"other")
    assert "has the id payroll already" in again.message
    await offline(bench, FIRST, 1)
    await online(bench, FIRST, 2, {**disk, "volume_id": "payroll"})
    await offline(bench, FIRST, 2)
    answer = await call(bench, "online", FIRST, 3, **disk, volume_id="wages")
    assert "not the volume wages: it is payroll" in answer.message
    assert (await call(bench, "terminate", FIRST, 3)).outcome == DONE


async def test_empty_disk(bench: Bench, disk: dict[str, Any]) -> None:
    Path(disk["image"]).write_bytes(b"")
    os.truncate(disk["image"], SIZE_BYTES)
    answer = await call(bench, "online", FIRST, 1, **disk)
    assert "the disk is empty" in answer.message
    assert (await call(bench, "terminate", FIRST, 1)).outcome == DONE
    await online(bench, FIRST, 2, {**disk, "format_when_empty": True})
    await offline(bench, FIRST, 2)


# ---- damaged file systems ----


def damage(path: str) -> None:
    """A problem that e2fsck repairs only when it looks at everything: wrong counts of free blocks and inodes, and a
    link count that says that the root folder has 9 links."""
    for request in ("sif <2> links_count 9", "ssv state 0"):
        subprocess.run(["debugfs", "-w", "-R", request, path], check=True, capture_output=True, timeout=30)


@pytest.mark.parametrize(
    ("run_check", "comes_online", "is_repaired"),
    [(0, True, True), (1, True, True), (2, True, True), (3, True, False), (4, True, False), (5, False, False)],
)
async def test_damaged_file_system(
    bench: Bench, disk: dict[str, Any], run_check: int, comes_online: bool, is_repaired: bool
) -> None:
    damage(disk["image"])
    bench.node.deadlines.pending_timeout_ms = 20_000
    answer = await call(bench, "online", FIRST, 1, **disk, run_check=run_check)
    assert (answer.outcome == DONE) == comes_online, answer.message
    if comes_online:
        await offline(bench, FIRST, 1)
    else:
        assert "found problems" in answer.message
        assert (await call(bench, "terminate", FIRST, 1)).outcome == DONE
    looked = run("e2fsck", "-n", "-f", disk["image"], check=False)
    assert (looked.returncode == 0) == is_repaired


async def test_maintenance_unmounts_and_mounts(bench: Bench, disk: dict[str, Any]) -> None:
    await online(bench, FIRST, 1, disk)
    for mode, is_mounted, holder in (
        (1, True, True),
        (2, False, True),
        (3, False, False),
        (2, False, True),
        (0, True, True),
    ):
        assert await status(bench, FIRST, "maintenance", str(mode).encode()) == {"maintenance": mode}
        assert (mounts.mount_at(disk["mount_point"]) is not None) == is_mounted, mode
        assert ((await status(bench, FIRST))["holder"] is not None) == holder, mode
        assert (await call(bench, "is_alive", FIRST, 1)).health == host_pb2.HEALTH_YES
    await offline(bench, FIRST, 1)


async def test_what_another_disk_left_is_taken_away_as_well(bench: Bench, disk: dict[str, Any], tmp_path: Path) -> None:
    """It moved to another node when its host died here, and nobody comes back for its mount."""
    other = {**disk, "image": str(image(tmp_path, "other")), "mount_point": f"{tmp_path}/other-mnt"}
    await online(bench, FIRST, 1, disk)
    os.kill(bench.host.started.pid, signal.SIGKILL)
    await bench.node.guard_said("host_ended")
    bench.node.forget()
    bench.host = await bench.node.start_host()
    await online(bench, SECOND, 1, other)
    assert mounts.mount_at(disk["mount_point"]) is None
    assert mounts.loops_of(places("trial", "n1", FIRST).device) == []
    await online(bench, FIRST, 1, disk)
    for resource in (FIRST, SECOND):
        await offline(bench, resource, 1)
