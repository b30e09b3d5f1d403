"""Pure. Do the invariants hold? Judges of ledgers and histories, shared by simulation, chaos runs and tests."""

from clusterd.checkers.dependencies import dependency_breaches, stop_breaches
from clusterd.checkers.limits import limit_breaches
from clusterd.checkers.one_machine import GuestLine, machine_breaches
from clusterd.checkers.one_owner import Life, Overlap, overlaps

__all__ = [
    "GuestLine",
    "Life",
    "Overlap",
    "dependency_breaches",
    "limit_breaches",
    "machine_breaches",
    "overlaps",
    "stop_breaches",
]
