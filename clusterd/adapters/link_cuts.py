"""Which links of this node has a lab cut, and which lose packets? I/O.

The launcher writes the file and sends SIGHUP; the daemon reads it again (`lab_file.py`).
"""

from typing import ClassVar

import msgspec

from clusterd.adapters.lab_file import LabFile


class LinkCuts(LabFile, frozen=True, forbid_unknown_fields=True):
    """Names of peers: application messages to the first kind and from the second kind are dropped."""

    SAYS: ClassVar[str] = "which links are cut"
    drop_to: tuple[str, ...] = ()
    drop_from: tuple[str, ...] = ()
    loss_percent: dict[str, int] = msgspec.field(default_factory=dict)
    """Of a hundred packets on the link to that peer, so many are lost, each way."""
