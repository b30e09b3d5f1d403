"""Which definitions are on this node, and where does everything lie that they name? I/O: looks at files, changes nothing.

The answer is for somebody who compares it with that of other nodes: for every file it says what tells one file from another
(device and inode on a machine, the source of a network file system, the id of a cluster-managed volume). Whether that is
good enough is not judged here.
"""

import fcntl
import itertools
import json
import os
import stat
import struct
from collections.abc import Iterator
from typing import Any

from resource_types.machine_definition.definition import Definition, Disk, cores, fingerprint
from resource_types.machine_definition.definition import required_memory_mib as memory_of
from resource_types.machine_definition.images import ImageTrouble, chain_of
from resource_types.machine_definition.proof import (
    DEFINITIONS_FOLDER,
    definition_path,
    outside_problems,
    read_definition,
)
from resource_types.machine_definition.volumes import mounted_at, volume_of

DEFINITIONS_MAX = 256
FOLDERS_MAX = 16
BOOT_ID = "/proc/sys/kernel/random/boot_id"
_OPEN_FILE_LOCK = struct.Struct("hhqqi4x")
_GET_OPEN_FILE_LOCK = 36
_QEMU_LOCKS = (100, 200)
"""QEMU holds single bytes from 100 and from 200 on of every image that it uses (block/file-posix.c)."""


def examine_definitions(body: bytes) -> bytes:
    """`{"folders": […], "definitions": […], "saved_state_folders": […]}` → `{"machine": …, "definitions": […],
    "saved_state_folders": […]}`. Without folders, the usual one."""
    asked = json.loads(body or b"{}")
    wanted = [definition_path(str(each)) for each in asked.get("definitions", [])][:DEFINITIONS_MAX]
    listed = [str(each) for each in asked.get("folders", [])][:FOLDERS_MAX] or [DEFINITIONS_FOLDER]
    with open(BOOT_ID, encoding="ascii") as file:
        machine = file.read().strip()
    mounts = _mounts()
    paths = list(dict.fromkeys([*wanted, *(path for folder in listed for path in _listed(folder))]))[:DEFINITIONS_MAX]
    folders = [str(each) for each in asked.get("saved_state_folders", [])][:DEFINITIONS_MAX]
    saved = [_folder("saved-state folder", each, mounts) for each in folders]
    found = [_examined(each, mounts) for each in paths]
    return json.dumps({"machine": machine, "definitions": found, "saved_state_folders": saved}).encode()


def _listed(folder: str) -> list[str]:
    try:
        return [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".toml")]
    except OSError:
        return []


def _examined(path: str, mounts: list[tuple[str, str, str, str]]) -> dict[str, Any]:
    name = os.path.splitext(os.path.basename(path))[0]
    seen: dict[str, Any] = {"name": name, "path": path}
    if not path.startswith("/"):
        return {**seen, "problems": [f"{path} is not absolute: name it from the root on"]}
    if not os.path.lexists(path):
        return {**seen, "trouble": f"there is no {path}"}
    found = read_definition(path)
    if not isinstance(found, Definition):
        return {**seen, "problems": [str(each) for each in found]}
    files = [_file("definition", path, mounts), *_files(found, mounts)]
    return {
        **seen,
        "memory_mib": memory_of(found),
        "cores": cores(found),
        "fingerprint": fingerprint(found),
        "has_agent": found.guest_agent != "none",
        "lacks": [str(each) for each in outside_problems(found)],
        "files": files,
    }


def _files(definition: Definition, mounts: list[tuple[str, str, str, str]]) -> Iterator[dict[str, Any]]:
    firmware = "" if definition.firmware == "bios" else definition.firmware
    for role, path in (("kernel", definition.kernel), ("initial RAM disk", definition.initial_ramdisk)):
        if path:
            yield _file(role, path, mounts)
    if firmware:
        yield _file("firmware", firmware, mounts)
    for disk in definition.disks:
        yield from _disk_files(disk, mounts)


def _disk_files(disk: Disk, mounts: list[tuple[str, str, str, str]]) -> Iterator[dict[str, Any]]:
    role, path = f"disk {disk.id}", disk.path
    if disk.resource:
        yield {
            "role": role,
            "path": "",
            "served_by": disk.resource,
            "is_shared": disk.mode == "shared",
            "is_read_only": disk.is_read_only,
        }
        return
    if disk.relative_path:
        folder = mounted_at(disk.volume)
        if folder is None:
            trouble = f"volume {disk.volume} is not mounted here"
            yield {"role": role, "path": disk.relative_path, "wanted_volume": disk.volume, "trouble": trouble}
            return
        path = os.path.join(folder, disk.relative_path)
    shown = {**_file(role, path, mounts), "wanted_volume": disk.volume, "is_shared": disk.mode == "shared"}
    shown["is_read_only"] = disk.is_read_only
    if shown.get("trouble"):
        yield shown
        return
    try:
        chain = chain_of(path, disk.format)
    except ImageTrouble as trouble:
        yield {**shown, "trouble": str(trouble)}
        return
    # Who only reads it minds nobody else who does; who writes to it is told by QEMU's own locks.
    yield {**shown, "is_in_use": not disk.is_read_only and _is_in_use(path)}
    for above, image in itertools.pairwise(chain):
        yield {**_file(role, image.path, mounts), "rests_under": above.path, "wanted_volume": disk.volume}


def _file(role: str, path: str, mounts: list[tuple[str, str, str, str]]) -> dict[str, Any]:
    try:
        found = os.stat(path)
    except OSError as error:
        return {"role": role, "path": path, "trouble": f"{path}: {error.strerror}"}
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISBLK(found.st_mode):
        return {"role": role, "path": path, "trouble": f"{path} is neither a file nor a block device"}
    return _place(role, path, found, mounts)


def _folder(role: str, path: str, mounts: list[tuple[str, str, str, str]]) -> dict[str, Any]:
    try:
        found = os.stat(path)
    except OSError as error:
        return {"role": role, "path": path, "trouble": f"{path}: {error.strerror}"}
    if not stat.S_ISDIR(found.st_mode):
        return {"role": role, "path": path, "trouble": f"{path} is no folder"}
    return _place(role, path, found, mounts)


def _place(role: str, path: str, found: os.stat_result, mounts: list[tuple[str, str, str, str]]) -> dict[str, Any]:
    real = os.path.realpath(path)
    mount_point, kind, source, root = next((each for each in mounts if _is_below(real, each[0])), ("/", "", "", ""))
    volume = volume_of(path)
    return {
        "role": role,
        "path": path,
        "identity": f"{found.st_dev}:{found.st_ino}",
        "is_block": stat.S_ISBLK(found.st_mode),
        "file_system": kind,
        "source": f"{source}:{root}" if root != "/" else source,
        "mount_point": mount_point,
        "volume": volume[0] if volume else "",
    }


def _is_below(path: str, folder: str) -> bool:
    return folder == "/" or path == folder or path.startswith(folder + "/")


def _mounts() -> list[tuple[str, str, str, str]]:
    """Mount point, file system, source and root, the deepest and newest first."""
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            before, _, after = line.rstrip("\n").partition(" - ")
            words, rest = before.split(" "), after.split(" ")
            point = words[4].replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
            found.append((point, rest[0], rest[1], words[3]))
    found.reverse()
    return sorted(found, key=lambda each: len(each[0]), reverse=True)


def _is_in_use(path: str) -> bool:
    """Whether a QEMU has the image open, seen by its locks; nothing is locked for that."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        for start in _QEMU_LOCKS:
            question = _OPEN_FILE_LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, start, 64, 0)
            kind = _OPEN_FILE_LOCK.unpack(fcntl.fcntl(descriptor, _GET_OPEN_FILE_LOCK, question))[0]
            if kind != fcntl.F_UNLCK:
                return True
        return False
    except OSError:
        return False
    finally:
        os.close(descriptor)
