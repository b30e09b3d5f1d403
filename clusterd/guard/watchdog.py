"""What resets a machine on which workloads can neither be confirmed nor killed? I/O. The fence of last resort.

A watchdog device resets the machine unless somebody writes to it in time. The guard does so as long as it keeps its promise;
once something outlives the stop budget, or the guard itself is frozen or killed, nobody does, and the machine goes down
before a second copy could be told from a first. A clean stop disarms it. Linux Documentation/watchdog/watchdog-api.rst.
"""

import fcntl
import os
import stat
import struct

from clusterd.adapters.plain_log import log

_SET_TIMEOUT = 0xC0045706  # WDIOC_SETTIMEOUT
_DISARM = b"V"
PETS_PER_TIMEOUT = 4


class BadWatchdog(Exception):
    """The path names nothing that can reset a machine; the text says what it is."""


class Watchdog:
    """An armed watchdog. A FIFO stands for a device where whoever reads it does the resetting."""

    def __init__(self, path: str, timeout_ms: int) -> None:
        """Arm it. Raises BadWatchdog or OSError."""
        mode = os.stat(path).st_mode
        if not (stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)):
            raise BadWatchdog(f"{path} is neither a watchdog device nor a FIFO")
        self._descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if stat.S_ISCHR(mode):
            fcntl.ioctl(self._descriptor, _SET_TIMEOUT, struct.pack("i", max(1, timeout_ms // 1000)))
        self._every_ms = timeout_ms // PETS_PER_TIMEOUT
        self.next_pet_ms = 0
        log("watchdog.armed", path=path, timeout_ms=timeout_ms)

    def pet(self, now_ms: int) -> None:
        """Everything is as promised: put the reset off. Does nothing before it is time."""
        if now_ms < self.next_pet_ms:
            return
        self.next_pet_ms = now_ms + self._every_ms
        try:
            os.write(self._descriptor, b".")
        except OSError as error:  # a full FIFO: its reader is not there; a device that fails resets by itself
            log("watchdog.unheard", "warning", because=str(error))

    def disarm(self) -> None:
        """Nothing runs here any more, and that is proven: the machine may stay up."""
        os.write(self._descriptor, _DISARM)
        os.close(self._descriptor)
