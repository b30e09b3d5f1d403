"""When did a packet arrive that was left in its socket for a while? I/O: reads clocks.

The kernel stamps packets with the wall clock, and leases run on the boot-time clock. What is between the two is looked at
with every reading: when it is what it was at the reading before, the stamp tells the age. When the wall clock was set in
between, a packet counts from when it was read: later than it came, never earlier.
"""

import socket
import struct
import time
from collections.abc import Sequence

from clusterd.adapters.boot_clock import now_ms

STAMPED = 35
"""SO_TIMESTAMPNS, and the kind of the control message that comes of it (asm-generic/socket.h)."""
_STAMP = struct.Struct("@ll")
STAMP_SPACE = socket.CMSG_SPACE(_STAMP.size)
STEP_MIN_NS = 1_000_000
ALLOWANCE_NS = 2 * STEP_MIN_NS
"""Added to every arrival: a step that is too small to be seen, and what passes between the readings of two clocks."""

Control = Sequence[tuple[int, int, bytes]]


class Arrivals:
    """The clocks of one reading of a socket, and of the one before."""

    def __init__(self) -> None:
        self._between_ns: int | None = None
        self._wall_ns = 0
        self._now_ms = self._before_ms = 0
        self._is_steady = False

    def look(self) -> None:
        """Read the clocks, before the packets are read."""
        self._wall_ns = time.time_ns()
        between_ns = self._wall_ns - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self._is_steady = self._between_ns is not None and abs(between_ns - self._between_ns) < STEP_MIN_NS
        self._between_ns = between_ns
        self._before_ms, self._now_ms = self._now_ms, now_ms()

    def at_ms(self, control: Control) -> int:
        """On the boot-time clock; never before the packet came, nor after the clocks were read.

        Nor before the reading before: what a flood kept in the socket since then may have been stamped by a clock that was
        set before that.
        """
        if not self._is_steady:
            return self._now_ms
        for level, kind, data in control:
            if level == socket.SOL_SOCKET and kind == STAMPED and len(data) >= _STAMP.size:
                seconds, rest_ns = _STAMP.unpack_from(data)
                age_ns = self._wall_ns - (int(seconds) * 1_000_000_000 + int(rest_ns)) - ALLOWANCE_NS
                return max(self._before_ms, self._now_ms - max(0, age_ns) // 1_000_000)
        return self._now_ms
