"""Which machine uses a disk that a physical_disk resource serves? I/O: one lock a disk and node.

QEMU locks images, but not what comes over a socket: two machines on one such disk would destroy it without anybody noticing.
"""

import contextlib
import fcntl
import os

from clusterd.resource_api import ResourceFailed
from resource_types.machine_definition import Definition
from resource_types.machine_definition.definition import Disk, DiskMode

USER_SUFFIX = ".user"
NAME_BYTES_MAX = 256


class HeldDisks:
    """The served disks of one machine on this node, from before its QEMU starts until `release`."""

    def __init__(self, machine: str, definition: Definition) -> None:
        """Raises ResourceFailed when another machine has one of them."""
        self._descriptors: list[int] = []
        try:
            for disk in definition.disks:
                if disk.resource:
                    self._hold(machine, disk)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """May be repeated."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    def _hold(self, machine: str, disk: Disk) -> None:
        try:
            descriptor = os.open(disk.path + USER_SUFFIX, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ResourceFailed(f"disk {disk.resource} cannot be held: {error.filename}: {error.strerror}") from error
        self._descriptors.append(descriptor)
        is_harmless = disk.mode is DiskMode.SHARED or disk.is_read_only
        kind = fcntl.LOCK_SH if is_harmless else fcntl.LOCK_EX
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError as error:
            other = os.pread(descriptor, NAME_BYTES_MAX, 0).decode(errors="replace") or "another machine"
            raise ResourceFailed(
                f"disk {disk.resource} is used by {other}: a disk has one machine, unless each definition calls its mode "
                "shared, or each only reads it"
            ) from error
        with contextlib.suppress(OSError):  # the name is for the message only
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, machine.encode()[:NAME_BYTES_MAX], 0)
