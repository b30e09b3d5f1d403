"""Which mounts, loop devices and users of them are there on this machine? I/O: reads /proc and /sys, changes nothing."""

import os
from collections.abc import Collection
from typing import NamedTuple

_ESCAPES = (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\"))
HOLDERS_SHOWN_MAX = 5


class Mount(NamedTuple):
    point: str
    kind: str
    source: str
    options: tuple[str, ...]
    """Of the mount and of its file system."""

    @property
    def is_read_only(self) -> bool:
        """Also when the kernel made it so after an error."""
        return not {"ro", "emergency_ro"}.isdisjoint(self.options)


def parse_mounts(text: str) -> list[Mount]:
    """`/proc/self/mountinfo`, in the order in which they were mounted."""
    found = []
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        head, tail = left.split(" "), right.split(" ")
        if len(head) >= 6 and len(tail) >= 3:
            options = (*head[5].split(","), *tail[2].split(","))
            found.append(Mount(_plain(head[4]), tail[0], _plain(tail[1]), options))
    return found


def mounts() -> list[Mount]:
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return parse_mounts(file.read())


def mount_at(point: str) -> Mount | None:
    """The topmost one."""
    return next((each for each in reversed(mounts()) if each.point == point), None)


def mounts_below(point: str) -> list[str]:
    return [each.point for each in mounts() if each.point.startswith(point.rstrip("/") + "/")]


def loops_of(backing_file: str) -> list[str]:
    """The loop devices on that file, also after its file system went away."""
    found = []
    for name in os.listdir("/sys/block"):
        if name.startswith("loop") and backing_of(f"/dev/{name}") == backing_file:
            found.append(f"/dev/{name}")
    return found


def backing_of(device: str) -> str:
    """The file behind a loop device; nothing when it is free, or no loop device."""
    try:
        with open(f"/sys/block/{os.path.basename(device)}/loop/backing_file", encoding="utf-8") as file:
            return file.read().rstrip("\n").removesuffix(" (deleted)")
    except OSError:
        return ""


class Holder(NamedTuple):
    """A process that keeps a mount busy, and by what."""

    pid: int
    name: str
    by: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.name}, {self.by})"


def holders(point: str, except_pids: Collection[int] = ()) -> list[Holder]:
    """Who has its folder, its root or an open file there. Needs root to see others' processes."""
    prefix = point.rstrip("/") + "/"
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) not in except_pids and (by := _held_by(int(entry), point, prefix)):
            found.append(Holder(int(entry), _name(int(entry)), by))
    return found


def holders_text(found: list[Holder]) -> str:
    text = ", ".join(str(each) for each in found[:HOLDERS_SHOWN_MAX])
    rest = len(found) - HOLDERS_SHOWN_MAX
    return text + (f" and {rest} more" if rest > 0 else "")


def _held_by(pid: int, point: str, prefix: str) -> str:
    for what, words in (("cwd", "its working folder"), ("root", "its root"), ("exe", "its program")):
        if _is_under(_link(f"/proc/{pid}/{what}"), point, prefix):
            return words
    try:
        descriptors = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return ""
    for each in descriptors:
        if _is_under(target := _link(f"/proc/{pid}/fd/{each}"), point, prefix):
            return target
    return ""


def _is_under(path: str, point: str, prefix: str) -> bool:
    return path == point or path.startswith(prefix)


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _name(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "it has ended"


def _plain(text: str) -> str:
    for escaped, plain in _ESCAPES:
        text = text.replace(escaped, plain)
    return text
