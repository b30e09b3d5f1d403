"""What is on a volume, how it is checked, and whether it is the right one; what the machine's tables say."""

import os
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest

from resource_types.physical_disk.file_system import PROBE_BYTES, Volume, checks, id_problem, volume
from resource_types.physical_disk.mounts import Mount, holders, holders_text, parse_mounts
from resource_types.physical_disk.places import places

CLEAN, DIRTY = Volume("ext", "u", True), Volume("ext", "u", False)
NORMAL, EVERYTHING, LOOK, JOURNAL = ("-p",), ("-p", "-f"), ("-n", "-f"), ("-p", "-E", "journal_only")


@pytest.mark.parametrize(
    ("run_check", "found", "options"),
    [
        (0, CLEAN, [NORMAL]),
        (0, DIRTY, [NORMAL]),
        (1, CLEAN, [NORMAL]),
        (1, DIRTY, [EVERYTHING]),
        (2, CLEAN, [EVERYTHING]),
        (2, DIRTY, [EVERYTHING]),
        (3, CLEAN, [LOOK]),
        (3, DIRTY, [JOURNAL, LOOK]),
        (4, CLEAN, []),
        (4, DIRTY, []),
        (5, CLEAN, [LOOK]),
        (5, DIRTY, [JOURNAL, LOOK]),
    ],
)
def test_run_check(run_check: int, found: Volume, options: list[tuple[str, ...]]) -> None:
    planned = checks(run_check, found)
    assert [each.options for each in planned] == options
    assert [each.may_fail for each in planned if each.options == LOOK] == [run_check == 3] * (LOOK in options)
    assert all(each.then == EVERYTHING for each in planned) == (run_check in (0, 4))


def test_other_file_systems_are_not_checked() -> None:
    for run_check in range(6):
        assert checks(run_check, Volume("xfs", "u")) == []


@pytest.mark.skipif(shutil.which("mkfs.ext4") is None, reason="mkfs.ext4 is not installed (Debian: e2fsprogs)")
def test_superblock(tmp_path: Path) -> None:
    image, wanted = tmp_path / "image", str(uuid.uuid4())
    image.write_bytes(b"")
    os.truncate(image, 8 << 20)
    assert volume(image.read_bytes()[:PROBE_BYTES]) == Volume(is_empty=True)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-U", wanted, image], check=True, timeout=30)
    assert volume(image.read_bytes()[:PROBE_BYTES]) == Volume("ext", wanted, True)
    for request, value in (("state", "0"), ("state", "3"), ("feature_incompat", "0x2c6")):
        subprocess.run(
            ["debugfs", "-w", "-R", f"ssv {request} {value}", image], check=True, timeout=30, capture_output=True
        )
        assert volume(image.read_bytes()[:PROBE_BYTES]) == Volume("ext", wanted, False), (request, value)
        subprocess.run(["debugfs", "-w", "-R", "ssv state 1", image], check=True, timeout=30, capture_output=True)


def test_what_is_no_file_system() -> None:
    assert volume(b"\1" * PROBE_BYTES) == Volume()
    assert volume(b"\1" * 100) == Volume()
    assert volume(b"XFSB" + bytes(28) + b"\1" * 16 + bytes(4000)).kind == "xfs"


@pytest.mark.parametrize(
    ("name", "wanted", "marker", "file_system", "device", "words"),
    [
        ("nothing is wanted", "", "m", "f", ["d"], ""),
        ("the written id", "m", "m", "f", ["d"], ""),
        ("the file system's id", "F", "", "f", ["d"], ""),
        ("the device's id", "d", "", "f", ["e", "d"], ""),
        ("a written id overrules", "f", "m", "f", ["d"], "not the volume f: it is m"),
        ("another", "x", "", "f", ["d"], "not the volume x: it is f or d"),
        ("without any", "x", "", "", [], "not the volume x: it is without an id"),
    ],
)
def test_volume_ids(name: str, wanted: str, marker: str, file_system: str, device: list[str], words: str) -> None:
    found = id_problem(wanted, marker=marker, file_system=file_system, device=device)
    assert found == words or (words and words in found), name


def test_mountinfo() -> None:
    text = (
        "36 35 98:0 / /mnt/a\\040b rw,noatime shared:1 - ext4 /dev/loop0 rw,errors=continue\n"
        "37 35 98:1 / /mnt/c rw - ext4 /dev/loop1 ro,emergency_ro\n"
        "garbage\n"
    )
    first, second = parse_mounts(text)
    assert first == Mount("/mnt/a b", "ext4", "/dev/loop0", ("rw", "noatime", "rw", "errors=continue"))
    assert (first.is_read_only, second.is_read_only) == (False, True)


def test_who_sits_there(tmp_path: Path) -> None:
    sleeper = subprocess.Popen(["sleep", "100"], cwd=tmp_path)
    try:
        with open(tmp_path / "file", "w", encoding="utf-8"):
            found = holders(str(tmp_path))
        assert {(each.pid, each.by) for each in found} == {
            (sleeper.pid, "its working folder"),
            (os.getpid(), str(tmp_path / "file")),
        }
        assert f"process {sleeper.pid} (sleep, its working folder)" in holders_text(found)
        assert holders(str(tmp_path), except_pids=[sleeper.pid, os.getpid()]) == []
    finally:
        sleeper.kill()
        sleeper.wait()


def test_places_fit_into_a_socket_address() -> None:
    place = places("c" * 200, "n" * 200, "r" * 200)
    assert len(place.control) < 108
    assert place != places("c" * 200, "n" * 200, "q" * 200)
    assert place.nbd_uri == f"nbd+unix:///?socket={place.folder}/nbd"
