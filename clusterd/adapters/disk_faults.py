"""How has a lab spoilt this node's disk? I/O. A door in the storage that only labs open, as they cut links.

The launcher writes the file whole (temporary file, then rename) and sends SIGHUP; the daemon reads it again. Nothing real is
filled or slowed down, so no privileges are needed; what the storage sees is what a real disk would show it.
"""

import errno
import os
import threading
from pathlib import Path

import msgspec

from clusterd.adapters.storage_files import write_all
from clusterd.model.errors import BadInput

SLOW_MAX_MS = 60_000


class DiskFaults(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Each sync takes `slow_ms` longer; with `is_full` no write finds room, with `is_broken` every sync fails."""

    slow_ms: int = 0
    is_full: bool = False
    is_broken: bool = False

    @classmethod
    def load(cls, path: Path) -> "DiskFaults":
        """The content of `path`; the disk is well when there is no such file."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except FileNotFoundError:
            return cls()
        except (msgspec.DecodeError, OSError) as error:
            raise BadInput(
                f"{path} does not say what is wrong with the disk: {error}", hint="lab heal writes it anew"
            ) from error

    def write(self, path: Path) -> None:
        """Replace the file in one step: a reader sees the old content or the new, never half."""
        half = path.with_name(path.name + ".new")
        half.write_bytes(msgspec.json.encode(self))
        os.replace(half, path)


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
