"""What does a node say of the definitions that it has? QEMU's locks are the kernel's own here; no QEMU is needed."""

import fcntl
import json
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from clusterd.resource_api import UnknownControl
from resource_types.machine_definition.examination import DEFINITIONS_MAX
from resource_types.machine_definition.volumes import MARKER
from resource_types.virtual_machine_configuration import VirtualMachineConfiguration

SET_OPEN_FILE_LOCK = 37


def examined(**asked: Any) -> list[dict[str, Any]]:
    body = json.dumps(asked).encode()
    answer = json.loads(VirtualMachineConfiguration.examine("definitions", body))
    assert answer["machine"]
    found: list[dict[str, Any]] = answer["definitions"]
    return found


def write(folder: Path, name: str = "shop", more: str = "", image: str = "disk.img") -> Path:
    (folder / "disk.img").write_bytes(bytes(512))
    path = folder / f"{name}.toml"
    path.write_text(f'memory_mib = 64\n{more}\n[[disks]]\nid = "system"\npath = "{folder / image}"\n')
    return path


def test_a_definition_with_its_files(tmp_path: Path) -> None:
    path = write(tmp_path)
    (found,) = examined(definitions=[str(path)], folders=[str(tmp_path)])
    assert (found["name"], found["path"], found["memory_mib"], found["cores"]) == ("shop", str(path), 128, 1)
    definition, disk = found["files"]
    assert (definition["role"], disk["role"], disk["is_in_use"]) == ("definition", "disk system", False)
    status = os.stat(tmp_path / "disk.img")
    assert disk["identity"] == f"{status.st_dev}:{status.st_ino}"
    assert disk["file_system"] and disk["mount_point"]


def test_folders_for_saved_memory(tmp_path: Path) -> None:
    file = tmp_path / "disk.img"
    file.write_bytes(b"")
    body = json.dumps({"saved_state_folders": [str(tmp_path), str(file), "/none"]}).encode()
    answer = json.loads(VirtualMachineConfiguration.examine("definitions", body))
    folder, no_folder, missing = answer["saved_state_folders"]
    status = os.stat(tmp_path)
    assert folder["identity"] == f"{status.st_dev}:{status.st_ino}"
    assert folder["file_system"] and folder["mount_point"]
    assert no_folder["trouble"] == f"{file} is no folder"
    assert missing["trouble"] == "/none: No such file or directory"


def test_what_is_not_there_and_what_is_no_definition(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text('memory_mib = "much"\n')
    missing, relative, bad = examined(definitions=["/none/x.toml", "a/b.toml"], folders=[str(tmp_path)])
    assert missing["trouble"] == "there is no /none/x.toml"
    assert "not absolute" in relative["problems"][0]
    assert any("memory_mib" in text for text in bad["problems"])


def test_a_missing_image_is_told_with_its_path(tmp_path: Path) -> None:
    (found,) = examined(folders=[str(write(tmp_path, image="gone.img").parent)])
    assert found["files"][1]["trouble"] == f"{tmp_path}/gone.img: No such file or directory"


def test_a_disk_of_the_cluster_is_told_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "shop.toml").write_text('memory_mib = 64\n[[disks]]\nid = "system"\nresource = "shop-disk"\n')
    (found,) = examined(folders=[str(tmp_path)])
    assert found["files"][1] == {
        "role": "disk system",
        "path": "",
        "served_by": "shop-disk",
        "is_shared": False,
        "is_read_only": False,
    }


def test_a_bridge_that_is_not_here(tmp_path: Path) -> None:
    network = '[[networks]]\nid = "lan"\nkind = "bridge"\nbridge = "br-none"\n'
    path = write(tmp_path)
    path.write_text(path.read_text() + network)
    (found,) = examined(folders=[str(tmp_path)])
    assert found["lacks"] == ["networks[0].bridge: there is no bridge br-none on this node"]


def test_a_chain_down_to_its_root(tmp_path: Path) -> None:
    (tmp_path / "base.img").write_bytes(bytes(512))
    name = b"base.img"
    head = struct.pack(">4sIQIIQ", b"QFI\xfb", 2, 112, len(name), 16, 1 << 20).ljust(112, b"\0") + name
    (tmp_path / "top.qcow2").write_bytes(head.ljust(4096, b"\0"))
    path = write(tmp_path, image="top.qcow2")
    path.write_text(path.read_text() + 'format = "qcow2"\n')
    (found,) = examined(folders=[str(tmp_path)])
    top, base = found["files"][1:]
    assert (top["path"], base["path"]) == (f"{tmp_path}/top.qcow2", f"{tmp_path}/base.img")
    assert base["rests_under"] == top["path"]


def test_the_volume_and_the_one_that_is_wanted(tmp_path: Path) -> None:
    (tmp_path / MARKER).write_text("vol-here\n")
    path = write(tmp_path)
    path.write_text(path.read_text() + 'volume = "vol-wanted"\n')
    (found,) = examined(folders=[str(tmp_path)])
    assert (found["files"][1]["volume"], found["files"][1]["wanted_volume"]) == ("vol-here", "vol-wanted")


@contextmanager
def held(path: Path, byte: int) -> Iterator[None]:
    """As QEMU does: a shared lock of the open file on one byte."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        lock = struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, byte, 1, 0)
        fcntl.fcntl(descriptor, SET_OPEN_FILE_LOCK, lock)
        yield
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(("byte", "expected"), [(101, True), (203, True), (5, False)])
def test_an_image_that_a_qemu_has_open(tmp_path: Path, byte: int, expected: bool) -> None:
    write(tmp_path)
    with held(tmp_path / "disk.img", byte):
        (found,) = examined(folders=[str(tmp_path)])
    assert found["files"][1]["is_in_use"] is expected


def test_no_more_than_can_be_told(tmp_path: Path) -> None:
    for number in range(DEFINITIONS_MAX + 10):
        (tmp_path / f"m{number}.toml").write_text("memory_mib = 1\n")
    assert len(examined(folders=[str(tmp_path)])) == DEFINITIONS_MAX


def test_another_question() -> None:
    with pytest.raises(UnknownControl):
        VirtualMachineConfiguration.examine("weather", b"")
