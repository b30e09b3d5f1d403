"""What does a node know of a group whose storage it is to fence? Pure. Plain data; `fencing` acts on it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from clusterd.model.records import ResourceRecord
from clusterd.model.settings import ResourceSettings
from clusterd.model.storage_fences import StorageFenceRecord, StorageFenceReport


@dataclass(slots=True)
class FenceOrder:
    """One order of the leader, about the group as it was at certain revisions. Resources are keyed by folded name."""

    order: StorageFenceRecord
    revisions: Mapping[str, int]
    disks: dict[str, ResourceRecord]
    settings: dict[str, ResourceSettings]
    texts: dict[str, str] = field(default_factory=dict)
    """What each disk that refuses the old owner said of it."""
    asked: dict[str, str] = field(default_factory=dict)
    """Disks of which an answer is awaited, also to what an earlier order asked; and the host of each."""
    host_ends: dict[str, int] = field(default_factory=dict)
    """How often a host ended in the midst of asking each disk."""
    failed: str = ""
    is_over: bool = False
    """The order stands no more. What is still under way is ended before the group may be started here."""
    is_reporting: bool = False
    said: StorageFenceReport | None = None

    @property
    def is_done(self) -> bool:
        return bool(self.disks) and not self.failed and self.texts.keys() >= self.disks.keys()
