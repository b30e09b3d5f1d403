"""Pure. Do the invariants hold? Judges of ledgers and histories, shared by simulation, chaos runs and tests."""

from clusterd.checkers.dependencies import dependency_breaches, stop_breaches
from clusterd.checkers.limits import limit_breaches
from clusterd.checkers.one_machine import GuestLine, machine_breaches
from clusterd.checkers.one_owner import Life, Overlap, overlaps
from clusterd.checkers.placements import PlacementJudge, excuse

__all__ = [
    "GuestLine",
    "Life",
    "Overlap",
    "PlacementJudge",
    "dependency_breaches",
    "excuse",
    "limit_breaches",
    "machine_breaches",
    "overlaps",
    "stop_breaches",
]
