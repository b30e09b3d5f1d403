"""What time is it on the clock that every process of a machine shares, and how to be woken by it? I/O.

The kernel's boot-time clock goes on during suspend, so a lease that ran out while the machine slept has run out. `poll` and
asyncio count on a clock that stops in suspend; `BootTimer` is a file descriptor that does not.
"""

import ctypes
import os
import time

_CLOCK_BOOTTIME = 7
_ABSOLUTE = 1
_FLAGS = os.O_CLOEXEC | os.O_NONBLOCK
_EXPIRED_SIZE = 8


def now_ms() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class BootTimer:
    """A descriptor that becomes readable at an absolute boot-time moment (os.timerfd_create came with Python 3.13)."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd: int = self._libc.timerfd_create(_CLOCK_BOOTTIME, _FLAGS)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create on the boot-time clock")

    def arm(self, at_ms: int) -> None:
        """Fire at `at_ms`, or at once when that has passed. A second call replaces the first."""
        at = max(at_ms, 1)
        spec = _TimerSpec(_Timespec(0, 0), _Timespec(at // 1000, at % 1000 * 1_000_000))
        if self._libc.timerfd_settime(self.fd, _ABSOLUTE, ctypes.byref(spec), None) < 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def drain(self) -> None:
        """Take the readiness away after it fired."""
        try:
            os.read(self.fd, _EXPIRED_SIZE)
        except BlockingIOError:
            return

    def close(self) -> None:
        os.close(self.fd)
