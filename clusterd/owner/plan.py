"""What does a pass of planning need to know, and what does it give? Pure."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clusterd.model.events import Note
from clusterd.owner.commands import HostCall, KillHost, StartHost
from clusterd.owner.reports import ReportProposal

if TYPE_CHECKING:
    from clusterd.owner.arriving import MigrationProposal
    from clusterd.owner.fencing import FenceProposal


@dataclass(slots=True)
class OwnerPlan:
    """What to do now."""

    calls: list[HostCall] = field(default_factory=list)
    starts: list[StartHost] = field(default_factory=list)
    kills: list[KillHost] = field(default_factory=list)
    reports: list[ReportProposal] = field(default_factory=list)
    migrations: "list[MigrationProposal]" = field(default_factory=list)
    fences: "list[FenceProposal]" = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    next_look_ms: int | None = None

    def look_at(self, at_ms: int) -> None:
        self.next_look_ms = at_ms if self.next_look_ms is None else min(self.next_look_ms, at_ms)
