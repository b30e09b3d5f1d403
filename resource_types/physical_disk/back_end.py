"""What does a disk's back end offer, whatever it is made of? Pure: the interface and its words."""

import errno
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from resource_types.physical_disk.keys import Key

CHALLENGE_INTERVALS = 2
"""An owner that does not defend itself for so many intervals has lost its claim; that is also how long silence may last."""


class Refused(Exception):
    """Somebody else has the disk, and may keep it. Nothing was taken."""


class Lost(Exception):
    """The disk was ours and is no more. Nothing is written through this session ever again."""


class PathLost(Exception):
    """The storage does not answer. Whether it is still ours is not known; it may answer again."""


class IoFailed(Exception):
    """The storage refused or failed one read or write."""


class NoRoom(IoFailed):
    """The storage has no room for what was to be written. It may have some later, and nothing is damaged."""


def failed_io(path: str, error: OSError) -> IoFailed:
    """What a file system's refusal means. A quota that is used up is no room, too."""
    kind = NoRoom if error.errno in (errno.ENOSPC, errno.EDQUOT) else IoFailed
    return kind(f"{path}: {error.strerror}")


class Preempted(NamedTuple):
    """Whose claim was ended, when (boot-time clock), and how. What its owner writes from then on does not arrive."""

    key: int
    at_ms: int
    how: str
    because: str


class Clock(Protocol):
    def now_ms(self) -> int:
        """Goes on while the process is stopped and while the machine sleeps."""

    def pause(self, duration_ms: int) -> None: ...


class BackEnd(Protocol):
    """One disk. Any thread may call; calls wait for each other."""

    guarantee: str
    """Who refuses the writes of an owner that was preempted: `storage`, or `cooperative` (only its own session does)."""

    @property
    def size_bytes(self) -> int: ...
    def open(self) -> None:
        """Reach it; nothing is claimed. Raises PathLost."""

    def arbitrate(self, key: Key, interval_ms: int, tell: Callable[[str], None]) -> list[Preempted]:
        """Take it under this key. May take the intervals of a challenge; `tell` says so. Raises Refused, PathLost."""

    def defend(self) -> None:
        """Look whether it is still ours, renew the claim, end lesser ones. Raises Lost, PathLost."""

    def release(self) -> None:
        """Flush and give the claim up, in good order. Raises PathLost."""

    def read(self, offset: int, length: int) -> bytes: ...
    def write(self, offset: int, data: bytes) -> None: ...
    def flush(self) -> None: ...
    def trim(self, offset: int, length: int) -> None:
        """The content of that part is not needed any more. May do nothing."""

    def ids(self) -> list[str]:
        """What this disk is called by its maker, best first."""

    def status(self) -> dict[str, Any]:
        """Key, holder and registrants, as far as they can be told now."""

    def close(self) -> None:
        """Give up the way to it, not the claim. Never raises."""
