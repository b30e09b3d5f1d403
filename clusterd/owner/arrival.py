"""What does a node know of a group that is to migrate to it? Pure. Plain data; `arriving` acts on it."""

from dataclasses import dataclass, field

from clusterd.model.migrations import MigrationRecord
from clusterd.model.records import AssignmentRecord, ResourceRecord
from clusterd.model.settings import ResourceSettings


@dataclass(slots=True)
class Arrival:
    """A group under one migration number. Resources are keyed by folded name."""

    assignment: AssignmentRecord
    records: dict[str, ResourceRecord] = field(default_factory=dict)
    """What is to be prepared, providers first."""
    settings: dict[str, ResourceSettings] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    """What each prepared resource tells the source."""
    touched: set[str] = field(default_factory=set)
    """What a host was asked to prepare: that is to be abandoned unless the group comes."""
    failed: str = ""
    is_over: bool = False
    """The group comes no more, or not as this migration."""
    is_adopted: bool = False
    """What an earlier daemon prepared is known."""
    is_reporting: bool = False
    said: MigrationRecord | None = None

    @property
    def generation(self) -> int:
        """Under which it will run here."""
        return self.assignment.generation + 1

    @property
    def is_ready(self) -> bool:
        return bool(self.records) and not self.failed and self.texts.keys() >= self.records.keys()
