"""Where does a disk of this node have its sockets and its device file? Pure but for the user's id, the
environment, and the making and removing of that folder.

The folder's name is a hash: the path of a Unix socket has at most 107 characters.
"""

import contextlib
import hashlib
import os
from typing import NamedTuple

FOLDER_VARIABLE = "CLUSTERD_DISK_FOLDER"


class Places(NamedTuple):
    """`control` and `nbd` are sockets, `device` is the file that FUSE serves."""

    folder: str

    @property
    def control(self) -> str:
        return os.path.join(self.folder, "control")

    @property
    def nbd(self) -> str:
        return os.path.join(self.folder, "nbd")

    @property
    def nbd_uri(self) -> str:
        """As QEMU takes it."""
        return f"nbd+unix:///?socket={self.nbd}"

    @property
    def device(self) -> str:
        return os.path.join(self.folder, "device")


def root_folder() -> str:
    """All nodes on one machine that may take disks from each other have the same: a lab has one of its own."""
    if given := os.environ.get(FOLDER_VARIABLE):
        return given
    return "/run/clusterd/disks" if os.geteuid() == 0 else f"/tmp/clusterd-{os.geteuid()}/disks"


def places(cluster_id: str, node: str, resource: str) -> Places:
    """The same for everybody on this node, so a virtual machine finds the disks that it depends on."""
    name = hashlib.blake2b("\0".join((cluster_id, node, resource)).encode(), digest_size=8).hexdigest()
    return Places(os.path.join(root_folder(), name))


def remove_folder(place: Places) -> None:
    """The sockets of a session that has ended, and their folder. What else lies there is somebody's, and stays with it."""
    for path in (place.control, place.nbd):
        with contextlib.suppress(OSError):
            os.unlink(path)
    with contextlib.suppress(OSError):
        os.rmdir(place.folder)


def make_folder(place: Places) -> None:
    """Closed to others. Raises PermissionError when it is somebody else's."""
    parent = os.path.dirname(os.path.dirname(place.folder))
    for folder in (parent, os.path.dirname(place.folder), place.folder):
        os.makedirs(folder, mode=0o755 if folder == "/run/clusterd" else 0o700, exist_ok=True)
        if os.stat(folder).st_uid != os.geteuid():
            raise PermissionError(f"{folder} belongs to another user")
