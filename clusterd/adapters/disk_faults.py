"""How has a lab spoilt this node's disk? I/O. A door in the storage that only labs open, as they cut links.

The launcher writes the file and sends SIGHUP; the daemon reads it again (`lab_file.py`). Nothing real is filled or slowed
down, so no privileges are needed; what the storage sees is what a real disk would show it.
"""

import errno
import os
import threading
from pathlib import Path
from typing import ClassVar

from clusterd.adapters.lab_file import LabFile
from clusterd.adapters.storage_files import write_all

SLOW_MAX_MS = 60_000


class DiskFaults(LabFile, frozen=True, forbid_unknown_fields=True):
    """Each sync takes `slow_ms` longer; with `is_full` no write finds room, with `is_broken` every sync fails."""

    SAYS: ClassVar[str] = "what is wrong with the disk"
    slow_ms: int = 0
    is_full: bool = False
    is_broken: bool = False


class SpoiltDisk:
    """What a storage writes and syncs with. `path` None: no lab, the disk as it is."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._faults = DiskFaults()
        self._changed = threading.Event()
        self.reload()

    def reload(self) -> None:
        """Read again what the lab wants. What is being slowed down ends with that."""
        if self._path is not None:
            self._faults = DiskFaults.load(self._path)
            self._changed.set()

    def write(self, handle: int, data: bytes | bytearray) -> None:
        """In the storage's own thread."""
        if self._faults.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_all(handle, data)

    def sync(self, handle: int) -> None:
        """In the storage's own thread, the only one that waits here."""
        if self._faults.slow_ms:
            self._changed.clear()
            self._changed.wait(self._faults.slow_ms / 1000)
        if self._faults.is_broken:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        os.fdatasync(handle)
