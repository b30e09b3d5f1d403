"""What did a resource's processes write lately? I/O: reads pipes, keeps the last part.

Bounded in memory and in time: the last 64 KiB stay, and a process that floods its output is read at most once a
millisecond, so that it waits for us and not the host for it.
"""

import asyncio
import os

KEPT_SIZE_MAX = 64 << 10
_READ_SIZE = 64 << 10
_PAUSE_S = 0.001
_DRAIN_COUNT_MAX = 32


class OutputTail:
    """The last bytes that were written."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def add(self, data: bytes) -> None:
        self._kept += data
        if len(self._kept) > 2 * KEPT_SIZE_MAX:
            del self._kept[:-KEPT_SIZE_MAX]

    def last(self, size_max: int = KEPT_SIZE_MAX) -> bytes:
        return bytes(self._kept[-size_max:])

    def lines(self, line_count_max: int) -> str:
        return "\n".join(self.last().decode(errors="replace").splitlines()[-line_count_max:])


class OutputPipe:
    """The pipe of one started process. Ends when the last process that holds it does, or when it is closed."""

    def __init__(self, *tails: OutputTail) -> None:
        self._tails = tails
        self._loop = asyncio.get_running_loop()
        self._read, self.write = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._read, False)
        self._loop.add_reader(self._read, self._take)

    def drain(self) -> None:
        """Take what is there now: after the end of a process, everything that it wrote."""
        for _ in range(_DRAIN_COUNT_MAX):
            if self._read < 0 or not self._take_one():
                return

    def close(self) -> None:
        if self._read >= 0:
            self._loop.remove_reader(self._read)
            os.close(self._read)
            self._read = -1

    def _take(self) -> None:
        if self._take_one() and self._read >= 0:
            self._loop.remove_reader(self._read)
            self._loop.call_later(_PAUSE_S, self._again)

    def _again(self) -> None:
        if self._read >= 0:
            self._loop.add_reader(self._read, self._take)

    def _take_one(self) -> bool:
        """True when there was as much as fits, so that there may be more."""
        try:
            data = os.read(self._read, _READ_SIZE)
        except BlockingIOError:
            return False
        if not data:
            self.close()
            return False
        for tail in self._tails:
            tail.add(data)
        return len(data) == _READ_SIZE
