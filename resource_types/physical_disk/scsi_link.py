"""What carries SCSI commands to a disk? The interface; iscsi_link.py and sg_link.py are the two that there are. Pure."""

from collections.abc import Callable
from typing import Protocol

from resource_types.physical_disk.cdb import Answer


class LinkLost(Exception):
    """No answer: the target, or the way to it, is gone. Whether the command took effect is not known."""


class ScsiLink(Protocol):
    """One session with one logical unit. Not safe for two threads at a time."""

    def command(self, cdb: bytes, data: bytes = b"", answer_bytes: int = 0) -> Answer:
        """Send one command with its data, or read an answer of at most that length. Raises LinkLost."""

    def close(self) -> None:
        """Never raises."""


Connect = Callable[[], ScsiLink]
