"""Which mounts and loop devices did the killed nodes of a lab leave on this machine, and how do they go? I/O.

A node that mounts a disk serves it as a file (FUSE) below the lab's folder, with a loop device on that file and a mount on
that device. All three outlive the processes that they need. Only what lies below the lab's folder, or on it, is touched.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

DISK_FOLDER_VARIABLE = "CLUSTERD_DISK_FOLDER"
"""Tells physical disks where their sockets and files are; every node of a lab has the same, so they find each other's."""
MACHINE_FOLDER_VARIABLE = "CLUSTERD_MACHINE_FOLDER"
"""Tells machines where their sockets are."""
COMMAND_WITHIN_S = 10
_ESCAPES = (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\"))


class Mount(NamedTuple):
    point: str
    source: str


def disk_folder(run_base: Path | str) -> Path:
    """Where the disks of a lab are."""
    return Path(run_base) / "disks"


def machine_folder(run_base: Path | str) -> Path:
    """Where the machines of a lab have their sockets. Short: the path of a Unix socket has at most 107 characters."""
    return Path(run_base) / "m"


def remove_sockets(run_base: Path | str) -> None:
    """Of disks and machines whose hosts were killed. Nothing of the lab may run any more, and nothing be mounted."""
    for folder in (disk_folder(run_base), machine_folder(run_base)):
        shutil.rmtree(folder, ignore_errors=True)


def take_away(folder: Path) -> None:
    """Nothing of a lab's processes may run any more. What somebody still sits in is detached from the tree of files."""
    below = f"{folder}/"
    loops = _loops_below(below)
    for each in reversed(mounts()):
        if each.source in loops:
            _unmount(each.point)
    for loop in loops:
        _run("losetup", "--detach", loop)
    for each in reversed(mounts()):
        if each.point.startswith(below):
            _unmount(each.point)


def mounts() -> list[Mount]:
    """In the order in which they were mounted."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return parse_mounts(file.read())


def parse_mounts(text: str) -> list[Mount]:
    """Pure."""
    found = []
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        head, tail = left.split(" "), right.split(" ")
        if len(head) >= 5 and len(tail) >= 2:
            found.append(Mount(_plain(head[4]), _plain(tail[1])))
    return found


def _loops_below(below: str) -> list[str]:
    found = []
    for device in Path("/sys/block").glob("loop*"):
        try:
            backing = (device / "loop" / "backing_file").read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            continue  # not in use
        if backing.startswith(below):
            found.append(f"/dev/{device.name}")
    return found


def _unmount(point: str) -> None:
    if not _run("umount", point):
        _run("umount", "--lazy", point)


def _run(*command: str) -> bool:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            timeout=COMMAND_WITHIN_S,
            env={**os.environ, "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _plain(text: str) -> str:
    for escaped, plain in _ESCAPES:
        text = text.replace(escaped, plain)
    return text
