"""On which cluster-managed volume does a path lie? I/O: reads marker files and the table of mounts.

A cluster-managed volume has a file `.clusterd-volume` in its topmost folder, whose first line is the volume's id. A path
belongs to the nearest volume above it; a path whose volume is not mounted belongs to none, or to a wrong one.
"""

import os

from resource_types.plain_files import read_plain

MARKER = ".clusterd-volume"
_ID_SIZE_MAX = 256


def volume_of(path: str) -> tuple[str, str] | None:
    """Id and topmost folder of the volume that `path` lies on; None where it is on none."""
    folder = os.path.dirname(os.path.realpath(path))
    while True:
        marker = marked_id(folder)
        if marker is not None:
            return marker, folder
        if folder == "/":
            return None
        folder = os.path.dirname(folder)


def mounted_at(volume: str) -> str | None:
    """Where the volume of that id is mounted on this node; None when it is not."""
    for folder in _mount_points():
        if marked_id(folder) == volume:
            return folder
    return None


def marked_id(folder: str) -> str | None:
    """The id in the marker file of this folder."""
    try:
        line, _, _ = read_plain(os.path.join(folder, MARKER), _ID_SIZE_MAX).partition(b"\n")
        return line.decode(errors="replace").strip()
    except OSError:
        return None


def _mount_points() -> list[str]:
    """The newest first: it hides what was mounted there before."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        found = [line.split(" ")[4] for line in file]
    escapes = {"\\040": " ", "\\011": "\t", "\\012": "\n", "\\134": "\\"}
    for code, character in escapes.items():
        found = [each.replace(code, character) for each in found]
    return found[::-1]
